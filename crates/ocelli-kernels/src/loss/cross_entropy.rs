//! Softmax cross-entropy and its gradient, with the semantics of PyTorch's `F.cross_entropy`.
//!
//! Every variant is one formula. With q the target of a row, already smoothed and weighted by class,
//!
//! ```text
//! loss = Σ_c q_c (ln Σ e^z - z_c)          dloss/dz_j = softmax(z)_j Σ_c q_c - q_j
//! ```
//!
//! and the mean divides the sum over rows by Σ w[target] (class targets) or N (soft targets). Smoothing:
//! Szegedy et al. 2016, arXiv:1512.00567.

use super::softmax::{exponentials, rows_per_block};
use rayon::prelude::*;

/// What each row should be.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// One class index per row.
    Classes(&'a [u32]),
    /// A distribution over the classes per row, `[N, classes]`.
    Soft(&'a [f32]),
}

/// The variants of the loss; the default has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct CrossEntropy<'a> {
    /// How much of each target is spread evenly over all classes, in [0, 1].
    pub label_smoothing: f32,
    /// A factor per class.
    pub class_weights: Option<&'a [f32]>,
}

/// Why a loss could not be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// No rows or no classes: there is no mean.
    #[error("cross-entropy of nothing: {rows} rows of {classes} classes; skip empty batches")]
    Empty {
        /// Rows given.
        rows: usize,
        /// Classes given.
        classes: usize,
    },
    /// A slice has the wrong length.
    #[error("{what} has {found} values where {expected} are expected")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits the others.
        expected: usize,
    },
    /// A target names a class that the logits do not have.
    #[error("target of row {row} is class {class}, but the logits have {classes} classes (0 to {})", .classes - 1)]
    ClassOutOfRange {
        /// The row, from 0.
        row: usize,
        /// The class it names.
        class: u32,
        /// How many classes there are.
        classes: usize,
    },
    /// The smoothing is not a share.
    #[error("label smoothing is {0}; it must lie between 0 and 1")]
    Smoothing(f32),
}

/// The mean cross-entropy of `logits` `[N, classes]`; `grad`, shaped like them, receives its gradient.
///
/// With class targets and class weights the mean is weighted by the weights of the targets; where all of
/// those are 0 it is NaN, as in PyTorch.
///
/// # Errors
/// [`LossError`] when there is nothing to average, lengths disagree, a target is out of range or the
/// smoothing is not in [0, 1].
pub fn cross_entropy(
    logits: &[f32],
    classes: usize,
    targets: Targets<'_>,
    options: &CrossEntropy<'_>,
    grad: Option<&mut [f32]>,
) -> Result<f32, LossError> {
    let rows = logits.len() / classes.max(1);
    if rows == 0 || classes == 0 {
        return Err(LossError::Empty { rows, classes });
    }
    length("logits", logits.len(), rows * classes)?;
    if let Some(weights) = options.class_weights {
        length("class weights", weights.len(), classes)?;
    }
    if let Some(grad) = &grad {
        length("gradient", grad.len(), logits.len())?;
    }
    if !(0.0..=1.0).contains(&options.label_smoothing) {
        return Err(LossError::Smoothing(options.label_smoothing));
    }
    let rule = Rule {
        targets,
        weights: options.class_weights,
        smoothing: f64::from(options.label_smoothing),
    };
    let divisor = rule.divisor(rows, classes)?;
    let block = rows_per_block(classes) * classes;
    let losses: Vec<f64> = match grad {
        Some(grad) => (logits.par_chunks(block), grad.par_chunks_mut(block))
            .into_par_iter()
            .enumerate()
            .map(|(i, (logits, grad))| {
                let rows = logits.chunks(classes).zip(grad.chunks_mut(classes)).enumerate();
                rows.map(|(r, (z, grad))| {
                    rule.row(i * (block / classes) + r, z, grad, Some(divisor))
                })
                .sum()
            })
            .collect(),
        None => logits
            .par_chunks(block)
            .enumerate()
            .map(|(i, logits)| {
                let mut spare = vec![0.0; classes];
                let rows = logits.chunks(classes).enumerate();
                rows.map(|(r, z)| rule.row(i * (block / classes) + r, z, &mut spare, None)).sum()
            })
            .collect(),
    };
    Ok((losses.into_iter().sum::<f64>() / divisor) as f32)
}

fn length(what: &'static str, found: usize, expected: usize) -> Result<(), LossError> {
    if found == expected { Ok(()) } else { Err(LossError::Length { what, found, expected }) }
}

struct Rule<'a> {
    targets: Targets<'a>,
    weights: Option<&'a [f32]>,
    smoothing: f64,
}

impl Rule<'_> {
    /// Checks the targets; returns what the summed loss is divided by.
    fn divisor(&self, rows: usize, classes: usize) -> Result<f64, LossError> {
        let targets = match self.targets {
            Targets::Soft(targets) => {
                length("soft targets", targets.len(), rows * classes)?;
                return Ok(rows as f64);
            }
            Targets::Classes(targets) => targets,
        };
        length("targets", targets.len(), rows)?;
        if let Some((row, &class)) =
            targets.iter().enumerate().find(|(_, class)| **class as usize >= classes)
        {
            return Err(LossError::ClassOutOfRange { row, class, classes });
        }
        Ok(targets.iter().map(|&class| self.weight(class as usize)).sum())
    }

    fn weight(&self, class: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[class]))
    }

    /// The summed loss of row `row`; `out` ends as its gradient, or as scratch without a divisor.
    fn row(&self, row: usize, z: &[f32], out: &mut [f32], divisor: Option<f64>) -> f64 {
        let (largest, sum) = exponentials(z, out);
        let log_sum = sum.ln();
        let cost = |class: usize| log_sum - f64::from(z[class] - largest);
        let spread = self.smoothing / z.len() as f64;
        match self.targets {
            Targets::Classes(targets) if spread == 0.0 => {
                let class = targets[row] as usize;
                let q = self.weight(class);
                if let Some(divisor) = divisor {
                    let hit = f64::from(out[class]);
                    let scale = (q / (sum * divisor)) as f32;
                    out.iter_mut().for_each(|e| *e *= scale);
                    // In f64, because it is a small difference once the row is learnt.
                    out[class] = ((hit / sum - 1.0) * q / divisor) as f32;
                }
                q * cost(class)
            }
            Targets::Classes(targets) => {
                let class = targets[row] as usize;
                let hit = |c| if c == class { 1.0 - self.smoothing } else { 0.0 };
                finish(|c| self.weight(c) * (hit(c) + spread), cost, sum, out, divisor)
            }
            Targets::Soft(targets) => {
                let target = &targets[row * z.len()..][..z.len()];
                let smoothed = |c: usize| f64::from(target[c]) * (1.0 - self.smoothing) + spread;
                finish(|c| self.weight(c) * smoothed(c), cost, sum, out, divisor)
            }
        }
    }
}

/// The loss of a row of general targets q; `out` holds the exponentials and receives the gradient.
fn finish(
    q: impl Fn(usize) -> f64,
    cost: impl Fn(usize) -> f64,
    sum: f64,
    out: &mut [f32],
    divisor: Option<f64>,
) -> f64 {
    let (mut loss, mut total) = (0.0, 0.0);
    for c in 0..out.len() {
        loss += q(c) * cost(c);
        total += q(c);
    }
    if let Some(divisor) = divisor {
        for (c, out) in out.iter_mut().enumerate() {
            *out = ((f64::from(*out) / sum * total - q(c)) / divisor) as f32;
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fill, gradient_error, widen, with_threads};

    /// The definition in f64; `targets` are distributions.
    fn exact(
        z: &[f64],
        classes: usize,
        targets: &[f64],
        options: &CrossEntropy<'_>,
        divisor: f64,
    ) -> f64 {
        let smoothing = f64::from(options.label_smoothing);
        let mut loss = 0.0;
        for (z, t) in z.chunks(classes).zip(targets.chunks(classes)) {
            let log_sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
            for c in 0..classes {
                let weight = options.class_weights.map_or(1.0, |w| f64::from(w[c]));
                loss += weight
                    * (t[c] * (1.0 - smoothing) + smoothing / classes as f64)
                    * (log_sum - z[c]);
            }
        }
        loss / divisor
    }

    #[test]
    fn value_and_gradient_match_the_definition() {
        for classes in [1, 2, 10, 37] {
            let rows = 5;
            let z: Vec<f32> = fill(rows * classes, 1).iter().map(|v| v * 5.0).collect();
            let labels: Vec<u32> = (0..rows).map(|r| (r * 7 % classes) as u32).collect();
            let soft: Vec<f32> = fill(rows * classes, 2).iter().map(|v| v.abs()).collect();
            let weights: Vec<f32> = fill(classes, 3).iter().map(|v| 1.2 + v).collect();
            let mut hot = vec![0.0; rows * classes];
            labels.iter().enumerate().for_each(|(r, &c)| hot[r * classes + c as usize] = 1.0);
            for (label_smoothing, class_weights) in
                [(0.0, None), (0.1, None), (0.0, Some(&weights[..])), (0.3, Some(&weights))]
            {
                let options = CrossEntropy { label_smoothing, class_weights };
                let total: f64 = labels
                    .iter()
                    .map(|&c| class_weights.map_or(1.0, |w| f64::from(w[c as usize])))
                    .sum();
                let cases = [
                    (Targets::Classes(&labels), hot.clone(), total),
                    (Targets::Soft(&soft), widen(&soft), rows as f64),
                ];
                for (targets, distribution, divisor) in cases {
                    let mut grad = vec![f32::NAN; z.len()];
                    let loss =
                        cross_entropy(&z, classes, targets, &options, Some(&mut grad)).unwrap();
                    assert_eq!(loss, cross_entropy(&z, classes, targets, &options, None).unwrap());
                    let at = |z: &[f64]| exact(z, classes, &distribution, &options, divisor);
                    let expected = at(&widen(&z));
                    let error = (f64::from(loss) - expected).abs();
                    assert!(
                        error < 1e-6 * expected.max(1.0),
                        "{classes} classes, {options:?}: {error:e}"
                    );
                    if classes == 1 {
                        assert!(
                            grad.iter().all(|g| g.abs() < 1e-6),
                            "the only class cannot gain or lose"
                        );
                        continue;
                    }
                    let error = gradient_error(&widen(&z), &grad, 50, at);
                    assert!(error < 1e-4, "{classes} classes, {options:?}: {error:e}");
                }
            }
        }
    }

    #[test]
    fn faults_name_what_is_wrong() {
        let plain = CrossEntropy::default();
        let loss = |z: &[f32], classes, targets, options: &CrossEntropy<'_>| {
            cross_entropy(z, classes, targets, options, None).unwrap_err()
        };
        let fault = loss(&[0.0; 6], 3, Targets::Classes(&[0, 3]), &plain);
        assert_eq!(fault, LossError::ClassOutOfRange { row: 1, class: 3, classes: 3 });
        assert_eq!(
            fault.to_string(),
            "target of row 1 is class 3, but the logits have 3 classes (0 to 2)"
        );
        assert_eq!(
            loss(&[], 3, Targets::Classes(&[]), &plain),
            LossError::Empty { rows: 0, classes: 3 }
        );
        assert_eq!(
            loss(&[1.0], 0, Targets::Classes(&[]), &plain),
            LossError::Empty { rows: 1, classes: 0 }
        );
        assert!(matches!(
            loss(&[0.0; 6], 3, Targets::Classes(&[0]), &plain),
            LossError::Length { what: "targets", .. }
        ));
        assert!(matches!(
            loss(&[0.0; 6], 3, Targets::Soft(&[0.0]), &plain),
            LossError::Length { what: "soft targets", .. }
        ));
        let smoothing = CrossEntropy { label_smoothing: f32::NAN, ..plain };
        assert!(matches!(
            loss(&[0.0; 6], 3, Targets::Classes(&[0, 1]), &smoothing),
            LossError::Smoothing(_)
        ));
        let weights = CrossEntropy { class_weights: Some(&[1.0]), ..plain };
        assert!(matches!(
            loss(&[0.0; 6], 3, Targets::Classes(&[0, 1]), &weights),
            LossError::Length { .. }
        ));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (rows, classes) = (4000, 13);
        let (z, labels): (_, Vec<u32>) =
            (fill(rows * classes, 1), (0..rows).map(|r| (r % classes) as u32).collect());
        let run = || {
            let mut grad = vec![0.0; z.len()];
            let loss = cross_entropy(
                &z,
                classes,
                Targets::Classes(&labels),
                &CrossEntropy::default(),
                Some(&mut grad),
            );
            (loss.unwrap(), grad)
        };
        assert_eq!(with_threads(1, run), with_threads(3, run));
    }
}

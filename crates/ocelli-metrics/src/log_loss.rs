//! The mean negative log-likelihood of the true classes.

use crate::error::{MetricsError, check_rows};
use crate::fixed::FixedSum;
use serde::{Deserialize, Serialize};

/// The smallest probability that counts, as in scikit-learn's `log_loss` of f32 probabilities.
const SMALLEST: f64 = f32::EPSILON as f64;

/// The mean of -ln p(true class) in nats, with p clipped to [ε, 1 - ε], ε = 2^-23.
///
/// A row with NaN counts as probability 0, that is with -ln ε = 15.94.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLoss {
    sum: FixedSum,
    count: u64,
}

impl LogLoss {
    /// Counts rows of `classes` logits each; their softmax is computed in f64.
    ///
    /// # Errors
    /// [`MetricsError`] when lengths disagree or a target is no class.
    pub fn add_logits(
        &mut self,
        logits: &[f32],
        classes: usize,
        targets: &[u32],
    ) -> Result<(), MetricsError> {
        check_rows(logits, classes, targets)?;
        for (row, &target) in logits.chunks(classes.max(1)).zip(targets) {
            self.add_row(row, target as usize);
        }
        Ok(())
    }

    /// Counts one row by the probability that its true class was given.
    pub fn add_probability(&mut self, probability: f64) {
        let p = if probability.is_nan() { 0.0 } else { probability };
        self.sum.add(-p.clamp(SMALLEST, 1.0 - SMALLEST).ln());
        self.count = self.count.saturating_add(1);
    }

    pub(crate) fn add_row(&mut self, logits: &[f32], target: usize) {
        self.add_probability(probability(logits, target));
    }

    /// Adds the rows of another accumulator.
    pub fn merge(&mut self, other: &Self) {
        self.sum.merge(other.sum);
        self.count = self.count.saturating_add(other.count);
    }

    /// Rows counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean; 0 when there are no rows.
    pub fn value(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum.value() / self.count as f64 }
    }
}

/// The softmax of one class in f64; NaN if a logit is. Infinite logits share what there is.
fn probability(logits: &[f32], class: usize) -> f64 {
    if logits.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight =
        |x: f32| if x == largest { 1.0 } else { (f64::from(x) - f64::from(largest)).exp() };
    weight(logits[class]) / logits.iter().map(|&x| weight(x)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_by_hand() {
        let mut loss = LogLoss::default();
        loss.add_logits(&[0.0, 0.0, 0.0, 3f32.ln()], 2, &[0, 1]).unwrap();
        let expected = (2f64.ln() + (4.0f64 / 3.0).ln()) / 2.0;
        assert!((loss.value() - expected).abs() < 1e-7, "{}", loss.value());
    }

    #[test]
    fn certainty_is_clipped_and_nan_is_certainly_wrong() {
        let worst = -SMALLEST.ln();
        for row in [[0.0, 1000.0], [0.0, f32::INFINITY], [f32::NEG_INFINITY, 0.0], [f32::NAN, 0.0]]
        {
            let mut loss = LogLoss::default();
            loss.add_logits(&row, 2, &[0]).unwrap();
            assert!((loss.value() - worst).abs() < 1e-12, "{row:?}: {}", loss.value());
        }
        assert_eq!(probability(&[f32::NEG_INFINITY; 4], 1), 0.25);
        assert_eq!(LogLoss::default().value(), 0.0);
    }
}

//! Against the definition in f64, its finite differences, and the awkward cases.

use super::*;
use crate::testing::{fill, gradient_error, relative_error, widen, with_threads};

const EPS: f32 = 1e-3;

/// One case: its operands, and the loss Σ y * weight whose gradients are checked.
struct Case {
    channels: usize,
    x: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    residual: Option<Vec<f32>>,
    act: Activation,
    weight: Vec<f32>,
}

impl Case {
    fn new(rows: usize, channels: usize, act: Activation, residual: bool) -> Self {
        let len = rows * channels;
        let gamma = fill(channels, 2).iter().map(|g| 1.5 + g).collect();
        let beta = fill(channels, 3)
            .iter()
            .map(|b| if act == Activation::Relu6 { b * 4.0 + 3.0 } else { *b })
            .collect();
        let residual = residual.then(|| fill(len, 4));
        Self { channels, x: fill(len, 1), gamma, beta, residual, act, weight: fill(len, 5) }
    }

    fn statistics(&self) -> (Vec<f32>, Vec<f32>) {
        (fill(self.channels, 6), fill(self.channels, 7).iter().map(|v| 0.6 + v * 0.5).collect())
    }

    /// z by the definition; statistics of the batch unless given.
    fn exact_z(&self, operands: [&[f64]; 4], given: Option<(&[f32], &[f32])>) -> Vec<f64> {
        let [x, gamma, beta, residual] = operands;
        let (c, rows) = (self.channels, x.len() / self.channels);
        let mut z = vec![0.0; x.len()];
        for k in 0..c {
            let column = || (0..rows).map(|r| x[r * c + k]);
            let mean = column().sum::<f64>() / rows as f64;
            let var = column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64;
            let (mean, var) =
                given.map_or((mean, var), |(m, v)| (f64::from(m[k]), f64::from(v[k])));
            for at in (k..x.len()).step_by(c) {
                let normed = (x[at] - mean) / (var + f64::from(EPS)).sqrt() * gamma[k] + beta[k];
                z[at] = normed + residual.get(at).copied().unwrap_or(0.0);
            }
        }
        z
    }

    fn limits(&self) -> (f64, f64) {
        match self.act {
            Activation::Relu => (0.0, f64::MAX),
            Activation::Relu6 => (0.0, 6.0),
            _ => (f64::MIN, f64::MAX),
        }
    }

    fn operands(&self) -> [Vec<f64>; 4] {
        let residual = self.residual.as_deref().unwrap_or_default();
        [widen(&self.x), widen(&self.gamma), widen(&self.beta), widen(residual)]
    }

    fn check(&self, given: bool) {
        let statistics = given.then(|| self.statistics());
        let statistics = statistics.as_ref().map(|(m, v)| (&m[..], &v[..]));
        let operands = self.operands();
        let mut y = vec![f32::NAN; self.x.len()];
        let residual = self.residual.as_deref();
        let saved = match statistics {
            Some((m, v)) => forward_eval_saved(
                &self.x,
                &self.gamma,
                &self.beta,
                m,
                v,
                residual,
                self.act,
                EPS,
                &mut y,
            ),
            None => {
                forward_train(&self.x, &self.gamma, &self.beta, residual, self.act, EPS, &mut y)
            }
        };
        let z = self.exact_z(operands.each_ref().map(|o| &o[..]), statistics);
        let (low, high) = self.limits();
        let exact: Vec<f64> = z.iter().map(|z| z.clamp(low, high)).collect();
        assert!(relative_error(&y, &exact) < 1e-5, "{self}: y");
        if let Some((m, v)) = statistics {
            let mut again = vec![f32::NAN; y.len()];
            forward_eval(
                &self.x,
                &self.gamma,
                &self.beta,
                m,
                v,
                residual,
                self.act,
                EPS,
                &mut again,
            );
            assert_eq!(y, again);
        }
        let mut gradients = operands.each_ref().map(|o| vec![f32::NAN; o.len()]);
        self.backward(&saved, given, &mut gradients);
        for (which, name) in ["x", "gamma", "beta", "residual"].into_iter().enumerate() {
            let loss = |at: &[f64]| {
                let mut o = operands.each_ref().map(|o| &o[..]);
                o[which] = at;
                // On the branch of the clamp taken at the point itself: a step must not cross its corner.
                let branch = self.exact_z(o, statistics).into_iter().zip(&z);
                let y = branch.map(|(moved, &z)| if z > low && z < high { moved } else { 0.0 });
                y.zip(&self.weight).map(|(y, &w)| y * f64::from(w)).sum()
            };
            let error = gradient_error(&operands[which], &gradients[which], 40, loss);
            assert!(error < 2e-3, "{self}: gradient of {name}: {error:e}");
        }
        self.check_alone(&saved, given, &gradients);
    }

    /// Each gradient alone is the same as with the others.
    fn check_alone(&self, saved: &Saved, given: bool, all: &[Vec<f32>; 4]) {
        for (which, expected) in all.iter().enumerate() {
            let mut out = vec![f32::NAN; expected.len()];
            let mut grads = Grads::default();
            match which {
                0 => grads.x = Some(&mut out),
                1 => grads.gamma = Some(&mut out),
                2 => grads.beta = Some(&mut out),
                _ if self.residual.is_none() => continue,
                _ => grads.residual = Some(&mut out),
            }
            let backward = if given { backward_eval } else { backward_train };
            backward(&self.weight, &self.x, &self.gamma, saved, grads);
            assert_eq!(&out, expected, "{self}: gradient {which} alone");
        }
    }

    fn backward(&self, saved: &Saved, given: bool, [x, gamma, beta, residual]: &mut [Vec<f32>; 4]) {
        let residual = self.residual.is_some().then_some(&mut residual[..]);
        let grads = Grads { x: Some(x), gamma: Some(gamma), beta: Some(beta), residual };
        let backward = if given { backward_eval } else { backward_train };
        backward(&self.weight, &self.x, &self.gamma, saved, grads);
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = self.x.len() / self.channels;
        write!(f, "{rows} x {} {:?} residual {}", self.channels, self.act, self.residual.is_some())
    }
}

#[test]
fn forward_and_every_gradient_match_the_definition() {
    for act in [Activation::Identity, Activation::Relu, Activation::Relu6] {
        for residual in [false, true] {
            for (rows, channels) in [(2, 1), (7, 17), (37, 24), (70, 16), (3, 41)] {
                let case = Case::new(rows, channels, act, residual);
                case.check(false);
                case.check(true);
            }
        }
    }
}

#[test]
fn one_row_has_variance_zero_and_the_output_is_beta() {
    let case = Case::new(1, 5, Activation::Identity, false);
    let mut y = vec![f32::NAN; 5];
    let saved = forward_train(&case.x, &case.gamma, &case.beta, None, case.act, EPS, &mut y);
    assert_eq!(saved.var, [0.0; 5]);
    assert_eq!(y, case.beta);
    let mut dx = vec![f32::NAN; 5];
    let grads = Grads { x: Some(&mut dx), ..Grads::default() };
    backward_train(&case.weight, &case.x, &case.gamma, &saved, grads);
    assert!(dx.iter().all(|d| d.abs() < 1e-5), "{dx:?}");
}

#[test]
fn no_rows_and_constant_channels_give_no_nan() {
    let saved = forward_train(&[], &[1.0], &[0.0], None, Activation::Relu, EPS, &mut []);
    assert_eq!((saved.mean, saved.var), (vec![0.0], vec![0.0]));
    let x = vec![1234.567; 99];
    let mut y = vec![f32::NAN; 99];
    let saved = forward_train(&x, &[2.0], &[0.5], None, Activation::Relu, 1e-5, &mut y);
    assert_eq!((saved.mean, saved.var), (vec![1234.567], vec![0.0]));
    assert!(y.iter().all(|&v| v == 0.5));
}

#[test]
fn a_mean_of_a_thousand_deviations_does_no_harm() {
    let (rows, channels) = (5000, 3);
    // On a grid that f32 holds exactly at 1000, so that the data themselves are not rounded.
    let x: Vec<f32> =
        fill(rows * channels, 9).iter().map(|v| 1000.0 + (v * 1024.0).round() / 1024.0).collect();
    let case = Case { x, ..Case::new(rows, channels, Activation::Identity, false) };
    let operands = case.operands();
    let x = &operands[0];
    let mut y = vec![f32::NAN; rows * channels];
    let saved = forward_train(&case.x, &case.gamma, &case.beta, None, case.act, EPS, &mut y);
    assert!(relative_error(&y, &case.exact_z(operands.each_ref().map(|o| &o[..]), None)) < 2e-6);
    for k in 0..channels {
        let column = || x.iter().skip(k).step_by(channels);
        let mean = column().sum::<f64>() / rows as f64;
        let var = column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64;
        assert!((f64::from(saved.var[k]) / var - 1.0).abs() < 1e-6);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let case = Case::new(9000, 33, Activation::Relu, true);
    let run = || {
        let mut y = vec![0.0; case.x.len()];
        let saved = forward_train(
            &case.x,
            &case.gamma,
            &case.beta,
            case.residual.as_deref(),
            case.act,
            EPS,
            &mut y,
        );
        let mut gradients = case.operands().map(|o| vec![0.0; o.len()]);
        case.backward(&saved, false, &mut gradients);
        (y, saved.mean, saved.var, gradients)
    };
    assert_eq!(with_threads(1, run), with_threads(3, run));
}

#[test]
#[should_panic(expected = "Gelu does not fuse")]
fn other_activations_are_refused() {
    forward_eval(&[1.0], &[1.0], &[0.0], &[0.0], &[1.0], None, Activation::Gelu, EPS, &mut [0.0]);
}

#[test]
fn addition_with_an_activation_and_its_backward() {
    for len in [0, 1, 511, 40_000] {
        let (x, residual, dy) = (fill(len, 1), fill(len, 2), fill(len, 3));
        for (act, high) in [
            (Activation::Identity, f32::MAX),
            (Activation::Relu, f32::MAX),
            (Activation::Relu6, 6.0),
        ] {
            let x: Vec<f32> = x.iter().map(|v| v * 9.0).collect();
            let (mut y, mut dx) = (vec![f32::NAN; len], vec![f32::NAN; len]);
            let mask = add_act(&x, &residual, act, &mut y);
            add_act_backward(&dy, &mask, &mut dx);
            for i in 0..len {
                let z = x[i] + residual[i];
                let low = if act == Activation::Identity { f32::MIN } else { 0.0 };
                assert_eq!(y[i], z.clamp(low, high));
                assert_eq!(dx[i], if z > low && z < high { dy[i] } else { 0.0 });
            }
        }
    }
}

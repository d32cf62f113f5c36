//! Against the definition in f64, its finite differences, and the awkward cases.

use super::*;
use crate::testing::{fill, gradient_error, relative_error, widen, with_threads};
use crate::{Bf16, Floats, FloatsMut};

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

    fn norm(&self, given: Option<(&[f32], &[f32])>) -> Norm {
        let (gamma, beta) = (&self.gamma, &self.beta);
        match given {
            Some((mean, var)) => Norm::given(mean, var, gamma, beta, self.act, EPS),
            None => {
                let moments = Moments::new(&self.x, self.channels);
                Norm::of_batch(&moments, gamma, beta, self.act, EPS)
            }
        }
    }

    fn check(&self, given: bool) {
        let statistics = given.then(|| self.statistics());
        let statistics = statistics.as_ref().map(|(m, v)| (&m[..], &v[..]));
        let operands = self.operands();
        let mut y = vec![f32::NAN; self.x.len()];
        let residual = self.residual.as_deref().map(Floats::from);
        let norm = self.norm(statistics);
        let mask = norm.forward(&self.x, residual, &mut y);
        let z = self.exact_z(operands.each_ref().map(|o| &o[..]), statistics);
        let (low, high) = self.limits();
        let exact: Vec<f64> = z.iter().map(|z| z.clamp(low, high)).collect();
        assert!(relative_error(&y, &exact) < 1e-5, "{self}: y");
        let mut gradients = operands.each_ref().map(|o| vec![f32::NAN; o.len()]);
        self.backward(&norm, &mask, &mut gradients);
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
    }

    fn backward(&self, norm: &Norm, mask: &Mask, [x, gamma, beta, residual]: &mut [Vec<f32>; 4]) {
        let masked = !mask.is_empty();
        let sums = match masked {
            true => norm.sums_gated(&self.weight, &self.x, mask, &mut *residual),
            false => norm.sums(&self.weight, &self.x),
        };
        if !masked && self.residual.is_some() {
            residual.copy_from_slice(&self.weight);
        }
        norm.parameter_gradients(&sums, [Some(gamma), Some(beta)]);
        let gradient = norm.gradient(self.x.len() / self.channels, &sums, masked);
        gradient.write(if masked { residual } else { &self.weight }, &self.x, x);
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
    let norm = case.norm(None);
    norm.forward(&case.x, None, &mut y);
    assert_eq!(norm.var(), [0.0; 5]);
    assert_eq!(y, case.beta);
    let mut dx = vec![f32::NAN; 5];
    let sums = norm.sums(&case.weight, &case.x);
    norm.gradient(1, &sums, false).write(&case.weight, &case.x, &mut dx);
    assert!(dx.iter().all(|d| d.abs() < 1e-5), "{dx:?}");
}

#[test]
fn no_rows_and_constant_channels_give_no_nan() {
    let norm =
        |x: &[f32]| Norm::of_batch(&Moments::new(x, 1), &[2.0], &[0.5], Activation::Relu, 1e-5);
    let empty = norm(&[]);
    empty.forward(Floats::F32(&[]), None, FloatsMut::F32(&mut []));
    assert_eq!((empty.mean(), empty.var()), (&[0.0][..], &[0.0][..]));
    let x = vec![1234.567; 99];
    let mut y = vec![f32::NAN; 99];
    let norm = norm(&x);
    norm.forward(&x, None, &mut y);
    assert_eq!((norm.mean(), norm.var()), (&[1234.567][..], &[0.0][..]));
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
    let norm = case.norm(None);
    norm.forward(&case.x, None, &mut y);
    assert!(relative_error(&y, &case.exact_z(operands.each_ref().map(|o| &o[..]), None)) < 2e-6);
    for k in 0..channels {
        let column = || x.iter().skip(k).step_by(channels);
        let mean = column().sum::<f64>() / rows as f64;
        let var = column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64;
        assert!((f64::from(norm.var()[k]) / var - 1.0).abs() < 1e-6);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let case = Case::new(9000, 33, Activation::Relu, true);
    let run = || {
        let mut y = vec![0.0; case.x.len()];
        let norm = case.norm(None);
        let mask = norm.forward(&case.x, case.residual.as_deref().map(Floats::from), &mut y);
        let mut gradients = case.operands().map(|o| vec![0.0; o.len()]);
        case.backward(&norm, &mask, &mut gradients);
        (y, norm.mean().to_vec(), norm.var().to_vec(), gradients)
    };
    assert_eq!(with_threads(1, run), with_threads(3, run));
}

#[test]
#[should_panic(expected = "Gelu does not fuse")]
fn other_activations_are_refused() {
    Norm::given(&[0.0], &[1.0], &[1.0], &[0.0], Activation::Gelu, EPS);
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

#[test]
fn bf16_is_f32_of_the_same_values_rounded() {
    let narrow = |values: &[f32]| values.iter().map(|&v| Bf16::new(v)).collect::<Vec<_>>();
    let wide = |values: &[Bf16]| values.iter().map(|v| v.to_f32()).collect::<Vec<_>>();
    // More than a group of rows, and channels beyond whole vectors.
    for (act, channels) in
        [(Activation::Relu, 64), (Activation::Relu6, 21), (Activation::Identity, 3)]
    {
        let case = Case::new(77, channels, act, true);
        let [x, residual, dy] =
            [&case.x, case.residual.as_ref().unwrap(), &case.weight].map(|v| narrow(v));
        let [wide_x, wide_residual, wide_dy] = [&x, &residual, &dy].map(|v| wide(v));
        let norm = Norm::of_batch(&Moments::new(&x, channels), &case.gamma, &case.beta, act, EPS);
        let moments = Moments::new(&wide_x, channels);
        let same = Norm::of_batch(&moments, &case.gamma, &case.beta, act, EPS);
        assert_eq!([norm.mean(), norm.var()], [same.mean(), same.var()]);
        let (mut y, mut g) = (vec![Bf16::default(); x.len()], vec![Bf16::default(); x.len()]);
        let (mut wide_y, mut wide_g) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        let mask = norm.forward(&x, Some((&residual).into()), &mut y);
        let wide_mask = norm.forward(&wide_x, Some((&wide_residual).into()), &mut wide_y);
        assert!(y == narrow(&wide_y) && mask.words == wide_mask.words, "{act:?}");
        if act != Activation::Identity {
            let sums = norm.sums_gated(&dy, &x, &mask, &mut g);
            let wide_sums = norm.sums_gated(&wide_dy, &wide_x, &wide_mask, &mut wide_g);
            assert_eq!(g, narrow(&wide_g), "{act:?}");
            let of = |sums: &NormSums| {
                let (mut gamma, mut beta) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
                norm.parameter_gradients(sums, [Some(&mut gamma), Some(&mut beta)]);
                [gamma, beta]
            };
            assert_eq!(of(&sums), of(&wide_sums), "{act:?}");
        }
        let gradient = norm.gradient(77, &norm.sums(&dy, &x), false);
        gradient.write(&dy, &x, &mut g);
        gradient.write(&wide_dy, &wide_x, &mut wide_g);
        assert_eq!(g, narrow(&wide_g), "{act:?}");
    }
}

//! Activations, batch norm, pooling and cross-entropy against PyTorch's values (tests/golden/ops.py).

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use ocelli_kernels::activation::{self, Activation};
use ocelli_kernels::loss::{CrossEntropy, Targets, cross_entropy};
use ocelli_kernels::norm::{Moments, Norm};
use ocelli_kernels::pool::{self, Divisor, PoolShape};
use ocelli_kernels::testing::relative_error;
use ocelli_kernels::{Floats, Padding};
use serde_json::Value;

fn cases(part: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("golden/ops.json")).unwrap();
    all[part].as_array().unwrap().clone()
}

fn exact(case: &Value, name: &str) -> Vec<f64> {
    case[name]
        .as_array()
        .unwrap_or_else(|| panic!("{name}"))
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

fn floats(case: &Value, name: &str) -> Vec<f32> {
    exact(case, name).into_iter().map(|v| v as f32).collect()
}

fn optional(case: &Value, name: &str) -> Option<Vec<f32>> {
    (!case[name].is_null()).then(|| floats(case, name))
}

fn sizes<const N: usize>(case: &Value, name: &str) -> [usize; N] {
    exact(case, name).iter().map(|&v| v as usize).collect::<Vec<_>>().try_into().unwrap()
}

fn assert_close(got: &[f32], case: &Value, name: &str, tolerance: f64) {
    let error = relative_error(got, &exact(case, name));
    assert!(error <= tolerance, "{name} is off by {error:e} in {case}");
}

fn activation(case: &Value) -> Activation {
    match case["act"].as_str().unwrap() {
        "Identity" => Activation::Identity,
        "Relu" => Activation::Relu,
        "Relu6" => Activation::Relu6,
        "Sigmoid" => Activation::Sigmoid,
        "Silu" => Activation::Silu,
        "HardSigmoid" => Activation::HardSigmoid,
        "HardSwish" => Activation::HardSwish,
        "Gelu" => Activation::Gelu,
        other => panic!("{other}"),
    }
}

#[test]
fn activations() {
    for case in cases("activations") {
        let (act, x) = (activation(&case), floats(&case, "x"));
        let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        activation::forward(act, &x, &mut y);
        activation::backward(act, &x, &vec![1.0; x.len()], &mut dx);
        assert_close(&y, &case, "y", 1e-6);
        assert_close(&dx, &case, "dx", 2e-6);
    }
}

#[test]
fn norms() {
    for case in cases("norms") {
        let (act, train) = (activation(&case), case["train"].as_bool().unwrap());
        let [x, gamma, beta, mean, var, dy] =
            ["x", "gamma", "beta", "mean", "var", "dy"].map(|name| floats(&case, name));
        let residual = optional(&case, "residual");
        let mut y = vec![0.0; x.len()];
        let norm = if train {
            Norm::of_batch(&Moments::new(&x, gamma.len()), &gamma, &beta, act, 1e-5)
        } else {
            Norm::given(&mean, &var, &gamma, &beta, act, 1e-5)
        };
        let mask = norm.forward(&x, residual.as_deref().map(Floats::from), &mut y);
        assert_close(norm.mean(), &case, "mean", 1e-6);
        assert_close(norm.var(), &case, "var", 1e-6);
        assert_close(&y, &case, "y", 3e-6);
        let [mut dx, mut dresidual] = [(); 2].map(|()| vec![0.0; x.len()]);
        let [mut dgamma, mut dbeta] = [(); 2].map(|()| vec![0.0; gamma.len()]);
        dresidual.copy_from_slice(&dy);
        let masked = !mask.is_empty();
        let sums = match masked {
            true => norm.sums_gated(&dy, &x, &mask, &mut dresidual),
            false => norm.sums(&dy, &x),
        };
        norm.parameter_gradients(&sums, [Some(&mut dgamma), Some(&mut dbeta)]);
        norm.gradient(x.len() / gamma.len(), &sums, masked).write(&dresidual, &x, &mut dx);
        assert_close(&dx, &case, "dx", 1e-5);
        assert_close(&dgamma, &case, "dgamma", 1e-5);
        assert_close(&dbeta, &case, "dbeta", 1e-5);
        if residual.is_some() {
            assert_close(&dresidual, &case, "dresidual", 0.0);
        }
    }
}

#[test]
fn pools() {
    for case in cases("pools") {
        let [batch, height, width, channels] = sizes(&case, "size");
        let [vertical, horizontal] = sizes(&case, "padding");
        let shape = PoolShape {
            batch,
            height,
            width,
            channels,
            kernel: sizes(&case, "kernel"),
            stride: sizes(&case, "stride"),
            padding: Padding::symmetric(vertical, horizontal),
            ceil_mode: case["ceil"].as_bool().unwrap(),
        };
        shape.check().unwrap();
        assert_eq!(shape.output(), sizes::<2>(&case, "output"));
        let (x, dy) = (floats(&case, "x"), floats(&case, "dy"));
        let (mut y, mut dx) = (vec![0.0; shape.y_len()], vec![0.0; shape.x_len()]);
        let divisor = if case["kind"] == "padded" { Divisor::Padded } else { Divisor::Valid };
        if case["kind"] == "max" {
            let mut taps = vec![0; shape.y_len()];
            pool::max_forward(&shape, &x, &mut y, Some(&mut taps));
            pool::max_backward(&shape, &dy, &taps, None, &mut dx);
        } else {
            pool::average_forward(&shape, divisor, &x, &mut y);
            pool::average_backward(&shape, divisor, &dy, &mut dx);
        }
        assert_close(&y, &case, "y", 1e-6);
        assert_close(&dx, &case, "dx", 1e-6);
    }
}

#[test]
fn losses() {
    for case in cases("losses") {
        let (classes, z) = (case["classes"].as_u64().unwrap() as usize, floats(&case, "z"));
        let weights = optional(&case, "weights");
        let label_smoothing = case["smoothing"].as_f64().unwrap() as f32;
        let options = CrossEntropy { label_smoothing, class_weights: weights.as_deref() };
        let labels: Option<Vec<u32>> =
            optional(&case, "labels").map(|l| l.into_iter().map(|c| c as u32).collect());
        let soft = optional(&case, "soft");
        let targets = match (&labels, &soft) {
            (Some(labels), _) => Targets::Classes(labels),
            (None, soft) => Targets::Soft(soft.as_deref().unwrap()),
        };
        let mut grad = vec![0.0; z.len()];
        let loss = cross_entropy(&z, classes, targets, &options, Some(&mut grad)).unwrap();
        let expected = case["loss"].as_f64().unwrap();
        assert!((f64::from(loss) - expected).abs() <= 1e-6 * expected.abs(), "{loss} in {case}");
        assert_close(&grad, &case, "grad", 1e-6);
    }
}

use candle_core::{Device, Tensor};
use ocelli_nn::{Init, Layout, ParamStore};
use serde_json::Value;

use super::*;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../tests/golden/train.json")).unwrap()
}

/// The configuration of a golden case.
fn config(case: &Value) -> OptimizerConfig {
    let number = |key: &str| case[key].as_f64().unwrap();
    let weight_decay = number("weight_decay");
    let betas = || (case["betas"][0].as_f64().unwrap(), case["betas"][1].as_f64().unwrap());
    match case["kind"].as_str().unwrap() {
        "sgd" => OptimizerConfig::Sgd(Sgd {
            momentum: number("momentum"),
            nesterov: case["nesterov"].as_bool().unwrap(),
            weight_decay,
        }),
        kind => {
            let ((beta1, beta2), eps) = (betas(), number("eps"));
            match kind {
                "adam" => OptimizerConfig::Adam(Adam { beta1, beta2, eps, weight_decay }),
                _ => OptimizerConfig::AdamW(AdamW { beta1, beta2, eps, weight_decay }),
            }
        }
    }
}

fn param(values: &[f32], kind: Kind) -> Param {
    let store = ParamStore::new(0);
    let param =
        store.root().param("w", &[values.len()], Init::Constant(0.0), kind, Layout::Plain).unwrap();
    param.update(|slot| slot.copy_from_slice(values)).unwrap();
    param
}

/// The store that a backward pass leaves whose gradient is the one given.
fn gradients(param: &Param, gradient: &[f32]) -> ParamGradients {
    let gradient = Tensor::new(gradient, &Device::Cpu).unwrap();
    let loss = (param.tensor() * gradient).unwrap().sum_all().unwrap();
    ParamGradients::from_candle(&loss.backward().unwrap()).unwrap()
}

fn take_step(optimizer: &mut Optimizer, param: &Param, gradient: &[f32], rate: f64) {
    optimizer.step(std::slice::from_ref(param), &gradients(param, gradient), |_| rate).unwrap();
}

#[test]
fn ten_steps_are_pytorchs() {
    let golden = &golden()["optimizers"];
    let start: Vec<f32> = serde_json::from_value(golden["start"].clone()).unwrap();
    let given: Vec<Vec<f32>> = serde_json::from_value(golden["gradients"].clone()).unwrap();
    let mut cases = 0;
    for (name, case) in golden.as_object().unwrap().iter().filter(|(_, case)| case.is_object()) {
        let mut optimizer = Optimizer::new(config(case));
        let param = param(&start, Kind::Weight);
        for (step, gradient) in given.iter().enumerate() {
            let rate = case["lr"].as_f64().unwrap_or_else(|| case["lr"][step].as_f64().unwrap());
            take_step(&mut optimizer, &param, gradient, rate);
            for (found, wanted) in
                param.values().unwrap().iter().zip(case["after"][step].as_array().unwrap())
            {
                let wanted = wanted.as_f64().unwrap();
                assert!(
                    (f64::from(*found) - wanted).abs() < 3e-6,
                    "{name}, step {step}: {found}, not {wanted}"
                );
            }
        }
        cases += 1;
    }
    assert_eq!(cases, 10);
}

#[test]
fn norms_and_biases_do_not_decay() {
    for mut config in [OptimizerConfig::sgd(), OptimizerConfig::adam(), OptimizerConfig::adamw()] {
        config.set_weight_decay(0.5);
        for kind in [Kind::Norm, Kind::Bias] {
            let param = param(&[2.0, -3.0], kind);
            take_step(&mut Optimizer::new(config.clone()), &param, &[0.0, 0.0], 0.1);
            assert_eq!(param.values().unwrap(), [2.0, -3.0], "{config:?} {kind:?}");
        }
        let param = param(&[2.0, -3.0], Kind::Weight);
        take_step(&mut Optimizer::new(config.clone()), &param, &[0.0, 0.0], 0.1);
        assert!(param.values().unwrap()[0] < 2.0, "{config:?}");
    }
}

#[test]
fn a_resumed_optimizer_takes_the_same_steps() {
    let gradient =
        |step: usize| -> Vec<f32> { (0..7).map(|i| ((i * 3 + step) as f32 * 0.7).sin()).collect() };
    for config in [OptimizerConfig::sgd(), OptimizerConfig::adam(), OptimizerConfig::adamw()] {
        let (mut whole, mut first) =
            (Optimizer::new(config.clone()), Optimizer::new(config.clone()));
        let (one, two) = (param(&[0.5; 7], Kind::Weight), param(&[0.5; 7], Kind::Weight));
        (0..6).for_each(|step| take_step(&mut whole, &one, &gradient(step), 0.05));
        (0..3).for_each(|step| take_step(&mut first, &two, &gradient(step), 0.05));
        let mut second = Optimizer::new(config);
        second.load_state(&first.state()).unwrap();
        (3..6).for_each(|step| take_step(&mut second, &two, &gradient(step), 0.05));
        assert_eq!(one.values().unwrap(), two.values().unwrap());
        assert_eq!(whole.state(), second.state());
    }
}

#[test]
fn state_that_does_not_fit_is_refused() {
    let param = param(&[1.0, 2.0], Kind::Weight);
    let mut adam = Optimizer::new(OptimizerConfig::adam());
    take_step(&mut adam, &param, &[1.0, 1.0], 0.1);
    let state = adam.state();
    let names: Vec<&str> = state.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["mean/w", "square/w", "steps/w"]);

    let refused = |state: &[(String, DiskTensor)], config| {
        Optimizer::new(config).load_state(state).unwrap_err().to_string()
    };
    assert!(refused(&state, OptimizerConfig::sgd()).contains("mean/w"));
    assert!(refused(&state[..2], OptimizerConfig::adam()).contains("`w` is incomplete"));
    let mut bad = state.clone();
    bad[0].1.values[0] = f32::NAN;
    assert!(refused(&bad, OptimizerConfig::adam()).contains("NaN"));

    let step = |state: &[(String, DiskTensor)]| {
        let mut adam = Optimizer::new(OptimizerConfig::adam());
        adam.load_state(state).unwrap();
        let gradients = gradients(&param, &[1.0, 1.0]);
        adam.step(std::slice::from_ref(&param), &gradients, |_| 0.1).unwrap_err().to_string()
    };
    let mut short = state.clone();
    short[1].1.values.pop();
    assert!(step(&short).contains("1 values, the parameter 2"));
    let other: Vec<_> =
        state.iter().map(|(name, tensor)| (format!("{name}2"), tensor.clone())).collect();
    assert!(step(&other).contains("lacks `w`"));
}

#[test]
fn a_parameter_without_a_gradient_stays() {
    let (one, other) = (param(&[1.0], Kind::Weight), param(&[1.0], Kind::Weight));
    let mut optimizer = Optimizer::new(OptimizerConfig::adamw());
    let gradients = gradients(&one, &[1.0]);
    optimizer.step(&[one.clone(), other.clone()], &gradients, |_| 0.1).unwrap();
    assert_ne!(one.values().unwrap(), [1.0]);
    assert_eq!(other.values().unwrap(), [1.0]);
    // A loop that asks candle alone for the gradients would learn nothing, and must not do so in silence.
    let error = optimizer.step(&[other], &gradients, |_| 0.1).unwrap_err();
    assert!(error.to_string().contains("Pass::backward"), "{error}");
}

#[test]
fn chunks_change_nothing() {
    let n = (1 << 15) * 2 + 5;
    let gradient: Vec<f32> = (0..n).map(|i| (i as f32 * 0.1).sin()).collect();
    for config in [OptimizerConfig::sgd(), OptimizerConfig::adamw()] {
        let whole = param(&vec![0.5; n], Kind::Weight);
        take_step(&mut Optimizer::new(config.clone()), &whole, &gradient, 0.1);
        let values = whole.values().unwrap();
        for at in [0, 1 << 15, n - 3] {
            let part = param(&[0.5; 3], Kind::Weight);
            take_step(&mut Optimizer::new(config.clone()), &part, &gradient[at..at + 3], 0.1);
            assert_eq!(part.values().unwrap(), values[at..at + 3]);
        }
    }
}

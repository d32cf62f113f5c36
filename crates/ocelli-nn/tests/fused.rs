//! What layers do in one step is what they would do in several.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

use ocelli_nn::functional::{activation, add};
use ocelli_nn::layers::{BatchNorm, Conv2d, ConvConfig, ConvNormAct};
use ocelli_nn::{Activation, Block, Feature, Kind, ParamStore, Pass, Precision, Tensor};

fn numbers(len: usize, seed: f32) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 0.713 + seed).sin()).collect()
}

fn map(dims: [usize; 4], seed: f32) -> Feature {
    Feature::from_vec(numbers(dims.iter().product(), seed), &dims).unwrap()
}

/// The largest difference, beside the largest value.
fn difference(a: &Feature, b: &Feature) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let largest = a.values().iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let pairs = a.values().iter().zip(b.values());
    pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn a_clamp_in_a_convolution_is_the_clamp_behind_it() {
    for act in [Activation::Relu, Activation::Relu6, Activation::Silu, Activation::Identity] {
        let store = ParamStore::new(1);
        let conv = Conv2d::new(&store.root().pp("c"), ConvConfig::new(4, 6, 3).bias()).unwrap();
        let x = map([2, 7, 5, 4], 0.0);
        let results = [false, true].map(|fused| {
            let mut pass = Pass::train(0, 0);
            let y = match fused {
                true => conv.forward_act(&x, act, "act", &mut pass).unwrap(),
                false => {
                    let y = conv.forward(&x, &mut pass).unwrap();
                    activation("act", &y, act, &mut pass).unwrap()
                }
            };
            let weights = numbers(y.values().len(), 5.0);
            let weights = Tensor::from_vec(weights, y.dims(), &ocelli_nn::Device::Cpu).unwrap();
            let loss = (y.tensor().unwrap() * weights).unwrap().sum_all().unwrap();
            let gradients = pass.backward(&loss).unwrap();
            let of = |name: &str| -> Vec<f32> {
                gradients.get(&store.get(name).unwrap()).unwrap().to_vec()
            };
            (y.values().to_vec(), of("c.weight"), of("c.bias"))
        });
        assert!(results[0] == results[1], "{act:?}");
    }
}

#[test]
fn a_folded_norm_is_the_norm_and_follows_its_parameters() {
    for act in [Activation::Relu6, Activation::Silu] {
        let (one, two) = (ParamStore::new(1), ParamStore::new(2));
        let config = ConvConfig::new(8, 16, 3);
        let brick = ConvNormAct::new(&one.root(), ["conv", "bn"], config, act).unwrap();
        let conv = Conv2d::new(&two.root().pp("conv"), config).unwrap();
        let norm = BatchNorm::new(&two.root().pp("bn"), 16).unwrap();
        let (x, residual) = (map([3, 9, 9, 8], 0.0), map([3, 9, 9, 16], 2.0));
        for round in 0..3 {
            // Statistics and weights as of a trained network, moved every time.
            for (i, param) in one.all().iter().enumerate() {
                let moved = numbers(param.len(), (10 * round + i) as f32);
                let variance = param.name().ends_with("var");
                param
                    .update(|values| {
                        for (value, moved) in values.iter_mut().zip(&moved) {
                            *value =
                                if variance { moved.abs() + 0.5 } else { *value + 0.1 * moved };
                        }
                    })
                    .unwrap();
                let values = param.values().unwrap();
                two.get(param.name()).unwrap().update(|to| to.copy_from_slice(&values)).unwrap();
            }
            let mut pass = Pass::eval();
            for residual in [None, Some(&residual)] {
                let folded = match residual {
                    Some(residual) => brick.forward_add(&x, residual, &mut pass).unwrap(),
                    None => brick.forward(&x, &mut pass).unwrap(),
                };
                let y = conv.forward(&x, &mut pass).unwrap();
                let y = norm.forward_act(&y, residual, act, &mut pass).unwrap();
                assert!(difference(&y, &folded) < 1e-5, "{act:?}, round {round}");
            }
        }
    }
}

#[test]
fn a_precise_pass_rounds_otherwise_than_a_fast_one() {
    let store = ParamStore::new(1);
    let config = ConvConfig::new(32, 32, 3);
    let conv = Conv2d::new(&store.root().pp("c"), config).unwrap();
    let brick =
        ConvNormAct::new(&store.root().pp("b"), ["c", "n"], config, Activation::Relu).unwrap();
    let x = map([2, 16, 16, 32], 0.0);
    let both: [&dyn Block; 2] = [&conv, &brick];
    for block in both {
        let run =
            |precision| block.forward(&x, &mut Pass::eval().with_precision(precision)).unwrap();
        let (fast, precise) = (run(Precision::Fast), run(Precision::Precise));
        assert_ne!(fast.values(), precise.values());
        assert!(difference(&precise, &fast) < 1e-5);
    }
}

#[test]
fn a_timed_pass_knows_every_operation() {
    let store = ParamStore::new(1);
    let config = ConvConfig::new(3, 8, 3);
    let brick = ConvNormAct::new(&store.root(), ["conv", "bn"], config, Activation::Relu).unwrap();
    let x = map([2, 16, 16, 3], 0.0);
    let mut pass = Pass::train(0, 0).timed();
    let loss = brick.forward(&x, &mut pass).unwrap().tensor().unwrap().sum_all().unwrap();
    pass.backward(&loss).unwrap();
    let times = pass.times();
    let ops: Vec<_> = times.iter().map(|time| (time.path.as_str(), time.op)).collect();
    assert_eq!(ops, [("conv", "Conv"), ("bn", "BatchNorm"), ("bn", "ReLU")]);
    assert!(times[..2].iter().all(|time| !time.forward.is_zero() && !time.backward.is_zero()));
    assert!(Pass::eval().times().is_empty());
    let mut pass = Pass::eval().timed();
    brick.forward(&x, &mut pass).unwrap();
    assert_eq!(pass.times().len(), 1);
    assert_eq!(store.all().iter().filter(|param| param.kind() == Kind::Buffer).count(), 2);
}

#[test]
fn a_norm_has_the_same_gradients_however_many_read_it_and_however() {
    let store = ParamStore::new(3);
    let layer = |name: &str| store.root().pp(name);
    let brick =
        ConvNormAct::new(&layer("a"), ["conv", "bn"], ConvConfig::new(4, 6, 3), Activation::Relu6);
    let brick = brick.unwrap();
    let dense = Conv2d::new(&layer("b"), ConvConfig::new(6, 6, 3)).unwrap();
    let depthwise = Conv2d::new(&layer("c"), ConvConfig::new(6, 6, 3).depthwise()).unwrap();
    let x = map([2, 7, 5, 4], 0.0);
    let weights = numbers(2 * 7 * 5 * 6, 5.0);
    let loss = |pass: &mut Pass, written: bool| {
        let y = brick.forward(&x, pass).unwrap();
        if written {
            y.values();
        }
        let parts = [dense.forward(&y, pass).unwrap(), depthwise.forward(&y, pass).unwrap()];
        // Of the readers of y, two are convolutions and one wants the numbers.
        let sum = add("sum", &parts[0], &parts[1], pass).unwrap();
        let sum = add("all", &sum, &y, pass).unwrap();
        let weights =
            Tensor::from_vec(weights.clone(), sum.dims(), &ocelli_nn::Device::Cpu).unwrap();
        (sum.tensor().unwrap() * weights).unwrap().sum_all().unwrap()
    };
    let [lazily, written] = [false, true].map(|written| {
        let mut pass = Pass::train(0, 0);
        let loss = loss(&mut pass, written);
        let gradients = pass.backward(&loss).unwrap();
        store.trainable().iter().map(|p| gradients.get(p).unwrap().to_vec()).collect::<Vec<_>>()
    });
    assert_eq!(lazily, written);
    for (param, gradient) in store.trainable().iter().zip(&lazily) {
        let at = |offset: f32| {
            param.update(|values| values[0] += offset).unwrap();
            let value = loss(&mut Pass::train(0, 0), false).to_scalar::<f32>().unwrap();
            param.update(|values| values[0] -= offset).unwrap();
            value
        };
        let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
        let found = gradient[0];
        assert!(
            (found - slope).abs() < 0.02 + 0.03 * slope.abs(),
            "{}: {found}, {slope}",
            param.name()
        );
    }
}

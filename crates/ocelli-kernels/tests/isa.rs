//! Every instruction set gives the same bits. A process of its own, because the limit holds for all of it.

use ocelli_kernels::Padding;
use ocelli_kernels::activation::{self, Activation};
use ocelli_kernels::isa::{Isa, current, limit};
use ocelli_kernels::loss::{CrossEntropy, Targets, cross_entropy};
use ocelli_kernels::norm::{Moments, Norm};
use ocelli_kernels::pool::{self, PoolShape};
use ocelli_kernels::testing::fill;

const ROWS: usize = 300;
const CHANNELS: usize = 45;

fn norm_and_its_gradients() -> Vec<f32> {
    let len = ROWS * CHANNELS;
    let [x, residual, dy] = [1, 2, 3].map(|seed| fill(len, seed));
    let [gamma, beta] = [4, 5].map(|seed| fill(CHANNELS, seed));
    let [mut y, mut dx, mut dresidual] = [(); 3].map(|()| vec![0.0; len]);
    let mut dgamma = vec![0.0; CHANNELS];
    let act = Activation::Relu6;
    let norm = Norm::of_batch(&Moments::new(&x, CHANNELS), &gamma, &beta, act, 1e-5);
    let mask = norm.forward(&x, Some((&residual).into()), &mut y);
    let sums = norm.sums_gated(&dy, &x, &mask, &mut dresidual);
    norm.parameter_gradients(&sums, [Some(&mut dgamma), None]);
    norm.gradient(ROWS, &sums, true).write(&dresidual, &x, &mut dx);
    // Without a residual, what lets gradients through is known from x.
    let mut dx_alone = vec![0.0; len];
    norm.gradient(ROWS, &norm.sums(&dy, &x), false).write(&dy, &x, &mut dx_alone);
    let statistics = [norm.mean().to_vec(), norm.var().to_vec()].concat();
    [y, dx, dresidual, dgamma, dx_alone, statistics].concat()
}

fn pools_losses_and_activations() -> Vec<f32> {
    let shape = PoolShape {
        batch: 2,
        height: 9,
        width: 11,
        channels: CHANNELS,
        kernel: [3, 3],
        stride: [2, 2],
        padding: Padding::symmetric(1, 1),
        ceil_mode: true,
    };
    let x = fill(shape.x_len(), 6);
    let mut y = vec![0.0; shape.y_len()];
    let mut taps = vec![0; shape.y_len()];
    let [mut dx, mut grad, mut gelu] = [(); 3].map(|()| vec![0.0; x.len()]);
    pool::max_forward(&shape, &x, &mut y, Some(&mut taps));
    pool::max_backward(&shape, &y, &taps, None, &mut dx);
    activation::forward(Activation::Gelu, &x, &mut gelu);
    let labels = vec![7; x.len() / CHANNELS];
    let options = CrossEntropy { label_smoothing: 0.1, class_weights: None };
    let loss = cross_entropy(&x, CHANNELS, Targets::Classes(&labels), &options, Some(&mut grad));
    [y, dx, grad, gelu, vec![loss.expect("valid targets")]].concat()
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let results = Isa::ALL.map(|isa| {
        let chosen = limit(isa);
        assert!(chosen <= isa && current() == chosen);
        [norm_and_its_gradients(), pools_losses_and_activations()].concat()
    });
    assert!(results.iter().all(|result| result == &results[0]));
}

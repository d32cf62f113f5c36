//! Batch normalisation over `[rows, channels]`, rows = N * H * W, with the residual addition and the
//! activation that usually follow it in the same pass over memory.
//!
//! ```text
//! z = (x - mean) / sqrt(var + eps) * gamma + beta  [+ residual]        y = act(z)
//! ```
//!
//! Ioffe and Szegedy 2015, arXiv:1502.03167. In training the mean and the biased variance are those of
//! the batch; in evaluation they are given. The activation is [`Activation::Identity`], `Relu` or
//! `Relu6`, because their derivative is one bit per element: a training step keeps x and that bit mask,
//! never z or y.
//!
//! Work is cut into blocks of rows that depend on the shape alone. Sums run in f32 over 32 rows, relative
//! to a value of the same channel, and in f64 from there on, always in the same order: the result does
//! not depend on the number of threads, and a mean 1000 times the deviation does no harm.

mod add;
mod apply;
mod backward;
mod blocks;
mod clamp;
mod fold;
mod statistics;

pub use add::{Mask, add_act, add_act_backward};
pub use fold::Affine;

use crate::activation::Activation;
use apply::Coefficients;
use blocks::Blocks;

/// What the backward pass needs besides x and gamma.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Mean per channel that x was centred on.
    pub mean: Vec<f32>,
    /// 1 / sqrt(var + eps) per channel.
    pub rstd: Vec<f32>,
    /// Variance per channel; in training the biased one of the batch (divided by the number of rows).
    pub var: Vec<f32>,
    mask: Mask,
}

/// The gradients someone wants; each is overwritten.
#[derive(Debug, Default)]
pub struct Grads<'a> {
    /// With respect to the input, shaped like x.
    pub x: Option<&'a mut [f32]>,
    /// With respect to the scale, one value per channel.
    pub gamma: Option<&'a mut [f32]>,
    /// With respect to the offset, one value per channel.
    pub beta: Option<&'a mut [f32]>,
    /// With respect to the residual, shaped like x.
    pub residual: Option<&'a mut [f32]>,
}

/// Normalises with the statistics of the batch. With a single row the variance is 0 and z is beta.
///
/// # Panics
/// When slices disagree in length or `act` is none of Identity, Relu and Relu6.
#[allow(clippy::too_many_arguments)] // One formula, its operands.
pub fn forward_train(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    residual: Option<&[f32]>,
    act: Activation,
    eps: f32,
    y: &mut [f32],
) -> Saved {
    let blocks = check_forward(x, gamma, beta, residual, act, y);
    let moments = statistics::moments(blocks, x);
    let rstd = moments.rstd(eps);
    let coefficients = Coefficients::train(&moments, &rstd, gamma, beta);
    let mut mask = Mask::of(act, blocks);
    apply::apply(blocks, x, &coefficients, residual, act, y, &mut mask);
    let (mean, var) = moments.rounded();
    let rstd = rstd.into_iter().map(|r| r as f32).collect();
    Saved { mean, rstd, var, mask }
}

/// Normalises with given statistics.
///
/// # Panics
/// As [`forward_train`].
#[allow(clippy::too_many_arguments)] // One formula, its operands.
pub fn forward_eval(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    var: &[f32],
    residual: Option<&[f32]>,
    act: Activation,
    eps: f32,
    y: &mut [f32],
) {
    let blocks = check_forward(x, gamma, beta, residual, act, y);
    check_statistics(mean, var, blocks.channels);
    let coefficients = Coefficients::eval(mean, &eval_rstd(var, eps), gamma, beta);
    apply::apply(blocks, x, &coefficients, residual, act, y, &mut Mask::default());
}

/// [`forward_eval`] that also returns what [`backward_eval`] needs, for fine-tuning with frozen statistics.
///
/// # Panics
/// As [`forward_train`].
#[allow(clippy::too_many_arguments)] // One formula, its operands.
pub fn forward_eval_saved(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    var: &[f32],
    residual: Option<&[f32]>,
    act: Activation,
    eps: f32,
    y: &mut [f32],
) -> Saved {
    let blocks = check_forward(x, gamma, beta, residual, act, y);
    check_statistics(mean, var, blocks.channels);
    let rstd = eval_rstd(var, eps);
    let coefficients = Coefficients::eval(mean, &rstd, gamma, beta);
    let mut mask = Mask::of(act, blocks);
    apply::apply(blocks, x, &coefficients, residual, act, y, &mut mask);
    let rstd = rstd.into_iter().map(|r| r as f32).collect();
    Saved { mean: mean.to_vec(), rstd, var: var.to_vec(), mask }
}

/// The gradients of [`forward_train`], whose mean and variance depend on x.
///
/// # Panics
/// When slices disagree in length or `saved` belongs to another shape.
pub fn backward_train(dy: &[f32], x: &[f32], gamma: &[f32], saved: &Saved, grads: Grads<'_>) {
    let blocks = check_backward(dy, x, gamma, saved, &grads);
    backward::train(blocks, dy, x, gamma, saved, grads);
}

/// The gradients of [`forward_eval_saved`], whose mean and variance are constants.
///
/// # Panics
/// As [`backward_train`].
pub fn backward_eval(dy: &[f32], x: &[f32], gamma: &[f32], saved: &Saved, grads: Grads<'_>) {
    let blocks = check_backward(dy, x, gamma, saved, &grads);
    backward::eval(blocks, dy, x, gamma, saved, grads);
}

fn eval_rstd(var: &[f32], eps: f32) -> Vec<f64> {
    var.iter().map(|&v| 1.0 / (f64::from(v) + f64::from(eps)).sqrt()).collect()
}

fn check_forward(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    residual: Option<&[f32]>,
    act: Activation,
    y: &[f32],
) -> Blocks {
    clamp::is_clamp(act); // Panics where it does not fuse.
    assert!(!gamma.is_empty(), "norm: gamma is empty, so there are no channels");
    assert_eq!(gamma.len(), beta.len(), "norm: gamma and beta differ in length");
    assert_eq!(x.len() % gamma.len(), 0, "norm: x is not rows of {} channels", gamma.len());
    assert_eq!(x.len(), y.len(), "norm: x and y differ in length");
    if let Some(residual) = residual {
        assert_eq!(x.len(), residual.len(), "norm: x and residual differ in length");
    }
    Blocks::new(x.len() / gamma.len(), gamma.len())
}

fn check_statistics(mean: &[f32], var: &[f32], channels: usize) {
    assert_eq!(mean.len(), channels, "norm: mean and gamma differ in length");
    assert_eq!(var.len(), channels, "norm: var and gamma differ in length");
}

fn check_backward(
    dy: &[f32],
    x: &[f32],
    gamma: &[f32],
    saved: &Saved,
    grads: &Grads<'_>,
) -> Blocks {
    let channels = gamma.len();
    assert_eq!(saved.mean.len(), channels, "norm: saved statistics are of another layer");
    assert_eq!(x.len() % channels.max(1), 0, "norm: x is not rows of {channels} channels");
    assert_eq!(dy.len(), x.len(), "norm: dy and x differ in length");
    for (name, gradient) in [("x", &grads.x), ("residual", &grads.residual)] {
        let length = gradient.as_ref().map_or(x.len(), |g| g.len());
        assert_eq!(length, x.len(), "norm: the gradient of {name} and x differ in length");
    }
    for (name, gradient) in [("gamma", &grads.gamma), ("beta", &grads.beta)] {
        let length = gradient.as_ref().map_or(channels, |g| g.len());
        assert_eq!(length, channels, "norm: the gradient of {name} is not one value per channel");
    }
    Blocks::new(x.len() / channels, channels)
}

#[cfg(test)]
mod tests;

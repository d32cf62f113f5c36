//! Batch normalisation over `[rows, channels]`, rows = N * H * W, with the residual addition and the
//! activation that usually follow it.
//!
//! ```text
//! z = (x - mean) / sqrt(var + eps) * gamma + beta  [+ residual]        y = act(z)
//! ```
//!
//! Ioffe and Szegedy 2015, arXiv:1502.03167. In training the mean and the biased variance are those of
//! the batch; in evaluation they are given. The activation is [`Activation::Identity`], `Relu` or
//! `Relu6`, whose derivative is known from z: a training step keeps x alone, and where a residual was
//! added one bit per element, never z or y.
//!
//! A [`Norm`] is made first, of the statistics; what it makes of x may then be written, or computed by whoever
//! reads it (see [`Source`](crate::Source)). So may its gradient.
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
pub use backward::{NormGradient, NormSums};
pub use fold::Affine;
pub use statistics::Moments;

use crate::activation::Activation;
use crate::bf16::{Element, Floats, FloatsMut, either, pair};
use blocks::Blocks;

/// A normalisation whose statistics are known: y = act((x - mean) * scale + shift [+ residual]), per channel.
#[derive(Clone, Debug)]
pub struct Norm {
    act: Activation,
    /// Whether mean and variance are those of x itself.
    of_batch: bool,
    mean: Vec<f32>,
    var: Vec<f32>,
    rstd: Vec<f32>,
    /// x is centred first because mean * scale may be huge beside the result.
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Norm {
    /// By the statistics of the batch that it is for. With a single row the variance is 0 and z is beta.
    ///
    /// # Panics
    /// When slices disagree in length or `act` is none of Identity, Relu and Relu6.
    pub fn of_batch(
        moments: &Moments,
        gamma: &[f32],
        beta: &[f32],
        act: Activation,
        eps: f32,
    ) -> Self {
        let rstd = moments.rstd(eps);
        let (mean, var) = moments.rounded();
        // What rounding the mean to f32 takes away goes into the shift.
        let lost = moments.mean.iter().zip(&mean).map(|(exact, &m)| exact - f64::from(m)).collect();
        Self::new((mean, var, lost), &rstd, [gamma, beta], (act, true))
    }

    /// By given statistics.
    ///
    /// # Panics
    /// As [`of_batch`](Self::of_batch).
    pub fn given(
        mean: &[f32],
        var: &[f32],
        gamma: &[f32],
        beta: &[f32],
        act: Activation,
        eps: f32,
    ) -> Self {
        let rstd: Vec<f64> =
            var.iter().map(|&v| 1.0 / (f64::from(v) + f64::from(eps)).sqrt()).collect();
        let statistics = (mean.to_vec(), var.to_vec(), vec![0.0; mean.len()]);
        Self::new(statistics, &rstd, [gamma, beta], (act, false))
    }

    fn new(
        (mean, var, lost): (Vec<f32>, Vec<f32>, Vec<f64>),
        rstd: &[f64],
        [gamma, beta]: [&[f32]; 2],
        (act, of_batch): (Activation, bool),
    ) -> Self {
        clamp::is_clamp(act); // Panics where it does not fuse.
        assert!(!gamma.is_empty(), "norm: gamma is empty, so there are no channels");
        let lens = [mean.len(), var.len(), beta.len()];
        assert_eq!(lens, [gamma.len(); 3], "norm: mean, var or beta is not as long as gamma");
        let scale: Vec<f64> = rstd.iter().zip(gamma).map(|(r, &g)| r * f64::from(g)).collect();
        let shift = lost.iter().zip(&scale).zip(beta);
        let shift = shift.map(|((lost, scale), &b)| (f64::from(b) - lost * scale) as f32).collect();
        let [rstd, scale] = [rstd, &scale].map(|values| values.iter().map(|&v| v as f32).collect());
        Self { act, of_batch, mean, var, rstd, scale, shift }
    }

    /// The mean per channel that x is centred on.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The variance per channel; of a batch the biased one (divided by the number of rows).
    pub fn var(&self) -> &[f32] {
        &self.var
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Writes y. The mask, which the way back wants, is empty where there is no residual or no activation.
    ///
    /// # Panics
    /// When slices disagree in length or, with a residual, in their width.
    pub fn forward<'a, 'b>(
        &self,
        x: impl Into<Floats<'a>>,
        residual: Option<Floats<'a>>,
        y: impl Into<FloatsMut<'b>>,
    ) -> Mask {
        let (x, y) = (x.into(), y.into());
        let blocks = self.blocks(x.len());
        assert_eq!(x.len(), y.len(), "norm: x and y differ in length");
        let Some(residual) = residual else {
            either!(Floats, x, x => either!(FloatsMut, y, y => apply::apply(blocks, self, x, y)));
            return Mask::default();
        };
        assert_eq!(x.len(), residual.len(), "norm: x and residual differ in length");
        let mut mask = Mask::of(self.act, blocks);
        pair!((x, residual), (x, residual) => {
            let y = Element::written(y);
            apply::apply_add(blocks, self, [x, residual], y, &mut mask);
        });
        mask
    }

    /// Writes y of some rows, on this thread.
    pub(crate) fn apply_rows<T: Element, U: Element>(&self, x: &[T], y: &mut [U]) {
        apply::rows(self, x, y);
    }

    fn blocks(&self, len: usize) -> Blocks {
        let channels = self.channels();
        assert_eq!(len % channels, 0, "norm: x is not rows of {channels} channels");
        Blocks::new(len / channels, channels)
    }
}

#[cfg(test)]
mod tests;

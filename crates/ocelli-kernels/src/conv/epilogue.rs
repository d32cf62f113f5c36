//! What happens to a sum before it is written.

use super::ConvShape;
use crate::activation::Activation;
use crate::bf16::{Element, Floats};

/// The end of a forward pass: y = act(sum + bias + residual). It costs next to nothing, as the sums are in
/// registers, where each of these on its own would read and write all of y.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Added to every pixel, `[O]`.
    pub bias: Option<&'a [f32]>,
    /// Added to y, of its shape.
    pub residual: Option<Floats<'a>>,
    /// A [clamp](Activation::bounds).
    pub act: Activation,
}

impl Default for Epilogue<'_> {
    /// y = sum.
    fn default() -> Self {
        Self { bias: None, residual: None, act: Activation::Identity }
    }
}

impl<'a> Epilogue<'a> {
    /// y = sum + bias.
    pub fn bias(bias: Option<&'a [f32]>) -> Self {
        Self { bias, ..Self::default() }
    }

    /// That it fits a convolution.
    pub(super) fn check(&self, shape: &ConvShape) {
        let fits = |len: Option<usize>, wanted| len.is_none_or(|len| len == wanted);
        let [bias, residual] = [self.bias.map(<[f32]>::len), self.residual.map(|r| r.len())];
        assert!(fits(bias, shape.out_channels), "length of the bias for {shape:?}");
        assert!(fits(residual, shape.y_len()), "length of the residual for {shape:?}");
    }

    /// The residual of a kernel that computes in f32.
    pub(super) fn wide(&self) -> Option<&'a [f32]> {
        self.residual.map(f32::read)
    }

    /// The least and the greatest value of y.
    pub(super) fn bounds(&self) -> [f32; 2] {
        let bounds = self.act.bounds();
        bounds.unwrap_or_else(|| panic!("conv: {:?} is not fused; apply it to y", self.act))
    }
}

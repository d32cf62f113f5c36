//! What happens to a sum before it is written.

use super::ConvShape;
use crate::activation::Activation;

/// The end of a forward pass: y = act(sum + bias + residual). It costs next to nothing, as the sums are in
/// registers, where each of these on its own would read and write all of y.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Added to every pixel, `[O]`.
    pub bias: Option<&'a [f32]>,
    /// Added to y, of its shape.
    pub residual: Option<&'a [f32]>,
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
        let fits = |values: Option<&[f32]>, len| values.is_none_or(|values| values.len() == len);
        assert!(fits(self.bias, shape.out_channels), "length of the bias for {shape:?}");
        assert!(fits(self.residual, shape.y_len()), "length of the residual for {shape:?}");
    }

    /// The least and the greatest value of y.
    pub(super) fn bounds(&self) -> [f32; 2] {
        let bounds = self.act.bounds();
        bounds.unwrap_or_else(|| panic!("conv: {:?} is not fused; apply it to y", self.act))
    }
}

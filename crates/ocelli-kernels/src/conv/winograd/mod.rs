//! Winograd's convolution F(4x4, 3x3): 36 products per 4 x 4 outputs instead of 144. And F(4x4, 4x4), to
//! which a kernel of 7 x 7 with stride 2 folds: 49 products of four times the channels, instead of 784.
//!
//! A tile of 6 x 6 pixels is evaluated at 6 x 6 points (or 7 x 7 at 7 x 7), the kernel too. At each point,
//! the products of all tiles with all kernels are a matrix product over the channels; from these matrices
//! the 4 x 4 outputs of each tile follow. The gradients are the same with the transposed transforms.
//!
//! - [`points`]: the transforms along one axis, and why these points.
//! - [`frame`]: how weights and images of a convolution with stride 2 are folded.
//! - [`tiles`]: how images are cut into tiles without computing anything beyond their ends.
//! - [`input`], [`kernel`], [`output`]: the transforms of pixels, weights and products.
//! - [`forward`], [`weight`] with [`narrow`] and [`sums`]: the passes, and what the threads share.
//!
//! The products at the points may be of bf16 ([`Terms`]): twice as many of them in an instruction, where the CPU has one.
//! The transforms, in f32, amplify that rounding: results are off by a hundredth where those of bf16 are otherwise by a
//! quarter of that.

mod forward;
mod frame;
mod input;
mod kernel;
mod memory;
mod narrow;
mod output;
mod points;
mod prefetch;
mod sums;
#[cfg(test)]
mod tests;
mod tiles;
mod weight;

pub(super) use forward::Winograd;
pub(super) use weight::WeightGradient;

use super::ConvShape;

/// What products at the points are made of. Sums are f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terms {
    F32,
    /// Values rounded to bf16, two that follow each other in the sum in the place of an f32.
    Bf16,
}

impl Terms {
    /// Places that so many values in a sum take.
    fn places(self, values: usize) -> usize {
        match self {
            Self::F32 => values,
            Self::Bf16 => values.div_ceil(2),
        }
    }
}

/// Whether a convolution can be computed so.
pub(super) fn serves(shape: &ConvShape) -> bool {
    frame::Frame::family(shape).is_some() && shape.dilation == [1, 1] && shape.groups == 1
}

/// Whether the gradient of the input can be, too: for odd kernels, and small ones, as they occur in layers that
/// are not the first.
pub(super) fn serves_backward(shape: &ConvShape) -> bool {
    shape.kernel[0] % 2 == 1 && shape.kernel[0] < 7
}

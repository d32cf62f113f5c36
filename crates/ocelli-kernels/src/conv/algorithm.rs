//! The ways to compute a convolution.

use super::{ConvShape, winograd};
use crate::isa::{self, Isa};

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// As it is defined: a sum over taps and channels.
    Direct,
    /// Winograd's F(4x4, 3x3): a quarter of the multiplications, and two to three times the rounding.
    Winograd,
    /// The same with a stride of 2, on images folded to half as many rows and columns of four times the
    /// channels: F(4x4, 2x2) for 3 x 3 weights, 81 products instead of 144; F(4x4, 3x3) for 5 x 5 and 6 x 6;
    /// F(4x4, 4x4) for 7 x 7 and 8 x 8. The gradient of the input is computed directly where the kernel is
    /// even or so large: the first layer of a network has those, and needs none.
    FoldedWinograd,
    /// Channel by channel.
    Depthwise,
    /// As it is defined, by products of bf16 whose sums are f32: what is read is rounded to 8 bits first. By
    /// AMX or AVX512-BF16, where the CPU has them.
    Mixed,
    /// As [`Winograd`](Self::Winograd), with products of bf16 whose sums are f32, by AVX512-BF16 where the CPU has it.
    /// Results are off by a hundredth, four to five times as much as those of [`Mixed`](Self::Mixed).
    MixedWinograd,
}

/// With fewer channels Winograd's transforms cost more than the products they save.
const CHANNELS: usize = 12;

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Direct,
        Self::Winograd,
        Self::FoldedWinograd,
        Self::Depthwise,
        Self::Mixed,
        Self::MixedWinograd,
    ];

    /// Whether it can compute a convolution of this shape.
    pub fn serves(self, shape: &ConvShape) -> bool {
        match self {
            Self::Direct => true,
            Self::Winograd | Self::MixedWinograd => {
                shape.stride == [1, 1] && winograd::serves(shape)
            }
            Self::FoldedWinograd => shape.stride == [2, 2] && winograd::serves(shape),
            Self::Mixed => !Self::Depthwise.serves(shape),
            Self::Depthwise => {
                shape.groups > 1 && [shape.in_channels, shape.out_channels] == [shape.groups; 2]
            }
        }
    }

    /// The one that rounds least: as the convolution is defined.
    pub fn precise(shape: &ConvShape) -> Self {
        if Self::Depthwise.serves(shape) { Self::Depthwise } else { Self::Direct }
    }

    /// The fastest one in mixed precision. Vectors do twice as many products of bf16 as of f32: more than folding a kernel
    /// of 3 x 3 saves, where it has channels enough.
    pub(crate) fn mixed(shape: &ConvShape) -> Self {
        let fastest = Self::fastest(shape);
        let small = shape.kernel == [3, 3] && shape.in_channels >= CHANNELS;
        match (isa::current(), fastest) {
            _ if !Self::Mixed.serves(shape) => fastest,
            (Isa::Amx, _) | (Isa::Avx512Bf16, Self::Direct) => Self::Mixed,
            (Isa::Avx512Bf16, Self::FoldedWinograd) if small => Self::Mixed,
            (Isa::Avx512Bf16, Self::Winograd) => Self::MixedWinograd,
            _ => fastest,
        }
    }

    /// The fastest one.
    pub(crate) fn fastest(shape: &ConvShape) -> Self {
        // For fewer tiles, the transform of the weights does: they are read once more often than they are used.
        const TILES: usize = 8;
        const FOLDED_TILES: usize = 32;
        // A small kernel on few channels leaves little to save: with some images the forward passes are equally fast,
        // and the weight gradient is faster.
        const STEM_TILES: usize = 4096;
        let channels = shape.in_channels.min(shape.out_channels);
        let stem = shape.in_channels < CHANNELS && shape.kernel == [3, 3];
        let folded_tiles = if stem { STEM_TILES } else { FOLDED_TILES };
        let tiles = shape.batch
            * shape.output().map(|size| size.div_ceil(4)).into_iter().product::<usize>();
        if Self::Depthwise.serves(shape) {
            Self::Depthwise
        } else if Self::Winograd.serves(shape) && channels >= CHANNELS && tiles >= TILES {
            Self::Winograd
        } else if Self::FoldedWinograd.serves(shape)
            && shape.out_channels >= CHANNELS
            && tiles >= folded_tiles
        {
            Self::FoldedWinograd
        } else {
            Self::Direct
        }
    }
}

//! How the arithmetic of a network is done.

use crate::{Algorithm, Conv, ConvShape, ShapeError};
use serde::{Deserialize, Serialize};

/// How the arithmetic of a network is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32, by the fastest algorithm: Winograd's convolution rounds two to three times as much as the plain one.
    #[default]
    Fast,
    /// f32, every convolution as it is defined.
    Precise,
    /// Feature maps and their gradients in bf16, products of bf16 where the CPU has instructions for them; weights,
    /// statistics, sums, vectors and the loss in f32 (Micikevicius et al. 2018, arXiv:1710.03740; bf16 needs no
    /// scaling of the loss).
    Mixed,
}

impl Precision {
    /// Whether values of such images are bf16: maps are, single pixels are not.
    pub fn narrows(self, height: usize, width: usize) -> bool {
        self == Self::Mixed && height * width > 1
    }
}

impl Conv {
    /// Plans a convolution by the fastest algorithm of a precision; the plan depends on the shape and on the
    /// instruction set alone. Mixed precision is that of products of bf16 where the CPU multiplies these fast, else it
    /// is f32.
    ///
    /// # Errors
    /// If the shape does not pass [`ConvShape::check`].
    pub fn plan_in(shape: ConvShape, precision: Precision) -> Result<Self, ShapeError> {
        let algorithm = match precision {
            Precision::Mixed => Algorithm::mixed(&shape),
            Precision::Fast => Algorithm::fastest(&shape),
            Precision::Precise => Algorithm::precise(&shape),
        };
        Self::plan_as(shape, algorithm)
    }
}

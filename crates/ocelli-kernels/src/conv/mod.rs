//! Two-dimensional convolution, forward and backward, channels last.
//!
//! y[n, i, j, o] = bias[o] + sum over a, b, c of x[n, i s - p + a d, j s - p + b d, c] w[o, a, b, c]
//!
//! with stride s, padding p and dilation d per axis: cross-correlation, as in every deep learning
//! library. [`ConvShape`] says all of that; [`Conv`] is the plan made from it.

mod algorithm;
mod dense;
mod depthwise;
mod epilogue;
mod grid;
mod mixed;
mod passes;
mod patches;
mod shape;
mod stretch;
mod sums;
mod weight;
mod winograd;

pub use algorithm::Algorithm;
pub use epilogue::Epilogue;
pub use shape::ConvShape;
pub use sums::sum_rows;

use crate::isa::{self, Isa};
use crate::memory::Region;
use crate::{Padding, Precision, ShapeError};
use dense::Dense;
use depthwise::Depthwise;
use mixed::Mixed;
use winograd::{Terms, WeightGradient, Winograd};

/// What packed weights are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// [`Conv::forward`].
    Forward,
    /// [`Conv::backward_input`].
    BackwardInput,
}

/// Weights in the order in which a plan's kernel reads them.
///
/// Plans that differ in nothing but batch and image size share their packed weights, if they chose the same algorithm.
#[derive(Debug)]
pub struct Packed {
    form: Form,
    key: Key,
    data: Region,
}

impl Packed {
    /// What these weights are for.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.data.len() * size_of::<f32>()
    }
}

/// A convolution of one shape, planned: which kernel serves it and how the work is cut into blocks.
///
/// ```
/// use ocelli_kernels::{Conv, ConvShape, Epilogue, Form, Padding, Scratch};
///
/// let shape = ConvShape {
///     batch: 1, height: 3, width: 3, in_channels: 1, out_channels: 1,
///     kernel: [3, 3], stride: [1, 1], padding: Padding::symmetric(1, 1), dilation: [1, 1], groups: 1,
/// };
/// let conv = Conv::plan(shape)?;
/// let weights = conv.pack(Form::Forward, &[1.0; 9]);
/// let mut y = [0.0; 9];
/// conv.forward(&[1.0; 9], &weights, Epilogue::default(), &mut y, &mut Scratch::new());
/// assert_eq!(y.map(f32::round), [4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0]);
/// # Ok::<(), ocelli_kernels::ShapeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv {
    shape: ConvShape,
    isa: Isa,
    algorithm: Algorithm,
    kernel: Kernel,
}

/// What the order of packed weights depends on.
type Key = (Isa, Algorithm, ConvShape);

/// What computes each pass.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // A plan is made, used and dropped; nobody keeps many.
enum Kernel {
    Dense { forward: Dense, backward: Dense },
    Depthwise { forward: Depthwise, backward: Depthwise },
    Mixed { forward: Mixed, backward: Mixed, weight: mixed::WeightGradient },
    // One of them boxed, so that the variants are of similar size.
    Winograd { forward: Winograd, backward: Box<Winograd>, weight: WeightGradient },
    Stem { forward: Winograd, backward: Dense, weight: WeightGradient },
}

impl Conv {
    /// Plans a convolution by the fastest algorithm for its shape; the plan depends on the shape and on the
    /// instruction set alone.
    ///
    /// # Errors
    /// If the shape does not pass [`ConvShape::check`].
    pub fn plan(shape: ConvShape) -> Result<Conv, ShapeError> {
        Self::plan_in(shape, Precision::Fast)
    }

    /// Plans a convolution by a given algorithm.
    ///
    /// # Errors
    /// If the shape does not pass [`ConvShape::check`], or the algorithm does not serve it.
    pub fn plan_as(shape: ConvShape, algorithm: Algorithm) -> Result<Conv, ShapeError> {
        shape.check()?;
        if !algorithm.serves(&shape) {
            return Err(ShapeError::Algorithm { algorithm });
        }
        let isa = isa::current();
        let kernel = match algorithm {
            Algorithm::Direct => Kernel::Dense {
                forward: Dense::forward(&shape, isa),
                backward: Dense::backward_input(&shape, isa),
            },
            Algorithm::FoldedWinograd if !winograd::serves_backward(&shape) => Kernel::Stem {
                forward: Winograd::forward(isa, &shape, Terms::F32),
                backward: Dense::backward_input(&shape, isa),
                weight: WeightGradient::new(isa, &shape, Terms::F32),
            },
            Algorithm::Winograd | Algorithm::FoldedWinograd | Algorithm::MixedWinograd => {
                let terms = match algorithm {
                    Algorithm::MixedWinograd => Terms::Bf16,
                    _ => Terms::F32,
                };
                Kernel::Winograd {
                    forward: Winograd::forward(isa, &shape, terms),
                    backward: Box::new(Winograd::backward_input(isa, &shape, terms)),
                    weight: WeightGradient::new(isa, &shape, terms),
                }
            }
            Algorithm::Depthwise => Kernel::Depthwise {
                forward: Depthwise::forward(&shape, isa),
                backward: Depthwise::backward_input(&shape, isa),
            },
            Algorithm::Mixed => Kernel::Mixed {
                forward: Mixed::forward(&shape, isa),
                backward: Mixed::backward_input(&shape, isa),
                weight: mixed::WeightGradient::new(&shape, isa),
            },
        };
        Ok(Conv { shape, isa, algorithm, kernel })
    }

    /// How it is computed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The instruction set that it is computed with.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The shape planned for.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Packs weights `[O, kH, kW, I / groups]`.
    ///
    /// # Panics
    /// If `w` has not [`ConvShape::w_len`] elements.
    pub fn pack(&self, form: Form, w: &[f32]) -> Packed {
        assert_eq!(w.len(), self.shape.w_len(), "length of w for {:?}", self.shape);
        let data = match (&self.kernel, form) {
            (Kernel::Dense { forward: dense, .. }, Form::Forward)
            | (
                Kernel::Dense { backward: dense, .. } | Kernel::Stem { backward: dense, .. },
                Form::BackwardInput,
            ) => fresh(dense.packed_len(), |data| dense.pack(form, &self.shape, w, data)),
            (Kernel::Depthwise { forward: depthwise, .. }, Form::Forward)
            | (Kernel::Depthwise { backward: depthwise, .. }, Form::BackwardInput) => {
                fresh(w.len(), |data| depthwise.pack(&self.shape, w, data))
            }
            (Kernel::Mixed { forward: mixed, .. }, Form::Forward)
            | (Kernel::Mixed { backward: mixed, .. }, Form::BackwardInput) => {
                fresh(mixed.packed_len(), |data| mixed.pack(form, &self.shape, w, data))
            }
            (Kernel::Winograd { forward, .. } | Kernel::Stem { forward, .. }, Form::Forward) => {
                fresh(forward.packed_len(), |data| forward.pack(w, data))
            }
            (Kernel::Winograd { backward, .. }, Form::BackwardInput) => {
                fresh(backward.packed_len(), |data| backward.pack(w, data))
            }
        };
        Packed { form, key: self.key(form), data }
    }

    /// Whether this plan reads weights packed so, perhaps by a plan for another batch or image size.
    pub fn accepts(&self, w: &Packed) -> bool {
        w.key == self.key(w.form)
    }

    fn key(&self, form: Form) -> Key {
        let any_image = ConvShape { batch: 0, height: 0, width: 0, ..self.shape };
        let shape = match form {
            Form::Forward => ConvShape {
                stride: [1, 1],
                // Taps without distance are packed as one there.
                dilation: match self.algorithm {
                    Algorithm::Mixed => self.shape.dilation,
                    _ => [1, 1],
                },
                padding: Padding::default(),
                ..any_image
            },
            // The phases of a strided backward pass depend on where the image begins and, where the
            // stride exceeds it, on its size.
            Form::BackwardInput => {
                let [height, width] = [self.shape.height, self.shape.width];
                let [rows, columns] = self.shape.stride;
                ConvShape { height: height.min(rows), width: width.min(columns), ..any_image }
            }
        };
        (self.isa, self.algorithm(), shape)
    }

    fn check_packed(&self, w: &Packed, form: Form) {
        assert_eq!(w.form, form, "the form of the packed weights");
        assert!(self.accepts(w), "weights packed for {:?}, used with {:?}", w.key, self.shape);
    }
}

/// So many values, of which `write` writes all that are read.
fn fresh(len: usize, write: impl FnOnce(&mut [f32])) -> Region {
    let mut data = Region::new(len);
    if cfg!(debug_assertions) {
        // So that a test sees what was not written.
        data.fill(f32::NAN);
    }
    write(&mut data);
    data
}

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
mod output;
mod patches;
mod shape;
mod sums;
mod weight;
mod winograd;

pub use algorithm::Algorithm;
pub use epilogue::Epilogue;
pub use shape::ConvShape;
pub use sums::sum_rows;

use crate::isa::{self, Isa};
use crate::norm::{Moments, Norm, NormSums};
use crate::{Padding, Scratch, ShapeError, Source};
use dense::{Dense, Operands};
use depthwise::Depthwise;
use output::{Output, Summing};
use winograd::{WeightGradient, Winograd};

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
/// Plans that differ in nothing but batch and image size share their packed weights.
#[derive(Clone, Debug)]
pub struct Packed {
    form: Form,
    key: Key,
    data: Vec<f32>,
}

impl Packed {
    /// What these weights are for.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.data.capacity() * size_of::<f32>()
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
    // One of them boxed, so that the variants are of similar size.
    Winograd { forward: Winograd, backward: Box<Winograd>, weight: WeightGradient },
    Stem { forward: Winograd, backward: Dense, weight: WeightGradient },
}

/// What computes one pass.
enum Runner<'a> {
    Dense(&'a Dense),
    Depthwise(&'a Depthwise),
    Winograd(&'a Winograd),
}

impl Runner<'_> {
    /// Runs it into values of so many channels, and gives the sums of every block, if there are blocks.
    fn run(
        self,
        operands: Operands<'_>,
        (values, channels): (&mut [f32], usize),
        summing: Summing<'_>,
        scratch: &mut Scratch,
    ) -> Vec<f64> {
        let blocks = match self {
            Self::Dense(dense) => dense.blocks(),
            Self::Depthwise(depthwise) => Some(depthwise.blocks(&operands.source)),
            Self::Winograd(winograd) => winograd.written_blocks(),
        };
        let mut parts = scratch.sums(blocks.unwrap_or(0) * summing.part_len(channels));
        let output = Output::new(values, channels, summing, &mut parts);
        match self {
            Self::Dense(dense) => dense.run(operands, &output, scratch),
            Self::Depthwise(depthwise) => depthwise.run(operands, &output, scratch),
            Self::Winograd(winograd) => winograd.run(operands, &output, scratch),
        }
        parts
    }
}

impl Conv {
    /// Plans a convolution by the fastest algorithm for its shape; the plan depends on the shape and on the
    /// instruction set alone.
    ///
    /// # Errors
    /// If the shape does not pass [`ConvShape::check`].
    pub fn plan(shape: ConvShape) -> Result<Conv, ShapeError> {
        Self::plan_as(shape, Algorithm::fastest(&shape))
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
                forward: Winograd::forward(isa, &shape),
                backward: Dense::backward_input(&shape, isa),
                weight: WeightGradient::new(isa, &shape),
            },
            Algorithm::Winograd | Algorithm::FoldedWinograd => Kernel::Winograd {
                forward: Winograd::forward(isa, &shape),
                backward: Box::new(Winograd::backward_input(isa, &shape)),
                weight: WeightGradient::new(isa, &shape),
            },
            Algorithm::Depthwise => Kernel::Depthwise {
                forward: Depthwise::forward(&shape, isa),
                backward: Depthwise::backward_input(&shape, isa),
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
        let mut packed = Packed { form, key: self.key(form), data: Vec::new() };
        self.repack(w, &mut packed);
        packed
    }

    /// Packs other weights in the memory of weights that this plan [accepts](Self::accepts).
    ///
    /// # Panics
    /// If it does not accept them, or `w` has not [`ConvShape::w_len`] elements.
    pub fn repack(&self, w: &[f32], packed: &mut Packed) {
        self.check_packed(packed, packed.form);
        assert_eq!(w.len(), self.shape.w_len(), "length of w for {:?}", self.shape);
        let Packed { form, data, .. } = packed;
        match (&self.kernel, *form) {
            (Kernel::Dense { forward, .. }, Form::Forward) => {
                forward.pack(*form, &self.shape, w, data)
            }
            (
                Kernel::Dense { backward, .. } | Kernel::Stem { backward, .. },
                Form::BackwardInput,
            ) => backward.pack(*form, &self.shape, w, data),
            (Kernel::Depthwise { forward, .. }, Form::Forward) => {
                forward.pack(&self.shape, w, data)
            }
            (Kernel::Depthwise { backward, .. }, Form::BackwardInput) => {
                backward.pack(&self.shape, w, data)
            }
            (Kernel::Winograd { forward, .. } | Kernel::Stem { forward, .. }, Form::Forward) => {
                forward.pack(w, data)
            }
            (Kernel::Winograd { backward, .. }, Form::BackwardInput) => backward.pack(w, data),
        }
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
                dilation: [1, 1],
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

    /// y `[N, oH, oW, O]` of x `[N, H, W, C]`.
    ///
    /// # Panics
    /// If a slice has not the length that the shape says, the weights were packed for something else, or the
    /// epilogue has an activation that is no [clamp](crate::activation::Activation::bounds).
    pub fn forward<'a>(
        &self,
        x: impl Into<Source<'a>>,
        w: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let parts = self.run_forward(x.into(), w, epilogue, y, Summing::Nothing, scratch);
        scratch.keep_sums(parts);
    }

    /// [`forward`](Self::forward) that also gives the moments of y, summed up while it is in the cache.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_moments<'a>(
        &self,
        x: impl Into<Source<'a>>,
        w: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut [f32],
        scratch: &mut Scratch,
    ) -> Moments {
        let parts = self.run_forward(x.into(), w, epilogue, y, Summing::Moments, scratch);
        let moments = match parts.is_empty() {
            true => Moments::new(y, self.shape.out_channels),
            false => Moments::of_parts(&parts, self.shape.out_channels),
        };
        scratch.keep_sums(parts);
        moments
    }

    /// Gives the sums of every block, if there are blocks.
    fn run_forward(
        &self,
        x: Source<'_>,
        w: &Packed,
        epilogue: Epilogue<'_>,
        y: &mut [f32],
        summing: Summing<'_>,
        scratch: &mut Scratch,
    ) -> Vec<f64> {
        self.check_packed(w, Form::Forward);
        x.check(self.shape.x_len(), self.shape.in_channels, "x");
        assert_eq!(y.len(), self.shape.y_len(), "length of y for {:?}", self.shape);
        epilogue.check(&self.shape);
        let operands = Operands { source: x, weights: &w.data, epilogue };
        let kernel = match &self.kernel {
            Kernel::Dense { forward, .. } => Runner::Dense(forward),
            Kernel::Depthwise { forward, .. } => Runner::Depthwise(forward),
            Kernel::Winograd { forward, .. } | Kernel::Stem { forward, .. } => {
                Runner::Winograd(forward)
            }
        };
        kernel.run(operands, (y, self.shape.out_channels), summing, scratch)
    }

    /// dx `[N, H, W, C]` of dy `[N, oH, oW, O]`; what stood in dx is overwritten.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn backward_input<'a>(
        &self,
        dy: impl Into<Source<'a>>,
        w: &Packed,
        dx: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let parts = self.run_backward(dy.into(), w, dx, Summing::Nothing, scratch);
        scratch.keep_sums(parts);
    }

    /// [`backward_input`](Self::backward_input) where the input of the convolution is a norm of something:
    /// also gives the sums that the norm's gradients are made of, taken while dx is in the cache.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), and if the norm or its input is not of the shape of x.
    pub fn backward_input_sums<'a>(
        &self,
        dy: impl Into<Source<'a>>,
        w: &Packed,
        (norm, x): (&Norm, &[f32]),
        dx: &mut [f32],
        scratch: &mut Scratch,
    ) -> NormSums {
        Source::Normed { x, norm }.check(self.shape.x_len(), self.shape.in_channels, "the norm");
        let parts = self.run_backward(dy.into(), w, dx, Summing::Gradient { norm, x }, scratch);
        let sums = match parts.is_empty() {
            true => norm.sums(dx, x),
            false => NormSums::of_parts(&parts, self.shape.in_channels),
        };
        scratch.keep_sums(parts);
        sums
    }

    fn run_backward(
        &self,
        dy: Source<'_>,
        w: &Packed,
        dx: &mut [f32],
        summing: Summing<'_>,
        scratch: &mut Scratch,
    ) -> Vec<f64> {
        self.check_packed(w, Form::BackwardInput);
        dy.check(self.shape.y_len(), self.shape.out_channels, "dy");
        assert_eq!(dx.len(), self.shape.x_len(), "length of dx for {:?}", self.shape);
        let operands = Operands { source: dy, weights: &w.data, epilogue: Epilogue::default() };
        let kernel = match &self.kernel {
            Kernel::Dense { backward, .. } | Kernel::Stem { backward, .. } => {
                Runner::Dense(backward)
            }
            Kernel::Depthwise { backward, .. } => Runner::Depthwise(backward),
            Kernel::Winograd { backward, .. } => Runner::Winograd(backward),
        };
        kernel.run(operands, (dx, self.shape.in_channels), summing, scratch)
    }

    /// dw `[O, kH, kW, I / groups]` of x `[N, H, W, C]` and dy `[N, oH, oW, O]`; what stood in dw is
    /// overwritten.
    ///
    /// # Panics
    /// If a slice has not the length that the shape says.
    pub fn backward_weight<'a>(
        &self,
        x: impl Into<Source<'a>>,
        dy: impl Into<Source<'a>>,
        dw: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let [x, dy] = self.check_sources(x.into(), dy.into());
        assert_eq!(dw.len(), self.shape.w_len(), "length of dw for {:?}", self.shape);
        match &self.kernel {
            Kernel::Dense { .. } => {
                weight::backward_weight(&self.shape, self.isa, [x, dy], dw, None, scratch)
            }
            Kernel::Depthwise { .. } => {
                depthwise::backward_weight(&self.shape, self.isa, [x, dy], dw, None, scratch)
            }
            Kernel::Winograd { weight, .. } | Kernel::Stem { weight, .. } => {
                weight.run(x, dy, dw, scratch)
            }
        }
    }

    /// [`backward_input`](Self::backward_input) and [`backward_weight`](Self::backward_weight) at once, to the same
    /// bits: where the algorithm allows it, dy is read once for both. Where the input of the convolution is a norm
    /// of something, also gives the sums that the norm's gradients are made of.
    ///
    /// # Panics
    /// As these do.
    pub fn backward<'a>(
        &self,
        x: impl Into<Source<'a>>,
        dy: impl Into<Source<'a>>,
        w: &Packed,
        norm: Option<(&Norm, &[f32])>,
        (dx, dw): (&mut [f32], &mut [f32]),
        scratch: &mut Scratch,
    ) -> Option<NormSums> {
        let (shape, channels) = (&self.shape, self.shape.in_channels);
        let [x, dy] = self.check_sources(x.into(), dy.into());
        let blocks = match &self.kernel {
            Kernel::Dense { backward, .. } if backward.is_plain() => Some(weight::blocks(shape)),
            Kernel::Depthwise { .. } => depthwise::blocks(shape),
            _ => None,
        };
        let Some(blocks) = blocks else {
            self.backward_weight(x, dy, dw, scratch);
            return match norm {
                Some(norm) => Some(self.backward_input_sums(dy, w, norm, dx, scratch)),
                None => {
                    self.backward_input(dy, w, dx, scratch);
                    None
                }
            };
        };
        self.check_packed(w, Form::BackwardInput);
        assert_eq!(dx.len(), shape.x_len(), "length of dx for {shape:?}");
        assert_eq!(dw.len(), shape.w_len(), "length of dw for {shape:?}");
        let summing = match norm {
            Some((norm, x)) => {
                Source::Normed { x, norm }.check(shape.x_len(), channels, "the norm");
                Summing::Gradient { norm, x }
            }
            None => Summing::Nothing,
        };
        let mut parts = scratch.sums(blocks * summing.part_len(channels));
        let output = &Output::new(dx, channels, summing, &mut parts);
        let (isa, weights) = (self.isa, &w.data[..]);
        match &self.kernel {
            Kernel::Dense { backward: pass, .. } => {
                let also = Some(weight::Also { pass, weights, output });
                weight::backward_weight(shape, isa, [x, dy], dw, also, scratch);
            }
            Kernel::Depthwise { backward: pass, .. } => {
                let also = Some(depthwise::Also { pass, weights, output });
                depthwise::backward_weight(shape, isa, [x, dy], dw, also, scratch);
            }
            _ => unreachable!("the others were dealt with"),
        }
        let sums = norm.map(|_| NormSums::of_parts(&parts, channels));
        scratch.keep_sums(parts);
        sums
    }

    fn check_sources<'a>(&self, x: Source<'a>, dy: Source<'a>) -> [Source<'a>; 2] {
        x.check(self.shape.x_len(), self.shape.in_channels, "x");
        dy.check(self.shape.y_len(), self.shape.out_channels, "dy");
        [x, dy]
    }

    fn check_packed(&self, w: &Packed, form: Form) {
        assert_eq!(w.form, form, "the form of the packed weights");
        assert!(self.accepts(w), "weights packed for {:?}, used with {:?}", w.key, self.shape);
    }
}

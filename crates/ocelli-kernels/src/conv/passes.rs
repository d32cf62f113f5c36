//! The passes of a planned convolution.

use super::dense::{Dense, Operands};
use super::depthwise::{self, Depthwise};
use super::mixed::Mixed;
use super::winograd::Winograd;
use super::{Conv, Epilogue, Form, Kernel, Packed, weight};
use crate::bf16::{Bf16, Floats, FloatsMut};
use crate::norm::{Moments, Norm, NormSums};
use crate::output::{Output, Summing};
use crate::{Scratch, Source};

/// What computes one pass.
enum Runner<'a> {
    Dense(&'a Dense),
    Depthwise(&'a Depthwise),
    Mixed(&'a Mixed),
    Winograd(&'a Winograd),
}

impl Runner<'_> {
    /// [`run`](Self::run) with a residual of the width that it computes in.
    fn run_finished(
        self,
        operands: Operands<'_>,
        values: (FloatsMut<'_>, usize),
        summing: Summing<'_>,
        scratch: &mut Scratch,
    ) -> Vec<f64> {
        let Some(residual) = operands.epilogue.residual else {
            return self.run(operands, values, summing, scratch);
        };
        let narrow = matches!((&self, &values.0), (Self::Mixed(_), FloatsMut::Bf16(_)));
        if narrow == residual.is_narrow() {
            return self.run(operands, values, summing, scratch);
        }
        let len = residual.len();
        let mut memory = scratch.lend(if narrow { len.div_ceil(2) } else { len });
        let mut converted = match narrow {
            true => FloatsMut::Bf16(&mut Bf16::slice_mut(&mut memory)[..len]),
            false => FloatsMut::F32(&mut memory[..len]),
        };
        residual.copy_to(converted.reborrow());
        let epilogue = Epilogue { residual: Some(converted.read()), ..operands.epilogue };
        let parts = self.run(Operands { epilogue, ..operands }, values, summing, scratch);
        scratch.give_back(memory);
        parts
    }

    /// How many pieces of the weights the threads share beside blocks. Sums of the results are those of whole blocks,
    /// so that they are the same with any number of threads.
    fn pieces(&self, summing: Summing<'_>, scratch: &Scratch) -> usize {
        match (self, summing) {
            (Self::Mixed(mixed), Summing::Nothing) => mixed.pieces(scratch.threads()),
            _ => 1,
        }
    }

    /// Runs it into values of so many channels, and gives the sums of every block, if there are blocks.
    fn run(
        self,
        operands: Operands<'_>,
        (values, channels): (FloatsMut<'_>, usize),
        summing: Summing<'_>,
        scratch: &mut Scratch,
    ) -> Vec<f64> {
        let pieces = self.pieces(summing, scratch);
        let blocks = match self {
            Self::Mixed(_) if pieces > 1 => None,
            Self::Dense(dense) => dense.blocks(),
            Self::Depthwise(depthwise) => Some(depthwise.blocks(&operands.source)),
            Self::Mixed(mixed) => Some(mixed.blocks()),
            Self::Winograd(winograd) => winograd.written_blocks(),
        };
        if blocks.is_none() && matches!(values, FloatsMut::Bf16(_)) {
            // Small ones: rounded when all is written.
            let mut memory = scratch.lend(values.len());
            let wide = &mut memory[..values.len()];
            let wide_values = ((&mut *wide).into(), channels);
            let parts = self.run_finished(operands, wide_values, summing, scratch);
            Floats::from(&*wide).copy_to(values);
            scratch.give_back(memory);
            return parts;
        }
        let mut parts = scratch.sums(blocks.unwrap_or(0) * summing.part_len(channels));
        let output = Output::new(values, channels, summing, &mut parts);
        match self {
            Self::Dense(dense) => dense.run(operands, &output, scratch),
            Self::Depthwise(depthwise) => depthwise.run(operands, &output, scratch),
            Self::Mixed(mixed) => mixed.run(operands, &output, pieces, scratch),
            Self::Winograd(winograd) => winograd.run(operands, &output, scratch),
        }
        parts
    }
}

impl Conv {
    /// y `[N, oH, oW, O]` of x `[N, H, W, C]`.
    ///
    /// # Panics
    /// If a slice has not the length that the shape says, the weights were packed for something else, or the
    /// epilogue has an activation that is no [clamp](crate::activation::Activation::bounds).
    pub fn forward<'a, 'b>(
        &self,
        x: impl Into<Source<'a>>,
        w: &Packed,
        epilogue: Epilogue<'_>,
        y: impl Into<FloatsMut<'b>>,
        scratch: &mut Scratch,
    ) {
        let parts = self.run_forward(x.into(), w, epilogue, y.into(), Summing::Nothing, scratch);
        scratch.keep_sums(parts);
    }

    /// [`forward`](Self::forward) that also gives the moments of y, summed up while it is in the cache.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_moments<'a, 'b>(
        &self,
        x: impl Into<Source<'a>>,
        w: &Packed,
        epilogue: Epilogue<'_>,
        y: impl Into<FloatsMut<'b>>,
        scratch: &mut Scratch,
    ) -> Moments {
        let mut y = y.into();
        let parts =
            self.run_forward(x.into(), w, epilogue, y.reborrow(), Summing::Moments, scratch);
        let moments = match parts.is_empty() {
            true => Moments::new(y.read(), self.shape.out_channels),
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
        y: FloatsMut<'_>,
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
            Kernel::Mixed { forward, .. } => Runner::Mixed(forward),
            Kernel::Winograd { forward, .. } | Kernel::Stem { forward, .. } => {
                Runner::Winograd(forward)
            }
        };
        kernel.run_finished(operands, (y, self.shape.out_channels), summing, scratch)
    }

    /// dx `[N, H, W, C]` of dy `[N, oH, oW, O]`; what stood in dx is overwritten.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn backward_input<'a, 'b>(
        &self,
        dy: impl Into<Source<'a>>,
        w: &Packed,
        dx: impl Into<FloatsMut<'b>>,
        scratch: &mut Scratch,
    ) {
        self.backward_input_sums(dy, w, None, dx, scratch);
    }

    /// [`backward_input`](Self::backward_input). Where the input of the convolution is a norm of something, also gives
    /// the sums that the norm's gradients are made of, taken while dx is in the cache.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), and if the norm or its input is not of the shape of x, or that input not of the
    /// width of dx.
    pub fn backward_input_sums<'a, 'b>(
        &self,
        dy: impl Into<Source<'a>>,
        w: &Packed,
        norm: Option<(&Norm, Floats<'_>)>,
        dx: impl Into<FloatsMut<'b>>,
        scratch: &mut Scratch,
    ) -> Option<NormSums> {
        let (shape, dy, mut dx) = (&self.shape, dy.into(), dx.into());
        self.check_packed(w, Form::BackwardInput);
        dy.check(shape.y_len(), shape.out_channels, "dy");
        assert_eq!(dx.len(), shape.x_len(), "length of dx for {shape:?}");
        let operands = Operands { source: dy, weights: &w.data, epilogue: Epilogue::default() };
        let kernel = match &self.kernel {
            Kernel::Dense { backward, .. } | Kernel::Stem { backward, .. } => {
                Runner::Dense(backward)
            }
            Kernel::Depthwise { backward, .. } => Runner::Depthwise(backward),
            Kernel::Mixed { backward, .. } => Runner::Mixed(backward),
            Kernel::Winograd { backward, .. } => Runner::Winograd(backward),
        };
        let parts =
            kernel.run(operands, (dx.reborrow(), shape.in_channels), self.summing(norm), scratch);
        let sums = norm.map(|(norm, x)| match parts.is_empty() {
            true => norm.sums(dx.read(), x),
            false => NormSums::of_parts(&parts, shape.in_channels),
        });
        scratch.keep_sums(parts);
        sums
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
            Kernel::Mixed { weight, .. } => weight.run(x, dy, dw, scratch),
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
        norm: Option<(&Norm, Floats<'_>)>,
        (dx, dw): (FloatsMut<'_>, &mut [f32]),
        scratch: &mut Scratch,
    ) -> Option<NormSums> {
        let (shape, isa, weights) = (&self.shape, self.isa, &w.data[..]);
        let [x, dy] = self.check_sources(x.into(), dy.into());
        match (&self.kernel, depthwise::blocks(shape)) {
            (Kernel::Dense { backward: pass, .. }, _) if pass.is_plain() => {
                let blocks = weight::blocks(shape);
                self.backward_along(blocks, w, norm, (dx, dw), scratch, |output, dw, scratch| {
                    let also = Some(weight::Also { pass, weights, output });
                    weight::backward_weight(shape, isa, [x, dy], dw, also, scratch);
                })
            }
            (Kernel::Depthwise { backward: pass, .. }, Some(blocks)) => {
                self.backward_along(blocks, w, norm, (dx, dw), scratch, |output, dw, scratch| {
                    let also = Some(depthwise::Also { pass, weights, output });
                    depthwise::backward_weight(shape, isa, [x, dy], dw, also, scratch);
                })
            }
            _ => {
                self.backward_weight(x, dy, dw, scratch);
                self.backward_input_sums(dy, w, norm, dx, scratch)
            }
        }
    }

    /// Both gradients by one run, which writes dx in so many blocks.
    fn backward_along(
        &self,
        blocks: usize,
        w: &Packed,
        norm: Option<(&Norm, Floats<'_>)>,
        (dx, dw): (FloatsMut<'_>, &mut [f32]),
        scratch: &mut Scratch,
        run: impl FnOnce(&Output<'_>, &mut [f32], &mut Scratch),
    ) -> Option<NormSums> {
        let (shape, channels) = (&self.shape, self.shape.in_channels);
        self.check_packed(w, Form::BackwardInput);
        assert_eq!(dx.len(), shape.x_len(), "length of dx for {shape:?}");
        assert_eq!(dw.len(), shape.w_len(), "length of dw for {shape:?}");
        let summing = self.summing(norm);
        let mut parts = scratch.sums(blocks * summing.part_len(channels));
        run(&Output::new(dx, channels, summing, &mut parts), dw, scratch);
        let sums = norm.map(|_| NormSums::of_parts(&parts, channels));
        scratch.keep_sums(parts);
        sums
    }

    /// The sums for the gradients of a norm of x, if one makes the convolution's input.
    fn summing<'a>(&self, norm: Option<(&'a Norm, Floats<'a>)>) -> Summing<'a> {
        Summing::of(norm, self.shape.x_len(), self.shape.in_channels)
    }

    fn check_sources<'a>(&self, x: Source<'a>, dy: Source<'a>) -> [Source<'a>; 2] {
        x.check(self.shape.x_len(), self.shape.in_channels, "x");
        dy.check(self.shape.y_len(), self.shape.out_channels, "dy");
        [x, dy]
    }
}

//! Convolutions with what was folded into them.

use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::Affine;
use ocelli_kernels::{Conv, ConvShape, Form, Packed, Precision, ShapeError};

/// Images of a large batch.
const MANY: usize = 64;

/// A convolution that is still being put together. Linear layers are convolutions of single pixels, and a batch
/// norm that stands alone is a depthwise one with 1 x 1 filters.
#[derive(Clone, Debug)]
pub(crate) struct Filters {
    /// For one image.
    pub shape: ConvShape,
    /// `[O, kH, kW, I / groups]`
    pub weight: Vec<f32>,
    /// `[O]`
    pub bias: Option<Vec<f32>>,
    /// A clamp.
    pub act: Activation,
    /// Whether a second input is added before that.
    pub residual: bool,
}

impl Filters {
    /// Nothing but scale and shift, on images `[H, W, C]`.
    pub fn of_affine(affine: &Affine, [height, width, channels]: [usize; 3]) -> Self {
        let to_f32 = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        let pixel = ConvShape::pixel(1, channels, channels);
        Self {
            shape: ConvShape { height, width, groups: channels, ..pixel },
            weight: to_f32(&affine.scale),
            bias: Some(to_f32(&affine.shift)),
            act: Activation::Identity,
            residual: false,
        }
    }

    /// Scale and shift of the result become part of weights and bias.
    pub fn fold(&mut self, affine: &Affine) {
        self.bias = Some(affine.fold(&mut self.weight, self.bias.as_deref()));
    }

    /// The weights in the order in which they are read.
    pub fn pack(self, precision: Precision) -> Result<PackedConv, ShapeError> {
        let Self { shape, weight, bias, act, .. } = self;
        let mut weights: Vec<Packed> = Vec::new();
        for images in [1, MANY] {
            let plan = Conv::plan_in(ConvShape { batch: images, ..shape }, precision)?;
            if !weights.iter().any(|packed| plan.accepts(packed)) {
                weights.push(plan.pack(Form::Forward, &weight));
            }
        }
        Ok(PackedConv { shape, precision, weights, bias, act })
    }
}

/// A convolution that is ready to run.
#[derive(Debug)]
pub(crate) struct PackedConv {
    /// For one image.
    pub shape: ConvShape,
    precision: Precision,
    /// Once for each algorithm: few images may be computed by another one than many.
    weights: Vec<Packed>,
    pub bias: Option<Vec<f32>>,
    pub act: Activation,
}

impl PackedConv {
    /// The plan for so many images.
    pub fn plan(&self, images: usize) -> Result<Conv, ShapeError> {
        Conv::plan_in(ConvShape { batch: images, ..self.shape }, self.precision)
    }

    /// Bytes of the weights, in the order that takes most.
    pub fn bytes(&self) -> usize {
        self.weights.iter().map(Packed::bytes).max().unwrap_or(0)
    }

    /// The weights for a plan.
    pub fn weights(&self, plan: &Conv) -> &Packed {
        let fitting = self.weights.iter().find(|packed| plan.accepts(packed));
        fitting.unwrap_or(&self.weights[0])
    }
}

//! What is left of a graph once it is fused: the steps that run one after the other.

use ocelli_kernels::activation::{self, Activation};
use ocelli_kernels::pool::{self, Divisor, PoolShape};
use ocelli_kernels::{
    Conv, Epilogue, Floats, FloatsMut, Precision, ShapeError, arrange, layout, norm,
};

use crate::InferError;
use crate::conv::{Filters, PackedConv};
use crate::workspace::Aside;

/// One step: reads values, writes another.
#[derive(Clone, Debug)]
pub(crate) struct Step<K = Kind> {
    /// The path of the layer that it began as.
    pub name: String,
    pub kind: K,
    /// Numbers of values.
    pub inputs: Vec<usize>,
    pub output: usize,
}

/// What a step does. Shapes are of one image, `[H, W, C]`.
#[derive(Clone, Debug)]
pub(crate) enum Kind<C = PackedConv> {
    Conv(C),
    Activation(Activation),
    /// The sum of two values, and a clamp of it.
    Add(Activation),
    MaxPool(PoolShape),
    AveragePool(PoolShape, Divisor),
    /// Of so many pixels.
    GlobalAveragePool(usize),
    /// To ONNX's order of a flattened map.
    Flatten([usize; 3]),
    /// Of two values of one shape.
    Multiply,
    /// Of a map of so many channels with a number per channel.
    Gate(usize),
    /// Of maps with so many channels.
    Concat(Vec<usize>),
    /// Channels before, within and after.
    PadChannels([usize; 3]),
}

impl Step<Kind<Filters>> {
    /// The same with its weights in the order in which they are read.
    pub fn pack(self, precision: Precision) -> Result<Step, InferError> {
        let Self { name, kind, inputs, output } = self;
        let kind = match kind {
            Kind::Conv(filters) => match filters.pack(precision) {
                Ok(conv) => Kind::Conv(conv),
                Err(source) => return Err(InferError::Layer { layer: name, source }),
            },
            Kind::Activation(act) => Kind::Activation(act),
            Kind::Add(act) => Kind::Add(act),
            Kind::MaxPool(shape) => Kind::MaxPool(shape),
            Kind::AveragePool(shape, divisor) => Kind::AveragePool(shape, divisor),
            Kind::GlobalAveragePool(pixels) => Kind::GlobalAveragePool(pixels),
            Kind::Flatten(size) => Kind::Flatten(size),
            Kind::Multiply => Kind::Multiply,
            Kind::Gate(channels) => Kind::Gate(channels),
            Kind::Concat(channels) => Kind::Concat(channels),
            Kind::PadChannels(channels) => Kind::PadChannels(channels),
        };
        Ok(Step { name, kind, inputs, output })
    }
}

impl Step {
    /// The layer's error.
    pub fn fault(&self, source: ShapeError) -> InferError {
        InferError::Layer { layer: self.name.clone(), source }
    }
}

impl Kind {
    /// What it computes, in a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "convolution",
            Self::Activation(_) => "activation",
            Self::Add(_) => "addition",
            Self::MaxPool(_) => "max pool",
            Self::AveragePool(..) => "average pool",
            Self::GlobalAveragePool(_) => "global pool",
            Self::Flatten(_) => "flatten",
            Self::Multiply | Self::Gate(_) => "product",
            Self::Concat(_) => "concat",
            Self::PadChannels(_) => "channel padding",
        }
    }

    /// Computes a step for some images. A convolution has a plan for as many.
    pub fn run(
        &self,
        images: usize,
        plan: Option<&Conv>,
        inputs: &[Floats<'_>],
        y: FloatsMut<'_>,
        aside: &mut Aside,
    ) {
        let x = inputs[0];
        match self {
            Self::Conv(conv) => {
                let Some(plan) = plan else { unreachable!("a convolution has a plan") };
                let bias = conv.bias.as_deref();
                let epilogue = Epilogue { bias, residual: inputs.get(1).copied(), act: conv.act };
                plan.forward(x, conv.weights(plan), epilogue, y, &mut aside.scratch);
            }
            Self::MaxPool(shape) => {
                pool::max_forward(&PoolShape { batch: images, ..*shape }, x, y, None);
            }
            Self::GlobalAveragePool(_) if !y.read().is_narrow() => self.compute(images, inputs, y),
            Self::Activation(_) | Self::Concat(_) | Self::PadChannels(_)
                if inputs.iter().all(Floats::is_narrow) && y.read().is_narrow() =>
            {
                self.compute(images, inputs, y);
            }
            _ => aside.widened(inputs, y, |inputs, y| self.compute(images, inputs, y)),
        }
    }

    /// What reads and writes values of one width, or means of either.
    fn compute(&self, images: usize, inputs: &[Floats<'_>], y: FloatsMut<'_>) {
        let x = inputs[0];
        match self {
            Self::Conv(_) | Self::MaxPool(_) => unreachable!("they take values of any width"),
            Self::Activation(act) => activation::forward(*act, x, y),
            Self::Concat(channels) => arrange::concat(inputs, channels, y),
            Self::PadChannels(channels) => arrange::pad_channels(x, *channels, y),
            Self::Add(act) => drop(norm::add_act(wide(x), wide(inputs[1]), *act, wide_mut(y))),
            Self::AveragePool(shape, divisor) => {
                let shape = PoolShape { batch: images, ..*shape };
                pool::average_forward(&shape, *divisor, wide(x), wide_mut(y));
            }
            Self::GlobalAveragePool(pixels) => {
                let channels = y.len() / images.max(1);
                pool::global_average_forward(images, *pixels, channels, x, wide_mut(y));
            }
            Self::Flatten([height, width, channels]) => {
                let sizes = [images, *channels, *height, *width];
                wide_mut(y).copy_from_slice(&layout::nhwc_to_nchw(wide(x), sizes));
            }
            Self::Multiply => {
                for ((y, a), b) in wide_mut(y).iter_mut().zip(wide(x)).zip(wide(inputs[1])) {
                    *y = a * b;
                }
            }
            Self::Gate(channels) => {
                arrange::gate(wide(x), wide(inputs[1]), *channels, wide_mut(y));
            }
        }
    }
}

fn wide(values: Floats<'_>) -> &[f32] {
    match values {
        Floats::F32(values) => values,
        Floats::Bf16(_) => unreachable!("they have been widened"),
    }
}

fn wide_mut(values: FloatsMut<'_>) -> &mut [f32] {
    match values {
        FloatsMut::F32(values) => values,
        FloatsMut::Bf16(_) => unreachable!("they will be narrowed"),
    }
}

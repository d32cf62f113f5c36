//! What is left of a graph once it is fused: the steps that run one after the other.

use ocelli_kernels::activation::{self, Activation};
use ocelli_kernels::pool::{self, Divisor, PoolShape};
use ocelli_kernels::{Conv, Epilogue, Scratch, ShapeError, arrange, layout, norm};

use crate::InferError;
use crate::conv::{Filters, PackedConv};

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
    pub fn pack(self) -> Result<Step, InferError> {
        let Self { name, kind, inputs, output } = self;
        let kind = match kind {
            Kind::Conv(filters) => match filters.pack() {
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
        inputs: &[&[f32]],
        y: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let x = inputs[0];
        let pool = |shape: &PoolShape| PoolShape { batch: images, ..*shape };
        match self {
            Self::Conv(conv) => {
                let Some(plan) = plan else { unreachable!("a convolution has a plan") };
                let bias = conv.bias.as_deref();
                let epilogue = Epilogue { bias, residual: inputs.get(1).copied(), act: conv.act };
                plan.forward(x, conv.weights(plan), epilogue, y, scratch);
            }
            Self::Activation(act) => activation::forward(*act, x, y),
            Self::Add(act) => {
                norm::add_act(x, inputs[1], *act, y);
            }
            Self::MaxPool(shape) => pool::max_forward(&pool(shape), x, y, None),
            Self::AveragePool(shape, divisor) => {
                pool::average_forward(&pool(shape), *divisor, x, y);
            }
            Self::GlobalAveragePool(pixels) => {
                let channels = y.len() / images.max(1);
                pool::global_average_forward(images, *pixels, channels, x, y);
            }
            Self::Flatten([height, width, channels]) => {
                y.copy_from_slice(&layout::nhwc_to_nchw(x, [images, *channels, *height, *width]));
            }
            Self::Multiply => {
                for ((y, a), b) in y.iter_mut().zip(x).zip(inputs[1]) {
                    *y = a * b;
                }
            }
            Self::Gate(channels) => arrange::gate(x, inputs[1], *channels, y),
            Self::Concat(channels) => arrange::concat(inputs, channels, y),
            Self::PadChannels([before, within, after]) => {
                arrange::pad_channels(x, [*before, *within, *after], y);
            }
        }
    }
}

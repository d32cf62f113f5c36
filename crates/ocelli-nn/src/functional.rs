//! Operations without weights. `path` names the place in the network, for the recording and for errors.

use ocelli_graph::{self as graph, Op};
use ocelli_kernels::Padding;
use ocelli_kernels::pool::{Divisor, PoolShape};

use crate::{Activation, Error, Feature, Pass, Result, ops};

/// What a pooling window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// `[height, width]` of the window.
    pub kernel: [usize; 2],
    /// `[vertical, horizontal]`
    pub stride: [usize; 2],
    /// What is added around the input.
    pub padding: Padding,
    /// Whether a last window that reaches beyond the border counts.
    pub ceil_mode: bool,
}

impl PoolConfig {
    /// A square window with symmetric padding.
    pub fn new(kernel: usize, stride: usize, padding: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: Padding::symmetric(padding, padding),
            ceil_mode: false,
        }
    }

    /// The same with partial windows at the far border.
    pub fn ceil_mode(self) -> Self {
        Self { ceil_mode: true, ..self }
    }

    fn shape(&self, path: &str, x: &Feature) -> Result<PoolShape> {
        let &[batch, height, width, channels] = x.dims() else {
            return Err(Error::shape(path, format!("wants [N, H, W, C], not {:?}", x.dims())));
        };
        let Self { kernel, stride, padding, ceil_mode } = *self;
        let shape =
            PoolShape { batch, height, width, channels, kernel, stride, padding, ceil_mode };
        shape.check().map_err(|error| Error::shape(path, error.to_string()))?;
        Ok(shape)
    }
}

/// The largest value of each window; padding never wins.
///
/// # Errors
/// Where no window fits the map.
pub fn max_pool(path: &str, x: &Feature, config: PoolConfig, pass: &mut Pass) -> Result<Feature> {
    let y = ops::max_pool(x, config.shape(path, x)?, pass)?;
    let PoolConfig { kernel, stride, padding, ceil_mode } = config;
    pass.emit(path, &[x], &[], y, || Op::MaxPool {
        kernel,
        stride,
        padding: graph_padding(padding),
        ceil_mode,
    })
}

/// The mean of each window; padding counts as zeros, as in PyTorch's default.
///
/// # Errors
/// Where no window fits the map.
pub fn average_pool(
    path: &str,
    x: &Feature,
    config: PoolConfig,
    pass: &mut Pass,
) -> Result<Feature> {
    let y = ops::average_pool(x, config.shape(path, x)?, Divisor::Padded, pass)?;
    let PoolConfig { kernel, stride, padding, ceil_mode } = config;
    pass.emit(path, &[x], &[], y, || Op::AveragePool {
        kernel,
        stride,
        padding: graph_padding(padding),
        ceil_mode,
        count_include_pad: true,
    })
}

/// `[N, H, W, C]` to `[N, C]`: the mean over all pixels.
///
/// # Errors
/// Where `x` is no feature map.
pub fn global_average_pool(path: &str, x: &Feature, pass: &mut Pass) -> Result<Feature> {
    let y = ops::global_average_pool(path, x, pass)?;
    pass.emit(path, &[x], &[], y, || Op::GlobalAveragePool)
}

/// `act(x)`, elementwise.
///
/// # Errors
/// Where the device does not have it.
pub fn activation(path: &str, x: &Feature, act: Activation, pass: &mut Pass) -> Result<Feature> {
    match graph_activation(act) {
        Some(op) => {
            let y = ops::activation(x, act, pass)?;
            pass.emit(path, &[x], &[], y, || Op::Activation(op))
        }
        None => Ok(x.clone()),
    }
}

/// `a + b`, of one shape.
///
/// # Errors
/// Where the shapes differ.
pub fn add(path: &str, a: &Feature, b: &Feature, pass: &mut Pass) -> Result<Feature> {
    if a.dims() != b.dims() {
        return Err(Error::shape(path, format!("cannot add {:?} to {:?}", b.dims(), a.dims())));
    }
    let y = ops::add(a, b, pass)?;
    pass.emit(path, &[a, b], &[], y, || Op::Add)
}

/// Features one after the other along their channels.
///
/// # Errors
/// Where they differ in another axis.
pub fn concat(path: &str, parts: &[&Feature], pass: &mut Pass) -> Result<Feature> {
    let others = |part: &Feature| part.dims().split_last().map(|(_, others)| others.to_vec());
    let Some(first) = parts.first().and_then(|part| others(part)) else {
        return Err(Error::shape(path, "wants at least one feature"));
    };
    if let Some(part) = parts.iter().find(|part| others(part).as_ref() != Some(&first)) {
        let reason = format!("cannot put {:?} beside {:?}", part.dims(), parts[0].dims());
        return Err(Error::shape(path, reason));
    }
    let y = ops::concat(parts, pass)?;
    pass.emit(path, parts, &[], y, || Op::Concat)
}

/// `before` and `after` channels of zeros around those of `x` `[N, H, W, C]`.
///
/// # Errors
/// Where `x` is no feature map.
pub fn pad_channels(
    path: &str,
    x: &Feature,
    before: usize,
    after: usize,
    pass: &mut Pass,
) -> Result<Feature> {
    let y = ops::pad_channels(x, before, after, pass)?;
    pass.emit(path, &[x], &[], y, || Op::PadChannels { before, after })
}

pub(crate) fn graph_padding(Padding { top, bottom, left, right }: Padding) -> graph::Padding {
    graph::Padding { top, bottom, left, right }
}

/// None for the identity, which is no node.
pub(crate) fn graph_activation(act: Activation) -> Option<graph::Activation> {
    Some(match act {
        Activation::Identity => return None,
        Activation::Relu => graph::Activation::Relu,
        Activation::Relu6 => graph::Activation::Relu6,
        Activation::Sigmoid => graph::Activation::Sigmoid,
        Activation::Silu => graph::Activation::Silu,
        Activation::HardSigmoid => graph::Activation::HardSigmoid,
        Activation::HardSwish => graph::Activation::HardSwish,
        Activation::Gelu => graph::Activation::Gelu,
    })
}

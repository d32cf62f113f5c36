//! What flows between layers.

use std::sync::{Arc, OnceLock};

use candle_core::{Device, Tensor};
use ocelli_graph::ValueId;
use ocelli_kernels::Source;
use ocelli_kernels::norm::Moments;

use crate::memory::Buffer;
use crate::numbers::Numbers;
use crate::tape::Node;
use crate::values::Values;
use crate::{Error, Result};

/// A feature map `[N, H, W, C]` or vector `[N, C]` between two layers, and its place in the pass: on its tape
/// if it learns, in the recording if it records.
#[derive(Clone, Debug)]
pub struct Feature {
    dims: Vec<usize>,
    values: Values,
    /// The same as numbers, and as f32, once someone has asked for them.
    written: Arc<OnceLock<Numbers>>,
    wide: Arc<OnceLock<Arc<Buffer>>>,
    /// Of each channel, if whoever computed the values summed them up.
    moments: Option<Arc<Moments>>,
    pub(crate) origin: Origin,
    value: Option<ValueId>,
}

/// Where a gradient goes.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Nowhere.
    Constant,
    /// To a node of a tape.
    Node(Node),
    /// To candle, which made it.
    Candle(Tensor),
}

impl Feature {
    /// A feature from values of one's own, `[N, H, W, C]` or `[N, C]`; nothing is copied.
    ///
    /// # Errors
    /// Where there are more or fewer values than the axes say.
    pub fn from_vec(values: Vec<f32>, dims: &[usize]) -> Result<Self> {
        if values.len() != dims.iter().product::<usize>() {
            let reason = format!("{} values are not {dims:?}", values.len());
            return Err(Error::shape("feature", reason));
        }
        Ok(Self::made(dims, Buffer::from_vec(values), Origin::Constant))
    }

    /// A feature from a tensor of one's own, f32 on the CPU. If candle tracks the tensor, gradients flow back
    /// into it. A pass that records refuses it, as it cannot know where it came from.
    ///
    /// # Errors
    /// Where the tensor is of another type.
    pub fn new(tensor: &Tensor) -> Result<Self> {
        let values = Buffer::from_vec(tensor.flatten_all()?.to_vec1()?);
        let origin = match tensor.track_op() {
            true => Origin::Candle(tensor.clone()),
            false => Origin::Constant,
        };
        Ok(Self::made(tensor.dims(), values, origin))
    }

    pub(crate) fn made(dims: &[usize], values: impl Into<Values>, origin: Origin) -> Self {
        Self {
            dims: dims.to_vec(),
            values: values.into(),
            written: Arc::default(),
            wide: Arc::default(),
            moments: None,
            origin,
            value: None,
        }
    }

    /// The same values under other axes.
    pub(crate) fn reshaped(self, dims: &[usize]) -> Self {
        debug_assert_eq!(self.len(), dims.iter().product::<usize>());
        Self { dims: dims.to_vec(), ..self }
    }

    /// Numbers that the values are, for as long as the feature is there.
    pub(crate) fn with_written(self, numbers: Numbers) -> Self {
        Self { written: Arc::new(numbers.into()), ..self }
    }

    pub(crate) fn with_moments(self, moments: Option<Moments>) -> Self {
        Self { moments: moments.map(Arc::new), ..self }
    }

    /// Mean and variance of each channel.
    pub(crate) fn moments(&self) -> Arc<Moments> {
        let new = || Arc::new(Moments::new(self.numbers().get(), self.channels()));
        self.moments.clone().unwrap_or_else(new)
    }

    pub(crate) fn recorded(self, value: Option<ValueId>) -> Self {
        Self { value, ..self }
    }

    /// A copy of the values as a tensor, `[N, H, W, C]` or `[N, C]`. In a pass that learns candle tracks it, and
    /// [`Pass::backward`](crate::Pass::backward) carries its gradient on into the network.
    ///
    /// # Errors
    /// Where candle cannot hold it.
    pub fn tensor(&self) -> Result<Tensor> {
        let copy = || Tensor::from_vec(self.values().to_vec(), self.dims.as_slice(), &Device::Cpu);
        match &self.origin {
            Origin::Constant => Ok(copy()?),
            Origin::Node(node) => node.leaf(&copy()?),
            Origin::Candle(tensor) => Ok(tensor.clone()),
        }
    }

    /// The values in reading order, channels last.
    pub fn values(&self) -> &[f32] {
        match &self.values {
            Values::Written(Numbers::F32(values)) => values,
            _ => self.wide.get_or_init(|| self.numbers().wide()),
        }
    }

    /// The values as numbers, of whatever width.
    pub(crate) fn numbers(&self) -> &Numbers {
        match &self.values {
            Values::Written(values) => values,
            values => self.written.get_or_init(|| values.written()),
        }
    }

    /// The values for whoever can compute them while reading.
    pub(crate) fn source(&self) -> Source<'_> {
        match self.written.get() {
            Some(written) => Source::Plain(written.get()),
            None => self.values.source(),
        }
    }

    /// What they are made of, to be kept: the least memory that they can be had from.
    pub(crate) fn kept(&self) -> Values {
        self.values.clone()
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The shape, batch first.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of channels: the last axis.
    pub fn channels(&self) -> usize {
        self.dims().last().copied().unwrap_or(0)
    }

    pub(crate) fn value(&self) -> Option<ValueId> {
        self.value
    }
}

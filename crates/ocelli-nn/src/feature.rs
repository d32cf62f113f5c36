//! What flows between layers.

use candle_core::Tensor;
use ocelli_graph::ValueId;

/// A feature map `[N, H, W, C]` or vector `[N, C]` between two layers, and its place in the recording, if
/// the pass is recorded.
#[derive(Clone, Debug)]
pub struct Feature {
    tensor: Tensor,
    value: Option<ValueId>,
}

impl Feature {
    /// A feature from a tensor of one's own. A pass that records refuses it, as it cannot know where it
    /// came from.
    pub fn new(tensor: Tensor) -> Self {
        Self { tensor, value: None }
    }

    pub(crate) fn recorded(tensor: Tensor, value: Option<ValueId>) -> Self {
        Self { tensor, value }
    }

    /// The values, `[N, H, W, C]` or `[N, C]`.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The shape, batch first.
    pub fn dims(&self) -> &[usize] {
        self.tensor.dims()
    }

    /// Number of channels: the last axis.
    pub fn channels(&self) -> usize {
        self.dims().last().copied().unwrap_or(0)
    }

    pub(crate) fn value(&self) -> Option<ValueId> {
        self.value
    }
}

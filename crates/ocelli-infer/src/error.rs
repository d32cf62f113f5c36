//! What can go wrong with an engine.

use ocelli_core::DecodeError;
use ocelli_kernels::ShapeError;
use thiserror::Error;

/// What can go wrong with an engine or a predictor.
#[derive(Debug, Error)]
pub enum InferError {
    /// A weight that the graph reads is not there, or has another length.
    #[error("the weight `{name}`: {reason}")]
    Weight {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The network has no layers.
    #[error("the network has no layers: its output is its input")]
    Empty,
    /// A layer that cannot be computed.
    #[error("{layer}: {source}")]
    Layer {
        /// Its path.
        layer: String,
        /// Why.
        source: ShapeError,
    },
    /// The values given are not images of the network's size.
    #[error("{values} values are no images of {height} x {width} pixels with {channels} channels")]
    Images {
        /// How many were given.
        values: usize,
        /// Rows of an image.
        height: usize,
        /// Columns of an image.
        width: usize,
        /// Channels of a pixel.
        channels: usize,
    },
    /// Network, classes and preprocessing do not belong together.
    #[error("the network takes {network} and answers with {outputs} numbers, but {given}")]
    Mismatch {
        /// The network's input.
        network: String,
        /// The network's logits.
        outputs: usize,
        /// What does not fit them.
        given: String,
    },
    /// A photo could not be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

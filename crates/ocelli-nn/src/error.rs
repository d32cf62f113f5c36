//! What can go wrong in a network.

use std::path::PathBuf;

use thiserror::Error;

/// The result of anything a network does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a network.
#[derive(Debug, Error)]
pub enum Error {
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A layer got something of a shape it cannot take.
    #[error("{layer}: {reason}")]
    Shape {
        /// The layer's path.
        layer: String,
        /// What does not fit.
        reason: String,
    },
    /// A weight is not what the network wants.
    #[error("weight `{name}`: {reason}")]
    Weight {
        /// The parameter's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An operation went around the pass, so the recorded network would lack it.
    #[error(
        "{consumer} reads a value that was not recorded (the last recorded operation is {last}): \
         an operation between the two does not take the pass"
    )]
    Unrecorded {
        /// The layer that reads the value.
        consumer: String,
        /// The operation recorded before it.
        last: String,
    },
    /// Two recordings of one network differ.
    #[error("{0}: the network is not the same for every batch size, so it cannot be recorded")]
    Unstable(String),
    /// A node does not fit the recorded graph.
    #[error("recording {0}")]
    Graph(#[from] ocelli_graph::GraphError),
    /// A weight file could not be read or written.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// A shape error of the layer at `path`.
    pub fn shape(path: &str, reason: impl Into<String>) -> Self {
        Self::Shape { layer: path.to_string(), reason: reason.into() }
    }
}

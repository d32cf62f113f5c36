//! What can go wrong in a training run.

use std::path::PathBuf;

use ocelli_core::SourceError;
use ocelli_core::files::WriteError;
use thiserror::Error;

/// What can go wrong in a training run.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A setting makes no sense.
    #[error("{name} = {value}: wanted {wanted}")]
    Config {
        /// The setting.
        name: &'static str,
        /// What it was.
        value: String,
        /// What would make sense.
        wanted: &'static str,
    },
    /// The data could not be loaded.
    #[error(transparent)]
    Data(#[from] SourceError),
    /// The data does not fit the network.
    #[error("{0}")]
    Mismatch(String),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] ocelli_nn::Error),
    /// A metric could not be counted.
    #[error("{0}")]
    Metric(String),
    /// The loss is no number any more.
    #[error(
        "the loss became {loss} in epoch {epoch}, batch {batch}: try a lower learning rate (it is {rate:.2e}) \
         or clip the gradients; the checkpoint of the last whole epoch is kept"
    )]
    Diverged {
        /// The loss.
        loss: f32,
        /// Counted from 1.
        epoch: u64,
        /// Counted from 1.
        batch: usize,
        /// The rate at the time.
        rate: f64,
    },
    /// A trainable parameter got no usable gradient.
    #[error("the gradient of `{name}` is {what}")]
    Gradient {
        /// The parameter.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// A checkpoint cannot be resumed from.
    #[error("{path}: {reason}", path = path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<candle_core::Error> for TrainError {
    fn from(error: candle_core::Error) -> Self {
        Self::Network(error.into())
    }
}

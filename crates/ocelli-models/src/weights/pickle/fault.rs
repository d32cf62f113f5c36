//! What went wrong in a pickle, before the file's name is known.

use std::path::Path;

use crate::weights::WeightsError;

pub(super) type Result<T> = std::result::Result<T, Fault>;

#[derive(Debug)]
pub(super) enum Fault {
    Damaged(String),
    Refused(String),
    Unsupported(String),
    NoTensors(String),
    Tensor { tensor: String, reason: String },
}

impl Fault {
    pub(super) fn damaged<T>(reason: impl Into<String>) -> Result<T> {
        Err(Fault::Damaged(reason.into()))
    }

    pub(super) fn unsupported<T>(reason: impl Into<String>) -> Result<T> {
        Err(Fault::Unsupported(reason.into()))
    }

    /// Says where in the stream a fault was met.
    pub(super) fn at(self, position: usize) -> Self {
        match self {
            Fault::Damaged(reason) => Fault::Damaged(format!("{reason} (pickle byte {position})")),
            other => other,
        }
    }

    pub(super) fn named(self, path: &Path) -> WeightsError {
        let path = path.to_owned();
        match self {
            Fault::Damaged(reason) => WeightsError::Damaged { path, reason },
            Fault::Refused(global) => WeightsError::Refused { path, global },
            Fault::Unsupported(reason) => WeightsError::Unsupported { path, reason },
            Fault::NoTensors(found) => WeightsError::NoTensors { path, found },
            Fault::Tensor { tensor, reason } => WeightsError::Tensor { path, tensor, reason },
        }
    }
}

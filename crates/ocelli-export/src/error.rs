//! What can go wrong with a model folder.

use std::path::{Path, PathBuf};

use ocelli_core::PreprocessError;
use ocelli_core::files::WriteError;
use ocelli_infer::InferError;
use ocelli_models::ModelError;
use ocelli_models::weights::WeightsError;
use thiserror::Error;

/// What can go wrong with a model folder.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file of the folder cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The labels are not as many as the model's classes.
    #[error("{path}: {labels} label names for a model with {classes} classes", path = path.display())]
    Labels {
        /// The configuration.
        path: PathBuf,
        /// Names given.
        labels: usize,
        /// Classes of the model.
        classes: usize,
    },
    /// The weights cannot be found or read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The architecture or its weights do not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] ocelli_nn::Error),
    /// The preprocessing makes no sense.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The recorded network cannot be run.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ExportError {
    pub(crate) fn folder(path: &Path, reason: impl Into<String>) -> Self {
        Self::Folder { path: path.to_path_buf(), reason: reason.into() }
    }
}

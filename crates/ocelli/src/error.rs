//! What can go wrong on the way from a folder of photos to a classifier.

use std::path::PathBuf;

use ocelli_core::PreprocessError;
use ocelli_core::files::WriteError;
use ocelli_data::DataError;
use ocelli_export::ExportError;
use ocelli_models::ModelError;
use ocelli_models::weights::WeightsError;
use ocelli_train::TrainError;
use thiserror::Error;

/// What can go wrong on the way from a folder of photos to a classifier.
#[derive(Debug, Error)]
pub enum Error {
    /// A recipe cannot be read or written.
    #[error("{path}: {reason}", path = path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Config(String),
    /// The images cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A random change of images makes no sense.
    #[error(transparent)]
    Augment(#[from] ocelli_augment::AugmentError),
    /// The bundled dataset could not be drawn.
    #[error(transparent)]
    Solids(#[from] ocelli_data::solids::SolidsError),
    /// The network cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The model folder cannot be written or read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The network failed.
    #[error(transparent)]
    Network(#[from] ocelli_nn::Error),
    /// The preprocessing makes no sense.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The run was stopped before its last epoch; its state is saved.
    #[error("stopped in epoch {epoch} of {epochs}; `ocelli finetune --resume {folder}` continues it", folder = folder.display())]
    Stopped {
        /// The run folder.
        folder: PathBuf,
        /// The epoch that was not finished, counted from 1.
        epoch: u64,
        /// Epochs in all.
        epochs: u64,
    },
}

//! A run's state on disk: everything that a resumed run needs to end at the same weights.

use std::collections::HashMap;
use std::path::Path;

use ocelli_nn::{Classifier, DiskTensor, read_safetensors, write_safetensors};
use serde::{Deserialize, Serialize};

use crate::report::EpochRecord;
use crate::{Meter, Optimizer, TrainError};

const MODEL: &str = "model/";
const OPTIMIZER: &str = "optimizer/";
const PROGRESS: &str = "progress";

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Counted from 1.
    pub epoch: u64,
    /// Share of right answers on the validation images, 0..1.
    pub top1: f64,
    /// Log loss on the validation images; decides between epochs of equal accuracy.
    pub loss: f64,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Whole epochs done.
    pub epoch: u64,
    /// Batches done of the next one.
    pub batch: usize,
    /// Optimizer steps taken.
    pub step: u64,
    /// What the unfinished epoch has come to.
    pub meter: Meter,
    /// One record per whole epoch.
    pub history: Vec<EpochRecord>,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// What must not differ between the parts of a run: see
    /// [`Trainer::fingerprint`](crate::Trainer::fingerprint).
    pub fingerprint: String,
}

/// A run's state: weights, optimizer state and progress in one safetensors file.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Weights by name, in PyTorch's order.
    pub model: Vec<(String, DiskTensor)>,
    /// What the optimizer keeps.
    pub optimizer: Vec<(String, DiskTensor)>,
    /// How far the run is.
    pub progress: Progress,
}

impl Checkpoint {
    /// The state of a running training.
    ///
    /// # Errors
    /// Where the device does not hand out the weights.
    pub fn of(
        network: &dyn Classifier,
        optimizer: &Optimizer,
        progress: &Progress,
    ) -> Result<Self, TrainError> {
        let model = network.params().to_disk()?;
        Ok(Self { model, optimizer: optimizer.state(), progress: progress.clone() })
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// Where the folder cannot be written or the disk is full.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let prefixed = |prefix: &'static str, tensors: &[(String, DiskTensor)]| {
            let named =
                |(name, tensor): &(String, DiskTensor)| (format!("{prefix}{name}"), tensor.clone());
            tensors.iter().map(named).collect::<Vec<_>>()
        };
        let mut tensors = prefixed(MODEL, &self.model);
        tensors.extend(prefixed(OPTIMIZER, &self.optimizer));
        let progress = serde_json::to_string(&self.progress)
            .map_err(|error| broken(path, &error.to_string()))?;
        Ok(write_safetensors(path, &tensors, HashMap::from([(PROGRESS.to_string(), progress)]))?)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// Where it is missing, damaged or no checkpoint.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let (tensors, metadata) = read_safetensors(path)?;
        let progress =
            metadata.get(PROGRESS).ok_or_else(|| broken(path, "is no checkpoint of a run"))?;
        let progress =
            serde_json::from_str(progress).map_err(|error| broken(path, &error.to_string()))?;
        let (mut model, mut optimizer) = (Vec::new(), Vec::new());
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix(MODEL) {
                model.push((name.to_string(), tensor));
            } else if let Some(name) = name.strip_prefix(OPTIMIZER) {
                optimizer.push((name.to_string(), tensor));
            }
        }
        Ok(Self { model, optimizer, progress })
    }

    /// Puts the weights back into a network.
    ///
    /// # Errors
    /// Where they are those of another network.
    pub fn restore(&self, network: &dyn Classifier, path: &Path) -> Result<(), TrainError> {
        let tensors = self.model.iter().map(|(name, tensor)| (name.as_str(), tensor));
        let report = network.params().load(tensors)?;
        if report.missing.is_empty() && report.unexpected.is_empty() && report.reshaped.is_empty() {
            return Ok(());
        }
        Err(broken(path, "belongs to another network than the recipe's"))
    }
}

pub(crate) fn broken(path: &Path, reason: &str) -> TrainError {
    TrainError::Checkpoint { path: path.to_path_buf(), reason: reason.to_string() }
}

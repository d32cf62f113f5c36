//! From a dataset to batches, in parallel.
//!
//! An epoch is a plan made beforehand: which sample stands where in which batch, and with which random
//! stream. Threads only decide who makes what, so the batches are the same for any number of them.

mod config;
mod epoch;
mod job;
mod problems;
mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ocelli_core::{BatchTransform, Dataset, Normalize, Transform};

use crate::DataError;
use job::Job;

pub use config::{BadFiles, LoaderConfig};
pub use epoch::Epoch;
pub use problems::Problem;

/// Makes the batches of each epoch: reads, transforms, normalises and stacks images.
///
/// Random numbers are keyed by what they are for: (seed, epoch) for the order, (seed, epoch, sample) for
/// the transform of an image, (seed, epoch, batch) for those of a batch. So an epoch can be had again, or
/// from its middle on ([`epoch_from`](Self::epoch_from)), and is the same for any number of threads.
#[derive(Clone)]
pub struct Loader {
    job: Arc<Job>,
}

impl Loader {
    /// A loader of `dataset`. Each image passes `transform`, which must end at one size for all, then
    /// `normalize`; each batch passes `batch_transforms` in turn.
    ///
    /// # Errors
    /// Where the dataset is empty or gives an image a class that it does not have, or where the settings
    /// make no sense.
    pub fn new(
        dataset: Arc<dyn Dataset>,
        config: LoaderConfig,
        transform: Arc<dyn Transform>,
        normalize: Normalize,
        batch_transforms: Vec<Arc<dyn BatchTransform>>,
    ) -> Result<Self, DataError> {
        config.check(dataset.len())?;
        let classes = dataset.classes().len();
        if let Some(index) = (0..dataset.len()).find(|&index| dataset.target(index) >= classes) {
            let (sample, target) = (dataset.describe(index), dataset.target(index));
            return Err(DataError::Target { sample, target, classes });
        }
        Ok(Self {
            job: Arc::new(Job::new(dataset, config, transform, normalize, batch_transforms)),
        })
    }

    /// All batches of an epoch.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from number `first` on: exactly those that [`epoch`](Self::epoch) gives
    /// after its first `first`. For a run that was stopped in the middle of an epoch.
    pub fn epoch_from(&self, epoch: u64, first: usize) -> Epoch {
        Epoch::start(self.job.clone(), epoch, first)
    }

    /// Number of batches of an epoch.
    pub fn batches(&self) -> usize {
        self.job.config.batches(self.job.dataset.len())
    }

    /// The images that could not be read so far, in the order in which they were met; each once.
    pub fn problems(&self) -> Vec<Problem> {
        self.job.problems.list()
    }

    /// The dataset.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.job.dataset
    }

    /// The settings.
    pub fn config(&self) -> &LoaderConfig {
        &self.job.config
    }
}

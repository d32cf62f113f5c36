//! The loader's settings.

use std::num::NonZero;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::{DataError, Order};

/// How a [`Loader`](crate::Loader) makes batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoaderConfig {
    /// Images in a batch, at least 1.
    pub batch_size: usize,
    /// Threads that read and transform images. With 0 the thread that asks for a batch makes it.
    pub threads: usize,
    /// Batches made ahead of the one asked for, at least 1 where there are threads. More smooth out slow
    /// files and take memory.
    pub prefetch: usize,
    /// The order of an epoch.
    pub order: Order,
    /// Whether a last batch smaller than the others is left out.
    pub drop_last: bool,
    /// Key of all random numbers.
    pub seed: u64,
    /// What to do about an image that cannot be read.
    pub bad_files: BadFiles,
}

impl Default for LoaderConfig {
    /// Batches of 32, shuffled, made by as many threads as there are processors, 2 ahead.
    fn default() -> Self {
        Self {
            batch_size: 32,
            threads: thread::available_parallelism().map_or(1, NonZero::get),
            prefetch: 2,
            order: Order::Shuffled,
            drop_last: false,
            seed: 0,
            bad_files: BadFiles::default(),
        }
    }
}

/// What to do about an image that cannot be read or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum BadFiles {
    /// Leave it out of its batch, which is then smaller, and list it in
    /// [`Loader::problems`](crate::Loader::problems). The order of all others stays.
    Skip {
        /// Largest share of the dataset that may be unreadable, 0 to 1; more is an error.
        max_fraction: f64,
    },
    /// An error at the first.
    Fail,
}

impl Default for BadFiles {
    /// Skip up to 1 %.
    fn default() -> Self {
        Self::Skip { max_fraction: 0.01 }
    }
}

impl LoaderConfig {
    /// Batches of an epoch over `images` images.
    pub(super) fn batches(&self, images: usize) -> usize {
        if self.drop_last { images / self.batch_size } else { images.div_ceil(self.batch_size) }
    }

    /// Whether the settings make sense for `images` images.
    pub(super) fn check(&self, images: usize) -> Result<(), DataError> {
        let fault = |message: String| Err(DataError::Config(message));
        if self.batch_size == 0 {
            return fault("batch_size must be at least 1".into());
        }
        if self.prefetch == 0 && self.threads > 0 {
            return fault("prefetch must be at least 1 where threads load".into());
        }
        if let BadFiles::Skip { max_fraction } = self.bad_files
            && !(0.0..=1.0).contains(&max_fraction)
        {
            return fault(format!(
                "max_fraction of bad files must be from 0 to 1, not {max_fraction}"
            ));
        }
        if images == 0 {
            return fault("the dataset has no image".into());
        }
        if self.batches(images) == 0 {
            let size = self.batch_size;
            return fault(format!(
                "{images} images do not fill one batch of {size}, and drop_last leaves none; \
                                  choose a smaller batch_size"
            ));
        }
        Ok(())
    }
}

//! A loader as a source of batches for training and evaluation.

use ocelli_core::{Batch, BatchSource, SourceError};

use crate::Loader;

impl BatchSource for Loader {
    fn batches(&self) -> usize {
        self.batches()
    }

    fn images(&self) -> usize {
        let images = self.dataset().len();
        if self.config().drop_last { self.batches() * self.config().batch_size } else { images }
    }

    fn epoch(
        &self,
        epoch: u64,
        first: usize,
    ) -> Box<dyn Iterator<Item = Result<Batch, SourceError>> + '_> {
        Box::new(self.epoch_from(epoch, first).map(|batch| batch.map_err(SourceError::from)))
    }
}

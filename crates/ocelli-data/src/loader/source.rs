//! A loader is one of the things that a trainer takes batches from.

use ocelli_core::{Batch, BatchSource, SourceError};

use super::Loader;

impl BatchSource for Loader {
    fn batches(&self) -> usize {
        self.batches()
    }

    fn images(&self) -> usize {
        let (images, config) = (self.dataset().len(), self.config());
        if config.drop_last { self.batches() * config.batch_size } else { images }
    }

    fn epoch(
        &self,
        epoch: u64,
        first: usize,
    ) -> Box<dyn Iterator<Item = Result<Batch, SourceError>> + '_> {
        Box::new(self.epoch_from(epoch, first).map(|batch| batch.map_err(SourceError::from)))
    }
}

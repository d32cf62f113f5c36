//! Whatever yields batches, epoch by epoch.

use crate::Batch;

/// Why a source of batches failed.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Whatever yields batches, epoch by epoch: a loader, or something of one's own.
pub trait BatchSource: Send + Sync {
    /// Number of batches in an epoch.
    fn batches(&self) -> usize;

    /// Number of images in an epoch.
    fn images(&self) -> usize;

    /// The batches of an epoch from number `first` on. The same arguments always give the same batches, so
    /// that a stopped run can continue where it was.
    fn epoch(
        &self,
        epoch: u64,
        first: usize,
    ) -> Box<dyn Iterator<Item = Result<Batch, SourceError>> + '_>;
}

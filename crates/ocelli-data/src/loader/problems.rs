//! The images that could not be read.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ocelli_core::SampleError;

use super::BadFiles;
use crate::DataError;

/// How many unreadable images an error lists.
const LISTED: usize = 5;

/// An image that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its index in the dataset.
    pub index: usize,
    /// What the dataset calls it.
    pub sample: String,
    /// What is wrong with it; names it too.
    pub message: String,
}

/// All problems of a loader, over its epochs.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// In the order met.
    list: Vec<Problem>,
    /// Those that the policy lets pass: they are not read again.
    skipped: HashSet<usize>,
}

impl Problems {
    pub fn list(&self) -> Vec<Problem> {
        self.lock().list.clone()
    }

    /// Whether an image was unreadable before and is to be passed over.
    pub fn skips(&self, index: usize) -> bool {
        self.lock().skipped.contains(&index)
    }

    /// Adds a problem, unless it is listed, and applies the policy. Called for batches in their order, so
    /// which image is one too many does not depend on threads.
    pub fn add(
        &self,
        problem: Problem,
        cause: SampleError,
        policy: BadFiles,
        total: usize,
    ) -> Result<(), DataError> {
        let mut found = self.lock();
        let index = problem.index;
        if !found.list.iter().any(|known| known.index == index) {
            found.list.push(problem);
        }
        let max_fraction = match policy {
            BadFiles::Fail => return Err(DataError::Sample { cause }),
            BadFiles::Skip { max_fraction } => max_fraction,
        };
        let bad = found.list.len();
        // The tolerance is for products such as 0.29 * 100, which is below 29.
        if bad as f64 > max_fraction * total as f64 + 1e-9 {
            let first =
                found.list.iter().take(LISTED).map(|problem| problem.message.clone()).collect();
            return Err(DataError::TooManyBad { bad, total, max_fraction, first });
        }
        found.skipped.insert(index);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The batches of one epoch, as an iterator that owns its threads.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use ocelli_core::Batch;

use super::job::{Job, Outcome};
use super::problems::Problem;
use super::queue::Queue;
use crate::DataError;

/// The batches of one epoch, in order. After an error it is over.
///
/// Dropped early, it stops its threads and waits for each to finish the sample it is at.
pub struct Epoch {
    job: Arc<Job>,
    queue: Arc<Queue>,
    /// None where the calling thread loads.
    workers: Vec<JoinHandle<()>>,
    /// Width and height of the images so far.
    size: Option<(usize, usize)>,
    waited: Duration,
    over: bool,
}

impl Epoch {
    pub(super) fn start(job: Arc<Job>, epoch: u64, first: usize) -> Self {
        let queue = Arc::new(Queue::new(job.clone(), epoch, first));
        let spawn = |number| {
            let queue = queue.clone();
            // Without a thread (the system may refuse one), the calling thread loads.
            Builder::new().name(format!("loader-{number}")).spawn(move || queue.work()).ok()
        };
        let workers = (0..job.config.threads).map_while(spawn).collect();
        Self { job, queue, workers, size: None, waited: Duration::ZERO, over: false }
    }

    /// Number of batches of the whole epoch, those before the first asked for included.
    pub fn batches(&self) -> usize {
        self.queue.batches()
    }

    /// Number of the batch that comes next: with it, [`epoch_from`](crate::Loader::epoch_from) continues
    /// here. It is ahead of a count of the batches had where a batch had no readable image and was left
    /// out.
    pub fn next_batch(&self) -> usize {
        self.queue.position()
    }

    /// How long [`next`](Iterator::next) has waited for data so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    fn receive(&mut self) -> Outcome {
        let start = Instant::now();
        let outcome = if self.workers.is_empty() { self.queue.make() } else { self.queue.take() };
        self.waited += start.elapsed();
        outcome
    }

    /// Applies the policy for unreadable images and checks the size.
    fn accept(&mut self, outcome: Outcome) -> Result<Option<Batch>, DataError> {
        let (policy, total) = (self.job.config.bad_files, self.job.dataset.len());
        for (index, error) in outcome.bad {
            let problem =
                Problem { index, sample: self.job.describe(index), message: error.to_string() };
            self.job.problems.add(problem, error, policy, total)?;
        }
        let Some(stacked) = outcome.batch? else { return Ok(None) };
        let size = *self.size.get_or_insert(stacked.size);
        if size != stacked.size {
            return Err(self.job.sizes(stacked.batch.indices[0], stacked.size, size));
        }
        Ok(Some(stacked.batch))
    }

    fn stop(&mut self) {
        self.over = true;
        self.queue.stop();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of others' code; should it die, there is nothing to save.
            let _ = worker.join();
        }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over && self.next_batch() < self.batches() {
            let outcome = self.receive();
            match self.accept(outcome) {
                Ok(Some(batch)) => return Some(Ok(batch)),
                Ok(None) => {}
                Err(error) => {
                    self.stop();
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = if self.over { 0 } else { self.batches() - self.next_batch() };
        // Batches without a readable image are left out.
        (0, Some(left))
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.stop();
    }
}

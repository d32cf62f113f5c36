//! Who makes which sample when: a window of batches that moves with the consumer.
//!
//! Workers claim places in the order of the epoch, at most `prefetch` batches ahead. Whoever finishes the
//! last place of a batch stacks it, while the others go on with the next.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::job::{Job, Made, Outcome, Place};

/// An epoch's plan and the state of its batches.
pub(super) struct Queue {
    job: Arc<Job>,
    epoch: u64,
    places: Vec<Place>,
    /// Number of batches of the whole epoch.
    batches: usize,
    state: Mutex<State>,
    /// There may be a place to claim, or the end has come.
    work: Condvar,
    /// A batch is ready.
    ready: Condvar,
}

struct State {
    /// Next place to claim.
    next: usize,
    /// Number of the batch that the consumer takes next: the first of `window`.
    first: usize,
    window: VecDeque<Filling>,
    stopped: bool,
}

/// A batch on its way.
#[derive(Default)]
struct Filling {
    /// One for each place, once it is made.
    made: Vec<Option<Made>>,
    missing: usize,
    outcome: Option<Outcome>,
}

impl Queue {
    /// The plan of `epoch` from batch `first` on, with a window of `prefetch` batches.
    pub fn new(job: Arc<Job>, epoch: u64, first: usize) -> Self {
        let places = job.places(epoch);
        let batches = job.config.batches(places.len());
        let (first, size) = (first.min(batches), job.config.batch_size);
        let state = State { next: first * size, first, window: VecDeque::new(), stopped: false };
        let queue = Self {
            job,
            epoch,
            places,
            batches,
            state: Mutex::new(state),
            work: Condvar::new(),
            ready: Condvar::new(),
        };
        let mut state = queue.lock();
        (0..queue.job.config.prefetch).for_each(|_| queue.widen(&mut state));
        drop(state);
        queue
    }

    /// Number of batches of the whole epoch.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// Number of the batch that comes next.
    pub fn position(&self) -> usize {
        self.lock().first
    }

    /// What a worker does until the epoch is over.
    pub fn work(&self) {
        while let Some(at) = self.claim() {
            let made = self.job.make(self.places[at], self.epoch);
            let number = at / self.job.config.batch_size;
            if let Some(all) = self.put(at, made) {
                let outcome =
                    self.job.assemble(number, self.epoch, &self.places[self.range(number)], all);
                self.finish(number, outcome);
            }
        }
    }

    /// Waits for the next batch and moves the window on. It must not be called after the last.
    pub fn take(&self) -> Outcome {
        let mut state = self.lock();
        loop {
            if let Some(outcome) =
                state.window.front_mut().and_then(|filling| filling.outcome.take())
            {
                state.window.pop_front();
                state.first += 1;
                self.widen(&mut state);
                self.work.notify_all();
                return outcome;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes the next batch in the calling thread. It must not be called after the last.
    pub fn make(&self) -> Outcome {
        let number = self.position();
        let places = &self.places[self.range(number)];
        let made = places.iter().map(|&place| self.job.make(place, self.epoch)).collect();
        self.lock().first += 1;
        self.job.assemble(number, self.epoch, places, made)
    }

    /// Ends the epoch: workers return after the sample they are at.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.work.notify_all();
    }

    /// Places of a batch.
    fn range(&self, number: usize) -> Range<usize> {
        let size = self.job.config.batch_size;
        number * size..((number + 1) * size).min(self.places.len())
    }

    /// Lets one more batch into the window, if there is one.
    fn widen(&self, state: &mut State) {
        let number = state.first + state.window.len();
        if number < self.batches {
            let places = self.range(number).len();
            let made = (0..places).map(|_| None).collect();
            state.window.push_back(Filling { made, missing: places, outcome: None });
        }
    }

    /// A place to make, once there is one in the window; `None` at the end.
    fn claim(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let number = state.next / self.job.config.batch_size;
            if state.stopped || number >= self.batches || state.next >= self.places.len() {
                return None;
            }
            if number < state.first + state.window.len() {
                let at = state.next;
                state.next += 1;
                return Some(at);
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stores what became of a place; returns all of its batch once none is missing.
    fn put(&self, at: usize, made: Made) -> Option<Vec<Made>> {
        let number = at / self.job.config.batch_size;
        let mut state = self.lock();
        let offset = number - state.first;
        let filling = &mut state.window[offset];
        filling.made[at - self.range(number).start] = Some(made);
        filling.missing -= 1;
        (filling.missing == 0)
            .then(|| std::mem::take(&mut filling.made).into_iter().flatten().collect())
    }

    fn finish(&self, number: usize, outcome: Outcome) {
        let mut state = self.lock();
        let offset = number - state.first;
        state.window[offset].outcome = Some(outcome);
        drop(state);
        self.ready.notify_all();
    }

    /// No code of a user runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What a run tells whoever watches it.

use crate::report::EpochRecord;

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Something a user should know, one sentence.
    Note(&'a str),
    /// An epoch begins or continues.
    Epoch {
        /// Counted from 1.
        epoch: u64,
        /// In all.
        epochs: u64,
        /// Batches already done, in a resumed run.
        done: usize,
        /// Batches in all.
        batches: usize,
    },
    /// A step was taken.
    Step {
        /// Batches done in this epoch.
        done: usize,
        /// Mean loss of the epoch up to here, in nats.
        loss: f64,
        /// Share of right answers in the epoch up to here, 0..1.
        top1: f64,
        /// Training images a second in this epoch.
        images_per_second: f64,
        /// Share of the time spent waiting for data, 0..1.
        waiting: f64,
    },
    /// An epoch is over, validated and saved.
    Validated {
        /// What it came to.
        record: &'a EpochRecord,
        /// Whether it is the best so far.
        best: bool,
    },
    /// Images are being evaluated.
    Evaluating {
        /// Batches done.
        done: usize,
        /// Batches in all.
        batches: usize,
    },
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    #[default]
    Continue,
    /// Stop in good order: save, so that the run can be resumed.
    Stop,
}

/// Watches a run and may stop it.
pub trait Observer {
    /// Hears what happened and says whether to go on.
    fn hear(&mut self, event: Event<'_>) -> Control;

    /// Hears a sentence.
    fn note(&mut self, text: &str) {
        let _ = self.hear(Event::Note(text));
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn hear(&mut self, _: Event<'_>) -> Control {
        Control::Continue
    }
}

impl<F: FnMut(Event<'_>) -> Control> Observer for F {
    fn hear(&mut self, event: Event<'_>) -> Control {
        self(event)
    }
}

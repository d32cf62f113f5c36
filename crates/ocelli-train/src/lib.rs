//! Training: loss, optimizers, schedules, the loop, checkpoints and the report.
//!
//! [`Trainer`] takes any [`Classifier`](ocelli_nn::Classifier) and any
//! [`BatchSource`](ocelli_core::BatchSource); it knows neither files nor the zoo. It tells an [`Observer`]
//! what happens, writes checkpoints from which a stopped run continues to the same weights, and keeps one
//! [`EpochRecord`](report::EpochRecord) per epoch. [`evaluate()`] gives exact counts and every answer; a
//! [`Report`](report::Report) puts all of it on one page.

mod checkpoint;
mod clip;
mod config;
mod error;
mod evaluate;
mod meter;
mod observer;
pub mod optim;
pub mod report;
mod schedule;
pub mod tensorboard;
mod trainer;

pub use checkpoint::{Best, Checkpoint, Progress};
pub use clip::clip_gradients;
pub use config::{Scope, TrainConfig};
pub use error::TrainError;
pub use evaluate::{Answer, Evaluation, evaluate};
pub use meter::Meter;
pub use observer::{Control, Event, Observer, Silent};
pub use optim::{Optimizer, OptimizerConfig};
pub use schedule::{Curve, Schedule};
pub use trainer::{Outcome, Trainer};

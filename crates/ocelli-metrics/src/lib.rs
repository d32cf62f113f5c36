#![doc = include_str!("../README.md")]

mod accuracy;
mod classification;
mod confusion;
mod error;
mod fixed;
mod log_loss;
mod rank;
mod scores;

pub use accuracy::{Accuracy, TopK};
pub use classification::{Classification, Summary};
pub use confusion::ConfusionMatrix;
pub use error::MetricsError;
pub use log_loss::LogLoss;
pub use rank::{argmax, rank};
pub use scores::{Average, ClassScores, Scores};

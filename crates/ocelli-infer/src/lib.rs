#![doc = include_str!("../README.md")]

mod conv;
mod engine;
mod error;
mod fuse;
mod memory;
mod predictor;
mod run;
pub mod shapes;
mod step;
mod workspace;

pub use engine::{Engine, StepTime};
pub use error::InferError;
pub use predictor::{Prediction, Predictor};
pub use workspace::Workspace;

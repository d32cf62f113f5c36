//! Softmax and softmax cross-entropy over `[N, classes]`.
//!
//! Rows are independent; the loss is summed in f64, by blocks of rows that depend on the shape alone, so
//! it is the same for any number of threads.

mod cross_entropy;
mod softmax;

pub use cross_entropy::{CrossEntropy, LossError, Targets, cross_entropy};
pub use softmax::{log_softmax, softmax};

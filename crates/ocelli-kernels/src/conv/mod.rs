//! Two-dimensional convolution, forward and backward, channels last.

mod shape;

pub use shape::ConvShape;

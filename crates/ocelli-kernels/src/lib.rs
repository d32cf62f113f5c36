//! The arithmetic of a convolutional network on plain slices, forward and backward.
//!
//! Images are `[N, H, W, C]`, channels last, in f32; nothing here knows a tensor library. One folder per
//! operation. An operation is *planned* from its shape, which checks the shape and picks the kernel;
//! the plan then runs on slices, in [`Scratch`] that the caller keeps. Results do not depend on the
//! number of threads, bit for bit: the shape alone decides which blocks and which partial sums exist,
//! and the threads of the current rayon pool only decide who computes them.
//!
//! A slice of the wrong length is a bug of the caller and panics; a shape that a user may have asked
//! for is refused with a [`ShapeError`].

pub mod activation;
mod conv;
mod error;
mod fused;
pub mod isa;
mod lanes;
pub mod layout;
pub mod loss;
mod math;
pub mod norm;
mod padding;
pub mod pool;
mod scratch;
pub mod testing;
mod workers;

pub use conv::{Conv, ConvShape, Form, Packed, sum_rows};
pub use error::ShapeError;
pub use padding::Padding;
pub use scratch::Scratch;

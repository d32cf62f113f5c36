#![doc = include_str!("../README.md")]

pub mod activation;
pub mod arrange;
mod bf16;
mod conv;
mod error;
pub mod isa;
mod lanes;
pub mod layout;
pub mod loss;
mod math;
pub mod memory;
pub mod norm;
mod output;
mod padding;
pub mod peak;
pub mod pool;
mod precision;
mod register;
mod scratch;
mod simd;
mod source;
pub mod testing;
mod tiles;
mod workers;

pub use bf16::{Bf16, Floats, FloatsMut};
pub use conv::{Algorithm, Conv, ConvShape, Epilogue, Form, Packed, sum_rows};
pub use error::ShapeError;
pub use padding::Padding;
pub use precision::Precision;
pub use scratch::Scratch;
pub use source::Source;

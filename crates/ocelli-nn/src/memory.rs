//! Values of features and of their gradients: small ones as vectors, large ones in memory that is used again.

use std::fmt;
use std::ops::{Deref, DerefMut};

use ocelli_kernels::Bf16;
use ocelli_kernels::memory::Region;

/// Below so many values the allocator does well.
const SMALL: usize = 1 << 14;

/// Values of a feature or of a gradient.
pub(crate) enum Buffer {
    Vec(Vec<f32>),
    Region(Region),
}

impl Buffer {
    /// `len` values with unspecified contents, for whoever writes all of them.
    pub fn new(len: usize) -> Self {
        Self::of(len, Region::new)
    }

    /// The same for values that gather on the way back, while those of features go.
    pub fn lasting(len: usize) -> Self {
        Self::of(len, Region::lasting)
    }

    fn of(len: usize, region: fn(usize) -> Region) -> Self {
        let mut buffer = match len {
            ..SMALL => Self::Vec(vec![0.0; len]),
            _ => Self::Region(region(len)),
        };
        if cfg!(debug_assertions) {
            // So that a test sees what was not written.
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// Takes over a vector.
    pub fn from_vec(values: Vec<f32>) -> Self {
        Self::Vec(values)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Vec(values) => values,
            Self::Region(values) => values,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Vec(values) => values,
            Self::Region(values) => values,
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.len())
    }
}

/// Values in bf16, in memory for f32.
pub(crate) struct Halves {
    memory: Buffer,
    len: usize,
}

impl Halves {
    /// `len` values with unspecified contents, for whoever writes all of them.
    pub fn new(len: usize) -> Self {
        let mut halves = Self { memory: Buffer::new(len.div_ceil(2)), len };
        if cfg!(debug_assertions) {
            halves.fill(Bf16::new(f32::NAN));
        }
        halves
    }
}

impl Deref for Halves {
    type Target = [Bf16];

    fn deref(&self) -> &[Bf16] {
        &Bf16::slice(&self.memory)[..self.len]
    }
}

impl DerefMut for Halves {
    fn deref_mut(&mut self) -> &mut [Bf16] {
        &mut Bf16::slice_mut(&mut self.memory)[..self.len]
    }
}

impl fmt::Debug for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values of bf16", self.len)
    }
}

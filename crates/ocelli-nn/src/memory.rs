//! Memory for features and their gradients, kept from step to step.
//!
//! A training step needs the same large buffers as the step before it. A fresh allocation of that size
//! costs a page fault per 4 KiB, often more than the arithmetic done in it, and zeros that nobody reads; so
//! a buffer that is dropped is kept for the next taker, in the whole process.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ocelli_kernels::Bf16;

/// Below so many values the allocator does well.
const SMALL: usize = 1 << 14;

static POOL: Mutex<Pool> =
    Mutex::new(Pool { free: BTreeMap::new(), kept: 0, lent: 0, most_lent: 0 });

/// Free buffers by their size, and how many values are free, lent, and were ever lent at once.
struct Pool {
    free: BTreeMap<usize, Vec<Vec<f32>>>,
    kept: usize,
    lent: usize,
    most_lent: usize,
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A free buffer that is large enough and not much larger, or a new one.
    fn take(&mut self, len: usize) -> Vec<f32> {
        let buffer = self.find(len).unwrap_or_else(|| {
            self.make_room(len);
            vec![0.0; len]
        });
        self.lent += buffer.len();
        self.most_lent = self.most_lent.max(self.lent);
        buffer
    }

    fn find(&mut self, len: usize) -> Option<Vec<f32>> {
        let (&size, buffers) = self.free.range_mut(len..=len + len / 4).next()?;
        let buffer = buffers.pop();
        if buffers.is_empty() {
            self.free.remove(&size);
        }
        self.kept -= size;
        buffer
    }

    /// Gives back memory of sizes that are not asked for any more, so that never much more is held than was
    /// needed at once. Half as much more: sizes have their peaks at different times of a step, and what is
    /// given back too soon is mapped anew in every step.
    fn make_room(&mut self, len: usize) {
        let most = self.most_lent.max(self.lent + len);
        while self.kept + self.lent + len > most + most / 2 {
            let Some((size, mut buffers)) = self.free.pop_last() else { return };
            buffers.pop();
            self.kept -= size;
            if !buffers.is_empty() {
                self.free.insert(size, buffers);
            }
        }
    }

    fn give_back(&mut self, buffer: Vec<f32>) {
        self.lent -= buffer.len();
        self.kept += buffer.len();
        self.free.entry(buffer.len()).or_default().push(buffer);
    }
}

/// Values of a feature or of a gradient; its memory is used again when it is dropped.
pub(crate) struct Buffer {
    values: Vec<f32>,
    len: usize,
    /// Whether the memory is the pool's.
    lent: bool,
}

impl Buffer {
    /// `len` values with unspecified contents, for whoever writes all of them.
    pub fn new(len: usize) -> Self {
        let lent = len >= SMALL;
        let values = if lent { pool().take(len) } else { vec![0.0; len] };
        let mut buffer = Self { values, len, lent };
        if cfg!(debug_assertions) {
            // So that a test sees what was not written.
            buffer.fill(f32::NAN);
        }
        buffer
    }

    /// Takes over a vector.
    pub fn from_vec(values: Vec<f32>) -> Self {
        Self { len: values.len(), values, lent: false }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.lent {
            pool().give_back(std::mem::take(&mut self.values));
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.len)
    }
}

/// Values in bf16, in memory of the same pool.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_serves_the_next_taker_of_about_its_size() {
        // A size that no other test of this process uses.
        let len = 3 * SMALL + 17;
        let first = Buffer::new(len);
        let address = first.as_ptr();
        drop(first);
        let second = Buffer::new(len - 5);
        assert_eq!((second.as_ptr(), second.len()), (address, len - 5));
        assert_ne!(Buffer::new(len).as_ptr(), address);
    }
}

//! Working memory that outlives a call.
//!
//! What a kernel works in should still be in the cache when the next one begins, so the caller keeps it.

use crate::memory::Region;

/// Elements of a 64-byte cache line.
const LINE: usize = 16;

/// A growable buffer of f32, aligned to 64 bytes, that kernels borrow while they run.
///
/// It grows to the largest demand and stays there; nothing in it survives from one call to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    buffer: Option<Region>,
    /// Sums of blocks, lent by [`sums`](Self::sums).
    sums: Vec<f64>,
    /// What is lent by [`lend`](Self::lend).
    spare: Vec<Region>,
    /// Whether convolutions keep to the calling thread.
    alone: bool,
}

impl Scratch {
    /// An empty buffer, which allocates when first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` elements with unspecified contents, aligned to 64 bytes.
    pub fn take(&mut self, len: usize) -> &mut [f32] {
        // Given back first, so that old and new never stand side by side.
        self.buffer.take_if(|buffer| buffer.len() < len);
        let fresh = || {
            let mut buffer = Region::new(len);
            if cfg!(debug_assertions) {
                // So that a test sees what is read before it was written.
                buffer.fill(f32::NAN);
            }
            buffer
        };
        &mut self.buffer.get_or_insert_with(fresh)[..len]
    }

    /// Whether convolutions that work in it keep to the calling thread, for whoever has work of that kind for every
    /// thread.
    pub fn set_alone(&mut self, alone: bool) {
        self.alone = alone;
    }

    /// How many threads there are to share work.
    pub(crate) fn threads(&self) -> usize {
        if self.alone { 1 } else { rayon::current_num_threads() }
    }

    /// How many threads will share `items` blocks: at least 1.
    pub(crate) fn count(&self, items: usize) -> usize {
        self.threads().min(items).max(1)
    }

    /// Several buffers at once, each aligned to 64 bytes, with unspecified contents.
    pub fn parts<const N: usize>(&mut self, lens: [usize; N]) -> [&mut [f32]; N] {
        let rounded = lens.map(|len| len.next_multiple_of(LINE));
        let mut rest = self.take(rounded.iter().sum());
        std::array::from_fn(|i| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(rounded[i]);
            rest = after;
            &mut part[..lens[i]]
        })
    }

    /// So many zeros for the sums of blocks, to be given back by [`keep_sums`](Self::keep_sums): they are needed
    /// beside the other memory.
    pub(crate) fn sums(&mut self, len: usize) -> Vec<f64> {
        let mut sums = std::mem::take(&mut self.sums);
        sums.clear();
        sums.resize(len, 0.0);
        sums
    }

    /// Takes back what [`sums`](Self::sums) lent.
    pub(crate) fn keep_sums(&mut self, sums: Vec<f64>) {
        self.sums = sums;
    }

    /// At least so many values with unspecified contents beside the other memory, to be given
    /// [back](Self::give_back).
    pub(crate) fn lend(&mut self, len: usize) -> Region {
        let spare = self.spare.pop().filter(|spare| spare.len() >= len);
        spare.unwrap_or_else(|| Region::new(len))
    }

    /// Takes back what [`lend`](Self::lend) lent.
    pub(crate) fn give_back(&mut self, values: Region) {
        self.spare.push(values);
    }

    /// Bytes held at present.
    pub fn bytes(&self) -> usize {
        let values: usize = self.buffer.iter().chain(&self.spare).map(|region| region.len()).sum();
        values * size_of::<f32>() + self.sums.capacity() * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_aligned_and_apart() {
        let mut scratch = Scratch::new();
        let [a, b, c] = scratch.parts([3, 0, 33]);
        assert_eq!((a.len(), b.len(), c.len()), (3, 0, 33));
        assert!([a.as_ptr(), c.as_ptr()].iter().all(|start| start.addr() % 64 == 0));
        a.fill(1.0);
        c.fill(2.0);
        assert!(a.iter().all(|&v| v == 1.0));
    }

    #[test]
    fn a_smaller_demand_does_not_allocate() {
        let mut scratch = Scratch::new();
        let first = scratch.take(1000).as_ptr();
        assert_eq!(scratch.take(10).as_ptr(), first);
        assert!(scratch.bytes() >= 4000);
    }
}

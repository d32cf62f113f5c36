//! Who runs which block. Blocks whose sums are added up come from the shape; threads take the next one when they are
//! free.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

/// Calls `work` with every item, on as many threads as `memory` has parts of `each` elements; every
/// thread works in a part of its own. The order in which items are taken is theirs, the results must not
/// depend on it.
pub(crate) fn share<T: Send>(
    items: impl Iterator<Item = T> + Send,
    memory: &mut [f32],
    each: usize,
    work: impl Fn(T, &mut [f32]) + Sync,
) {
    let queue = Mutex::new(items);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = |part: &mut [f32]| {
        while let Some(item) = next() {
            work(item, part);
        }
    };
    if memory.len() < 2 * each {
        run(memory);
    } else {
        memory.par_chunks_exact_mut(each).with_max_len(1).for_each(run);
    }
}

/// Elements to reserve for one thread: never 0, and no two threads on one cache line.
pub(crate) fn apart(elements: usize) -> usize {
    elements.max(1).next_multiple_of(32)
}

/// Cuts the memory of a thread into parts of these lengths, no two on one cache line.
pub(crate) fn split<const N: usize>(memory: &mut [f32], lens: [usize; N]) -> [&mut [f32]; N] {
    let mut rest = memory;
    lens.map(|len| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(apart(len));
        rest = after;
        part
    })
}

/// Adds up slices of equal length, always in the order given, into `sum`.
pub(crate) fn add_in_order(slices: &[f32], sum: &mut [f32]) {
    const CHUNK: usize = 1 << 13;
    let len = sum.len();
    sum.par_chunks_mut(CHUNK).enumerate().for_each(|(i, sum)| {
        let at = i * CHUNK;
        for (k, slice) in slices.chunks_exact(len).enumerate() {
            let part = &slice[at..at + sum.len()];
            if k == 0 {
                sum.copy_from_slice(part);
            } else {
                sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
            }
        }
    });
}

/// A buffer that several threads write at once, each its own elements.
pub(crate) struct SharedMut<'a, T = f32> {
    start: *mut T,
    len: usize,
    buffer: PhantomData<&'a mut [T]>,
}

impl<T> Clone for SharedMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedMut<'_, T> {}

// SAFETY: it only hands out pointers, and only from a borrow that no one else has.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub fn new(buffer: &'a mut [T]) -> Self {
        Self { start: buffer.as_mut_ptr(), len: buffer.len(), buffer: PhantomData }
    }

    /// The same elements as those of another type.
    ///
    /// # Safety
    /// They must be of that type.
    pub unsafe fn cast<U>(self) -> SharedMut<'a, U> {
        SharedMut { start: self.start.cast(), len: self.len, buffer: PhantomData }
    }

    /// A pointer for writing `len` elements from `at` on. Who writes through it must be the only one to use
    /// those elements.
    #[inline(always)]
    pub fn range(&self, at: usize, len: usize) -> *mut T {
        assert!(at <= self.len && len <= self.len - at, "beyond the end of a shared buffer");
        self.start.wrapping_add(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_item_is_taken_once() {
        for parts in 1..4 {
            let sum = AtomicUsize::new(0);
            share(1..=100, &mut vec![0.0; 32 * parts], 32, |i, part| {
                assert_eq!(part.len(), 32);
                sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 5050);
        }
    }

    #[test]
    fn slices_are_added() {
        let slices: Vec<f32> = (0..30_000).map(|i| i as f32).collect();
        let mut sum = vec![f32::NAN; 10_000];
        add_in_order(&slices, &mut sum);
        assert_eq!((sum[0], sum[9_999]), (30_000.0, 59_997.0));
    }
}

//! Large pieces of memory, used again and again.
//!
//! A training step needs the same large buffers as the step before it. A fresh allocation of that size costs a fault
//! per page, often more than the arithmetic done in it, and zeros that nobody reads. So what is given back is kept for
//! the next taker, in the whole process: regions are cut from large chunks, from the first place that is long enough,
//! and join their neighbours when they come back. Activations come and go like a stack, so little is lost between
//! them, whatever sizes are asked for next.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

/// Values of a cache line: regions begin at whole ones.
const LINE: usize = 16;
/// Values of a chunk, if the system has so many to give. Of these only pages that were ever written take memory.
const CHUNK: usize = 1 << 28;
/// In debug builds a line behind each region holds this, to be seen when it is dropped.
const BEHIND: u32 = 0xdead_beef;

static HEAP: Mutex<Heap> = Mutex::new(Heap { chunks: Vec::new(), free: BTreeMap::new() });

/// Where a region begins: in which chunk, and how many values in.
type Place = (usize, usize);

/// Where to look for a place.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

/// Chunks, which stay to the end of the process, and what is free in them: where, and how many values.
struct Heap {
    chunks: Vec<Chunk>,
    free: BTreeMap<Place, usize>,
}

/// Where a chunk begins.
#[derive(Clone, Copy)]
struct Chunk(NonNull<f32>);

// SAFETY: it is an address alone. Values are reached through the `Region` that has them to itself.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    /// Zeros: so many, or at least `least` where the system does not have them.
    fn new(len: usize, least: usize) -> (Self, usize) {
        let map = MmapMut::map_anon(Self::bytes(len));
        if map.is_err() && len > least {
            return Self::new((len / 2).max(least), least);
        }
        let memory: &'static mut [u8] = match map {
            Ok(map) => {
                // Large pages are wishes, as they only save time.
                #[cfg(all(target_os = "linux", not(miri)))] // which knows no such wish
                let _ = map.advise(memmap2::Advice::HugePage);
                &mut Box::leak(Box::new(map))[..]
            }
            Err(_) => vec![0; Self::bytes(len)].leak(),
        };
        let start = memory.as_ptr().align_offset(LINE * size_of::<f32>());
        (Self(NonNull::from(&mut memory[start..]).cast()), len)
    }

    fn bytes(len: usize) -> usize {
        (len + LINE) * size_of::<f32>()
    }
}

fn heap() -> MutexGuard<'static, Heap> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heap {
    /// Takes so many values from the first place that has them, or the end of the last one.
    fn take(&mut self, len: usize, end: End) -> Place {
        let mut places = self.free.iter();
        let fits = |&(_, &free): &(&Place, &usize)| free >= len;
        let found = match end {
            End::First => places.find(fits),
            End::Last => places.rfind(fits),
        };
        let (place, free) = found.map(|(&place, &free)| (place, free)).unwrap_or_else(|| {
            let (chunk, free) = Chunk::new(len.max(CHUNK), len);
            self.chunks.push(chunk);
            ((self.chunks.len() - 1, 0), free)
        });
        self.free.remove(&place);
        let (chunk, start) = place;
        let (taken, left) = match end {
            End::First => (start, start + len),
            End::Last => (start + free - len, start),
        };
        if free > len {
            self.free.insert((chunk, left), free - len);
        }
        (chunk, taken)
    }

    /// Takes a place back, together with what is free on both sides of it.
    fn give_back(&mut self, place: Place, len: usize) {
        let ((chunk, mut start), mut end) = (place, place.1 + len);
        if let Some(after) = self.free.remove(&(chunk, end)) {
            end += after;
        }
        if let Some((&(_, before), &free)) = self.free.range((chunk, 0)..(chunk, start)).next_back()
            && before + free == start
        {
            start = before;
        }
        self.free.insert((chunk, start), end - start);
    }
}

/// A piece of memory that serves the next taker when it is dropped. It begins at a whole cache line.
pub struct Region {
    chunk: Chunk,
    place: Place,
    len: usize,
}

impl Region {
    /// `len` values with unspecified contents, for whoever writes all of them.
    pub fn new(len: usize) -> Self {
        Self::at(len, End::First)
    }

    /// The same at the other end of the memory: for values that gather while others go, whose places they would part.
    pub fn lasting(len: usize) -> Self {
        Self::at(len, End::Last)
    }

    fn at(len: usize, end: End) -> Self {
        assert!(len <= isize::MAX as usize / 8, "{len} values in one region");
        let mut heap = heap();
        let place = heap.take(Self::taken(len), end);
        let mut region = Self { chunk: heap.chunks[place.0], place, len };
        if cfg!(debug_assertions) {
            region.behind().fill(f32::from_bits(BEHIND));
        }
        region
    }

    /// Whole lines, in debug builds with another behind.
    fn taken(len: usize) -> usize {
        len.max(1).next_multiple_of(LINE) + if cfg!(debug_assertions) { LINE } else { 0 }
    }

    /// What is taken beyond its values.
    fn behind(&mut self) -> &mut [f32] {
        let len = Self::taken(self.len) - self.len;
        // SAFETY: as in `deref`; the heap gave these values to this region, too.
        unsafe { NonNull::slice_from_raw_parts(self.start().add(self.len), len).as_mut() }
    }

    fn start(&self) -> NonNull<f32> {
        // SAFETY: the heap found the place inside of the chunk.
        unsafe { self.chunk.0.add(self.place.1) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            let whole = self.behind().iter().all(|value| value.to_bits() == BEHIND);
            assert!(whole, "somebody wrote beyond the end of a region of {} values", self.len);
        }
        heap().give_back(self.place, Self::taken(self.len));
    }
}

impl Deref for Region {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the chunk is mapped to the end of the process and holds f32, zeros at first. The heap gave these values
        // to this region alone.
        unsafe { NonNull::slice_from_raw_parts(self.start(), self.len).as_ref() }
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { NonNull::slice_from_raw_parts(self.start(), self.len).as_mut() }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap_of(free: &[(Place, usize)]) -> Heap {
        Heap { chunks: vec![Chunk::new(1, 1).0; 2], free: free.iter().copied().collect() }
    }

    #[test]
    fn the_first_place_that_is_long_enough_is_cut() {
        let mut heap = heap_of(&[((0, 16), 32), ((0, 96), 64), ((1, 0), 160)]);
        assert_eq!(heap.take(48, End::First), (0, 96));
        assert_eq!(heap.take(32, End::First), (0, 16));
        assert_eq!(heap.take(32, End::First), (1, 0));
        assert_eq!(heap.free, BTreeMap::from([((0, 144), 16), ((1, 32), 128)]));
    }

    #[test]
    fn what_lasts_lies_at_the_end_of_the_last_place() {
        let mut heap = heap_of(&[((0, 16), 32), ((0, 96), 64), ((1, 0), 32)]);
        assert_eq!(heap.take(16, End::Last), (1, 16));
        assert_eq!(heap.take(32, End::Last), (0, 128));
        assert_eq!(heap.take(16, End::Last), (1, 0));
        assert_eq!(heap.free, BTreeMap::from([((0, 16), 32), ((0, 96), 32)]));
    }

    #[test]
    fn what_comes_back_joins_its_neighbours() {
        let mut heap = heap_of(&[((0, 0), 16), ((0, 48), 16), ((1, 0), 16)]);
        heap.give_back((0, 16), 16);
        assert_eq!(heap.free, BTreeMap::from([((0, 0), 32), ((0, 48), 16), ((1, 0), 16)]));
        heap.give_back((0, 32), 16);
        assert_eq!(heap.free, BTreeMap::from([((0, 0), 64), ((1, 0), 16)]));
        // A chunk that ends where the next one begins is another.
        heap.give_back((0, 64), 16);
        assert_eq!(heap.free, BTreeMap::from([((0, 0), 80), ((1, 0), 16)]));
    }

    #[test]
    fn regions_are_aligned_and_apart() {
        let lens = [0, 1, 16, 17, 1000];
        let mut regions = lens.map(Region::new);
        for (i, region) in regions.iter_mut().enumerate() {
            assert_eq!(region.len(), lens[i]);
            assert_eq!(region.as_ptr().addr() % 64, 0);
            region.fill(i as f32);
        }
        for (i, region) in regions.iter().enumerate() {
            assert!(region.iter().all(|&value| value == i as f32));
        }
    }

    #[test]
    fn threads_share_it() {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for len in 1..200 {
                        let mut region = Region::new(len * 7 % 300);
                        region.fill(thread as f32);
                        std::thread::yield_now();
                        assert!(region.iter().all(|&value| value == thread as f32));
                    }
                });
            }
        });
    }
}

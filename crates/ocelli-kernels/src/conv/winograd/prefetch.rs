//! Fetching memory ahead, while products are computed: the transforms are bursts of reading and writing,
//! which would wait for it.

use super::memory::LINE;
use crate::bf16::{Floats, either};

/// What is fetched for.
#[derive(Clone, Copy, Debug)]
pub(super) enum For {
    Reading,
    Writing,
}

/// Cache lines to fetch, some at every step.
#[derive(Debug)]
pub(super) struct Prefetch {
    next: *const f32,
    lines: usize,
    per_step: usize,
    purpose: For,
}

impl Prefetch {
    /// All of `memory` in so many steps.
    pub fn new<'a>(memory: impl Into<Floats<'a>>, purpose: For, steps: usize) -> Self {
        either!(Floats, memory.into(), memory => {
            let lines = size_of_val(memory).div_ceil(LINE * size_of::<f32>());
            let next = memory.as_ptr().cast();
            Self { next, lines, per_step: lines.div_ceil(steps.max(1)), purpose }
        })
    }

    #[inline(always)]
    pub fn step(&mut self) {
        let lines = self.per_step.min(self.lines);
        for _ in 0..lines {
            fetch(self.next, self.purpose);
            self.next = self.next.wrapping_add(LINE);
        }
        self.lines -= lines;
    }
}

#[inline(always)]
fn fetch(line: *const f32, purpose: For) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint, which reads nothing; every x86-64 has it or takes it for nothing.
        unsafe {
            match purpose {
                For::Reading => _mm_prefetch::<_MM_HINT_T1>(line.cast()),
                For::Writing => _mm_prefetch::<_MM_HINT_ET0>(line.cast()),
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (line, purpose);
}

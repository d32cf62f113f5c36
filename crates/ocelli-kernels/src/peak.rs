//! What this machine can do at most, to compare kernels with.

use crate::isa::{self, Isa};
use crate::simd::{Vector, for_each_isa};
use crate::tiles::{DEPTH, Job, ROW, SIDE, TILE, Tiles};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long each thread is watched.
const WATCHED: Duration = Duration::from_millis(60);
/// Sums that run beside each other: more than any CPU needs to be busy, and no more than it has registers.
const SUMS: usize = 12;

/// Floating-point operations a second, a multiplication with its addition as two, of all threads of the
/// current pool together, in registers. On AVX2 and AVX-512 with fused multiplication and addition.
pub fn operations() -> f64 {
    const ROUNDS: usize = 20_000;
    let isa = isa::current();
    let each = ROUNDS * SUMS * 2 * crate::register::lanes(isa);
    rate(each, || {
        // SAFETY: the CPU has the current instruction set.
        black_box(unsafe { multiply_and_add(isa, ROUNDS, black_box(0.999)) });
    })
}

/// [`operations`] of bf16 whose sums are f32: from the first-level cache, where the CPU has instructions for
/// them, else the same as in f32.
pub fn mixed_operations() -> f64 {
    const CHUNKS: usize = 20_000;
    let isa = isa::current();
    if isa < Isa::Avx512Bf16 {
        return operations();
    }
    rate(2 * CHUNKS * DEPTH * DEPTH * DEPTH, || {
        let tiles = Tiles::new(isa);
        // Rows that begin a cache line: others take several times as long to load.
        #[repr(align(64))]
        struct Operands([u8; 4 * TILE]);
        let operands = Operands([0; 4 * TILE]);
        let mut sums = [[0.0_f32; DEPTH]; DEPTH];
        let c = sums.as_mut_ptr().cast::<f32>();
        let operand = operands.0.as_ptr();
        let runs = [[0, 2 * TILE]];
        let job = Job {
            a: operand,
            b: operand,
            runs: runs.as_ptr(),
            end: runs.as_ptr_range().end,
            chunks: CHUNKS,
            a_row: ROW,
            a_step: 0,
            a_next: TILE,
            b_row: ROW,
            b_step: 0,
            b_next: TILE,
            c: [c, c.wrapping_add(SIDE * DEPTH)],
            c_row: [DEPTH * size_of::<f32>(); 2],
            accumulate: false,
        };
        // SAFETY: two tiles of either operand, the same in every step, and room for four of sums.
        unsafe { tiles.run(&job) };
        black_box(&sums);
    })
}

/// How much all threads of the current pool do in a second together, who do `each` in a run.
fn rate(each: usize, run: impl Fn() + Sync) -> f64 {
    let rates = rayon::broadcast(|_| {
        let (start, mut done) = (Instant::now(), 0.0);
        while start.elapsed() < WATCHED {
            run();
            done += each as f64;
        }
        done / start.elapsed().as_secs_f64()
    });
    rates.iter().sum()
}

for_each_isa!(unsafe fn multiply_and_add = sums(rounds: usize, factor: f32) -> f32);

#[inline(always)]
unsafe fn sums<V: Vector>(rounds: usize, factor: f32) -> f32 {
    // SAFETY: the caller's promise; the array holds a vector.
    unsafe {
        let (factor, one) = (V::splat(factor), V::splat(1.0));
        let mut sums = [one; SUMS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, one);
            }
        }
        let total = sums.into_iter().reduce(V::add).unwrap_or(one);
        let mut lanes = [0.0; 16];
        total.store(lanes.as_mut_ptr());
        lanes[0]
    }
}

/// Bytes a second, read and written, when all threads of the current pool copy memory that no cache holds.
pub fn copying() -> f64 {
    const VALUES: usize = 1 << 26;
    const CHUNK: usize = 1 << 16;
    let x = vec![1.0_f32; VALUES];
    let mut y = vec![0.0_f32; VALUES];
    let copy = |y: &mut [f32]| {
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| y.copy_from_slice(x));
    };
    copy(&mut y);
    let times = [0; 3].map(|_| {
        let start = Instant::now();
        copy(black_box(&mut y));
        start.elapsed().as_secs_f64()
    });
    let best = times.into_iter().fold(f64::INFINITY, f64::min);
    (2 * VALUES * size_of::<f32>()) as f64 / best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometric_sum_is_what_it_converges_to() {
        for isa in Isa::ALL {
            if isa <= crate::isa::detected() {
                // SAFETY: the CPU has it.
                let sum = unsafe { multiply_and_add(isa, 1000, 0.5) };
                assert_eq!(sum, 2.0 * SUMS as f32);
            }
        }
    }
}

//! The products of tiles by AVX512-BF16: an instruction multiplies a pair of values by 16 pairs.

use super::{Job, SIDE};
use std::arch::x86_64::*;

/// Rows of sums in registers: with two tiles of the right operand they are half of the registers. More rows would read
/// the right operand less often, but it comes from the nearest caches, and a CPU multiplies no faster.
const ROWS: usize = 8;

/// Runs a job.
///
/// # Safety
/// The CPU must have AVX512-BF16. The job's pointers must be valid for what it says, and nobody
/// else may use the sums.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn run(job: &Job) {
    for tile in 0..if job.a_next == 0 { 1 } else { 2 } {
        for row in (0..SIDE).step_by(ROWS) {
            // SAFETY: the caller's promise.
            unsafe {
                let a = job.a.add(tile * job.a_next + row * job.a_row);
                let c = job.c[tile].byte_add(row * job.c_row[tile]);
                let c_row = job.c_row[tile];
                if job.b_next == 0 {
                    sum_up::<1>(job, a, (c, c_row));
                } else {
                    sum_up::<2>(job, a, (c, c_row));
                }
            }
        }
    }
}

/// The sums of some rows with some tiles of the right operand.
///
/// # Safety
/// As [`run`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn sum_up<const TILES: usize>(job: &Job, a: *const u8, (c, c_row): (*mut f32, usize)) {
    // Rows are reached from the first and the fifth, by the steps that an address can have.
    let rows = |at: *const u8, row: usize| {
        let from = at.wrapping_add(row / 4 * 4 * job.a_row);
        from.wrapping_add(row % 4 * job.a_row)
    };
    let c = |row: usize, tile: usize| c.wrapping_byte_add(row * c_row).wrapping_add(tile * SIDE);
    let mut sums = [[_mm512_setzero_ps(); TILES]; ROWS];
    // SAFETY: the caller's promise.
    unsafe {
        if job.accumulate {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (tile, sum) in sums.iter_mut().enumerate() {
                    *sum = _mm512_loadu_ps(c(row, tile));
                }
            }
        }
        let runs = std::slice::from_raw_parts(job.runs, job.end.offset_from_unsigned(job.runs));
        for &[a_run, b_run] in runs {
            let (mut a, mut b) = (a.wrapping_add(a_run), job.b.wrapping_add(b_run));
            for _ in 0..job.chunks {
                let mut b_pair = b;
                for pair in 0..SIDE {
                    let mut right = [_mm512_setzero_si512(); TILES];
                    for (tile, right) in right.iter_mut().enumerate() {
                        *right = _mm512_loadu_si512(b_pair.wrapping_add(tile * job.b_next).cast());
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let left = rows(a, row).wrapping_add(4 * pair).cast::<i32>();
                        let left = _mm512_set1_epi32(left.read_unaligned());
                        for (sum, right) in sums.iter_mut().zip(right) {
                            *sum = _mm512_dpbf16_ps(*sum, values(left), values(right));
                        }
                    }
                    b_pair = b_pair.wrapping_add(job.b_row);
                }
                a = a.wrapping_add(job.a_step);
                b = b.wrapping_add(job.b_step);
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (tile, sum) in sums.into_iter().enumerate() {
                _mm512_storeu_ps(c(row, tile), sum);
            }
        }
    }
}

/// Bits as the pairs of bf16 that they are.
#[inline]
#[target_feature(enable = "avx512f")]
fn values(bits: __m512i) -> __m512bh {
    // SAFETY: both types are 64 bytes, of which any are valid.
    unsafe { std::mem::transmute(bits) }
}

//! The products of tiles in plain Rust.

use super::{Job, SIDE, halves};
use crate::isa::multiversion;

/// Runs a job.
///
/// # Safety
/// Its pointers must be valid for what it says, and nobody else may use the sums.
pub(super) unsafe fn run(job: &Job) {
    let tiles = |next: usize| if next == 0 { 1 } else { 2 };
    for m in 0..tiles(job.a_next) {
        for n in 0..tiles(job.b_next) {
            // SAFETY: the place of this tile of sums in the job's.
            let c = |row: usize| unsafe { job.c[m].byte_add(row * job.c_row[m]).add(n * SIDE) };
            let mut sums = [[0.0; SIDE]; SIDE];
            if job.accumulate {
                for (row, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's promise.
                    *sum = unsafe { c(row).cast::<[f32; SIDE]>().read_unaligned() };
                }
            }
            sum_up(job, m * job.a_next, n * job.b_next, &mut sums);
            for (row, sum) in sums.into_iter().enumerate() {
                // SAFETY: the caller's promise.
                unsafe { c(row).cast::<[f32; SIDE]>().write_unaligned(sum) };
            }
        }
    }
}

multiversion! {
    fn sum_up(job: &Job, a_next: usize, b_next: usize, sums: &mut [[f32; SIDE]; SIDE]) {
        // SAFETY: `run` is called with pointers that are valid for what the job says, and passes them on.
        unsafe {
            let runs = std::slice::from_raw_parts(job.runs, job.end.offset_from_unsigned(job.runs));
            for &[a, b] in runs {
                for chunk in 0..job.chunks {
                    let a = job.a.add(a + a_next + chunk * job.a_step);
                    let b = job.b.add(b + b_next + chunk * job.b_step);
                    for pair in 0..SIDE {
                        let b = b.add(pair * job.b_row).cast::<[u32; SIDE]>().read_unaligned();
                        for (m, sums) in sums.iter_mut().enumerate() {
                            let a = a.add(m * job.a_row + 4 * pair).cast::<u32>().read_unaligned();
                            let a = halves(a);
                            for (sum, b) in sums.iter_mut().zip(b) {
                                let b = halves(b);
                                *sum += a[0] * b[0];
                                *sum += a[1] * b[1];
                            }
                        }
                    }
                }
            }
        }
    }
}

//! From sums of products at the points to the gradient of the weights.

use super::kernel::TAPS;
use super::memory::{ALL, SharedMut};
use super::output::store;
use super::points::{POINTS, kernel_gradient};
use crate::simd::{Vector, for_each_isa};
use std::ops::Range;

/// The sums of one output channel with some input channels, and where the gradient of their weights goes.
pub(super) struct Sums<'a> {
    /// From the first of the channels on, at point 0.
    pub from: &'a [f32],
    /// From one point to the next.
    pub point_len: usize,
    /// Parts of each sum, and from one to the next.
    pub slices: usize,
    pub slice_len: usize,
    pub output: usize,
    pub channels: Range<usize>,
    /// `[output][tap][depth]`
    pub dw: SharedMut<'a>,
    pub depth: usize,
}

for_each_isa! {
    /// Adds up the slices, in order, and transforms the sums.
    ///
    /// # Safety
    /// The CPU must have the instruction set, and no one else may use these weights meanwhile.
    pub(super) unsafe fn finish = finish_vectors(job: &Sums<'_>)
}

#[inline(always)]
unsafe fn finish_vectors<V: Vector>(job: &Sums<'_>) {
    let channels = job.channels.len();
    let last = (job.slices - 1) * job.slice_len + (ALL - 1) * job.point_len;
    assert!(job.channels.end <= job.depth);
    assert!(last + channels.next_multiple_of(V::LANES) <= job.from.len());
    let to = job.dw.range(job.output * TAPS * job.depth, TAPS * job.depth);
    let (from, to) = (job.from.as_ptr(), to.wrapping_add(job.channels.start));
    for first in (0..channels).step_by(V::LANES) {
        // SAFETY: as asserted, `first` being below the number of channels.
        unsafe {
            let at = |point: usize| {
                let from = from.add(point * job.point_len + first);
                let parts = (1..job.slices).map(|slice| V::load(from.add(slice * job.slice_len)));
                parts.fold(V::load(from), V::add)
            };
            let mut half = [[V::splat(0.0); POINTS]; 3];
            for j in 0..POINTS {
                let column = std::array::from_fn(|i| at(i * POINTS + j));
                for (row, value) in half.iter_mut().zip(kernel_gradient(column)) {
                    row[j] = value;
                }
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, value) in kernel_gradient(row).into_iter().enumerate() {
                    store(value, to.add((3 * i + j) * job.depth + first), channels - first);
                }
            }
        }
    }
}

//! From sums of products at the points to the gradient of the weights.

use super::frame::Frame;
use super::points::{F42, F43, F44, Family, Transforms, by_family};
use crate::isa::Isa;
use crate::simd::{Vector, for_each_isa};
use crate::workers::SharedMut;
use std::ops::Range;

/// Most channels that are finished at once.
pub(super) const CHANNELS: usize = 64;
/// Most weights of a folded kernel.
const TAPS: usize = 16;

/// The sums of one output channel with some folded input channels, and where the gradient of their weights
/// goes.
pub(super) struct Sums<'a> {
    /// From the first of the channels on, at point 0.
    pub from: &'a [f32],
    /// From one point to the next.
    pub point_len: usize,
    /// Parts of each sum, and from one to the next.
    pub slices: usize,
    pub slice_len: usize,
    pub output: usize,
    pub frame: Frame,
    pub channels: Range<usize>,
    /// `[output][kernel][channels]`
    pub dw: SharedMut<'a>,
}

impl Sums<'_> {
    /// Adds up the slices, in order, and transforms the sums.
    ///
    /// # Safety
    /// The CPU must have the instruction set, and no one else may use these weights meanwhile.
    pub unsafe fn finish(&self, isa: Isa) {
        let mut taps = [0.0; TAPS * CHANNELS];
        // SAFETY: the caller's promise.
        unsafe { finish(isa, self, &mut taps) };
        let (frame, len) = (self.frame, self.frame.weights());
        let to = self.dw.range(self.output * len, len);
        for (phase, channels, at) in frame.parts(self.channels.clone()) {
            for tap in 0..frame.taps() {
                if let Some(weight) = frame.weight(phase, tap) {
                    let start = weight * frame.channels();
                    let from = &taps[tap * CHANNELS + at..][..channels.len()];
                    assert!(start + channels.end <= len);
                    // SAFETY: as asserted, inside the output's weights, which are the caller's alone.
                    unsafe {
                        let to = to.add(start + channels.start);
                        to.copy_from_nonoverlapping(from.as_ptr(), from.len());
                    }
                }
            }
        }
    }
}

for_each_isa! {
    /// Writes `[tap][CHANNELS]`.
    ///
    /// # Safety
    /// The CPU must have the instruction set.
    unsafe fn finish = finish_vectors(job: &Sums<'_>, to: &mut [f32; TAPS * CHANNELS])
}

#[inline(always)]
unsafe fn finish_vectors<V: Vector>(job: &Sums<'_>, to: &mut [f32; TAPS * CHANNELS]) {
    // SAFETY: the caller's promise.
    unsafe { by_family!(job.frame.family, finish_all[V](job, to)) }
}

#[inline(always)]
unsafe fn finish_all<V: Vector, F: Transforms<P, R>, const P: usize, const R: usize>(
    job: &Sums<'_>,
    to: &mut [f32; TAPS * CHANNELS],
) {
    let channels = job.channels.len().next_multiple_of(V::LANES);
    let last = (job.slices - 1) * job.slice_len + (P * P - 1) * job.point_len;
    assert!(channels <= CHANNELS && R * R <= TAPS && last + channels <= job.from.len());
    let (from, to) = (job.from.as_ptr(), to.as_mut_ptr());
    for first in (0..channels).step_by(V::LANES) {
        // SAFETY: as asserted, `first` being below the number of channels.
        unsafe {
            let at = |point: usize| {
                let from = from.add(point * job.point_len + first);
                let parts = (1..job.slices).map(|slice| V::load(from.add(slice * job.slice_len)));
                parts.fold(V::load(from), V::add)
            };
            let mut half = [[V::splat(0.0); P]; R];
            for j in 0..P {
                let column = std::array::from_fn(|i| at(i * P + j));
                for (row, value) in half.iter_mut().zip(F::kernel_gradient(column)) {
                    row[j] = value;
                }
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, value) in F::kernel_gradient(row).into_iter().enumerate() {
                    value.store(to.add((i * R + j) * CHANNELS + first));
                }
            }
        }
    }
}

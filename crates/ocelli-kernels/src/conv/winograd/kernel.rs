//! The transform of weights, panel by panel.
//!
//! A panel is as many target channels as a product in registers has columns. Weights `[O, K, K, C]` first
//! become taps `[tap][source channel][column]`, zeros in the columns that are no channels; then, per column,
//! the taps become points `[point][source channel][column]`, or `[point][pair of source channels][column]`.

use super::Terms;
use super::frame::Frame;
use super::memory::LINE;
use super::points::{F42, F43, F44, Family, Transforms, by_family};
use crate::conv::Form;
use crate::simd::{Vector, for_each_isa};
use std::ops::Range;

/// Inputs that are transposed together: a cache line of them.
const TRANSPOSED: usize = 16;

/// The weights of one panel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub form: Form,
    pub frame: Frame,
    /// Channels of the source and of the target.
    pub channels: [usize; 2],
    /// Columns of a panel.
    pub width: usize,
    /// What products at the points are made of; kernels of bf16 are not folded.
    pub terms: Terms,
}

impl Panel {
    pub fn count(&self) -> usize {
        self.phases() * self.per_phase()
    }

    /// Pixels of a square that have panels of their own.
    pub fn phases(&self) -> usize {
        match self.form {
            Form::Forward => 1,
            Form::BackwardInput => self.frame.phases(),
        }
    }

    fn per_phase(&self) -> usize {
        self.channels[1].div_ceil(self.width)
    }

    /// Which of them a panel belongs to.
    pub fn phase(&self, panel: usize) -> usize {
        panel / self.per_phase()
    }

    /// The target channels of a panel.
    pub fn outputs(&self, panel: usize) -> Range<usize> {
        let start = panel % self.per_phase() * self.width;
        start..(start + self.width).min(self.channels[1])
    }

    /// The rows of a panel that have products at a point; none where the panel's weights are zeros.
    pub fn live(&self, panel: usize, point: usize) -> Range<usize> {
        match self.form {
            _ if self.terms == Terms::Bf16 => 0..self.depth(),
            Form::Forward => self.frame.live(point),
            Form::BackwardInput if self.frame.vanishes(self.phase(panel), point) => 0..0,
            Form::BackwardInput => 0..self.channels[0],
        }
    }

    /// Rows of a panel at a point.
    fn depth(&self) -> usize {
        self.terms.places(self.channels[0])
    }

    pub fn point_len(&self) -> usize {
        self.depth() * self.width + LINE
    }

    /// Elements of a panel at all points.
    pub fn len(&self) -> usize {
        self.frame.family.all() * self.point_len()
    }

    pub fn taps_len(&self) -> usize {
        self.frame.taps() * self.channels[0] * self.width
    }

    /// The taps of a panel for some source channels: `[tap][channel][column]`.
    pub fn gather(&self, w: &[f32], panel: usize, inputs: Range<usize>, taps: &mut [f32]) {
        let outputs = self.outputs(panel);
        for (tap, taps) in taps.chunks_exact_mut(inputs.len() * self.width).enumerate() {
            match self.form {
                Form::Forward => {
                    for (phase, inputs, at) in self.frame.parts(inputs.clone()) {
                        let taps = &mut taps[at * self.width..][..inputs.len() * self.width];
                        match self.frame.weight(phase, tap) {
                            Some(weight) => {
                                let w = &w[weight * self.frame.channels()..];
                                self.transpose(w, outputs.clone(), inputs, taps)
                            }
                            None => taps.fill(0.0),
                        }
                    }
                }
                Form::BackwardInput => {
                    let weight = self.frame.weight_backward(self.phase(panel), tap);
                    for (input, row) in inputs.clone().zip(taps.chunks_exact_mut(self.width)) {
                        let Some(weight) = weight else {
                            row.fill(0.0);
                            continue;
                        };
                        let start = input * self.frame.weights() + weight * self.channels[1];
                        let (row, none) = row.split_at_mut(outputs.len());
                        row.copy_from_slice(&w[start..][outputs.clone()]);
                        none.fill(0.0);
                    }
                }
            }
        }
    }

    /// One tap of the forward weights, `[output][tap][input]`, as `[input][column]`.
    fn transpose(&self, w: &[f32], outputs: Range<usize>, inputs: Range<usize>, to: &mut [f32]) {
        // A few inputs at a time, so that what is written stays in the L1 cache.
        let parts = to.chunks_mut(TRANSPOSED * self.width);
        for (start, to) in inputs.clone().step_by(TRANSPOSED).zip(parts) {
            for column in 0..self.width {
                let output = outputs.start + column;
                let to = to[column..].iter_mut().step_by(self.width);
                if output < outputs.end {
                    let from = &w[output * self.frame.weights() + start..];
                    to.zip(from).for_each(|(to, &from)| *to = from);
                } else {
                    to.for_each(|to| *to = 0.0);
                }
            }
        }
    }
}

/// Taps of some source channels, and the points that they become.
pub(super) struct Expand<'a> {
    pub family: Family,
    pub width: usize,
    /// `[tap][channel][width]`
    pub taps: &'a [f32],
    /// `[point][channel or pair][width]`, points `point_len` apart, from the first of these channels on.
    pub points: &'a mut [f32],
    pub point_len: usize,
}

for_each_isa! {
    /// Transforms weights.
    ///
    /// # Safety
    /// The CPU must have the instruction set, and the width must be a whole number of its vectors.
    pub(super) unsafe fn expand = expand_vectors(job: &mut Expand<'_>)
}

for_each_isa! {
    /// Transforms weights of a kernel that is not folded to pairs of bf16 of channels.
    ///
    /// # Safety
    /// As [`expand`].
    pub(super) unsafe fn expand_narrow = expand_pairs with bf16 (job: &mut Expand<'_>)
}

#[inline(always)]
unsafe fn expand_vectors<V: Vector>(job: &mut Expand<'_>) {
    // SAFETY: the caller's promise.
    unsafe { by_family!(job.family, expand_all[V](job)) }
}

#[inline(always)]
unsafe fn expand_pairs<V: Vector>(job: &mut Expand<'_>) {
    // SAFETY: the caller's promise.
    unsafe { expand_all_pairs::<V, F43, 6, 3>(job) }
}

#[inline(always)]
unsafe fn expand_all<V: Vector, F: Transforms<P, R>, const P: usize, const R: usize>(
    job: &mut Expand<'_>,
) {
    let tap_len = job.taps.len() / (R * R);
    let taps = job.taps.as_ptr();
    assert!(
        tap_len.is_multiple_of(job.width)
            && (P * P - 1) * job.point_len + tap_len <= job.points.len()
    );
    let points = job.points.as_mut_ptr();
    for at in (0..tap_len).step_by(V::LANES) {
        // SAFETY: a tap is a whole number of vectors, and points have room for as many.
        unsafe {
            let all = points_of::<V, F, P, R>(taps.add(at), tap_len);
            for (point, value) in all.as_flattened().iter().enumerate() {
                value.store(points.add(point * job.point_len + at));
            }
        }
    }
}

#[inline(always)]
unsafe fn expand_all_pairs<V: Vector, F: Transforms<P, R>, const P: usize, const R: usize>(
    job: &mut Expand<'_>,
) {
    let (width, tap_len) = (job.width, job.taps.len() / (R * R));
    let channels = tap_len / width;
    let rows = Terms::Bf16.places(channels);
    assert!(
        tap_len.is_multiple_of(width)
            && (P * P - 1) * job.point_len + rows * width <= job.points.len()
    );
    let (taps, points) = (job.taps.as_ptr(), job.points.as_mut_ptr());
    for row in 0..rows {
        for column in (0..width).step_by(V::LANES) {
            // SAFETY: a row is a whole number of vectors, and points have room for all rows.
            unsafe {
                let taps = taps.add(2 * row * width + column);
                let even = points_of::<V, F, P, R>(taps, tap_len);
                let odd = if 2 * row + 1 < channels {
                    points_of::<V, F, P, R>(taps.add(width), tap_len)
                } else {
                    [[V::splat(0.0); P]; P]
                };
                let both = even.as_flattened().iter().zip(odd.as_flattened());
                for (point, (even, odd)) in both.enumerate() {
                    let to = points.add(point * job.point_len + row * width + column);
                    even.pair(*odd).store(to);
                }
            }
        }
    }
}

/// A vector of weights at all points.
///
/// # Safety
/// The CPU must have the instruction set, and the vector of each tap must be readable, `tap_len` from one to the next.
#[inline(always)]
unsafe fn points_of<V: Vector, F: Transforms<P, R>, const P: usize, const R: usize>(
    taps: *const f32,
    tap_len: usize,
) -> [[V; P]; P] {
    // SAFETY: the caller's promise.
    unsafe {
        let tap = |t: usize| V::load(taps.add(t * tap_len));
        let mut half = [[V::splat(0.0); R]; P];
        for j in 0..R {
            let mut column = [V::splat(0.0); R];
            for (i, value) in column.iter_mut().enumerate() {
                *value = tap(i * R + j);
            }
            for (row, value) in half.iter_mut().zip(F::kernel(column)) {
                row[j] = value;
            }
        }
        // A loop, as what is handed to a function of the library would be compiled for any CPU.
        let mut points = [[V::splat(0.0); P]; P];
        for (points, row) in points.iter_mut().zip(half) {
            *points = F::kernel(row);
        }
        points
    }
}

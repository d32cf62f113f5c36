//! The transform of weights, panel by panel.
//!
//! A panel is as many target channels as a product in registers has columns. Weights `[O, K, K, C]` first
//! become taps `[tap][source channel][column]`, zeros in the columns that are no channels; then, per column,
//! the taps become points `[point][source channel][column]`.

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

    /// The source channels that have products at a point; none where the panel's weights are zeros.
    pub fn live(&self, panel: usize, point: usize) -> Range<usize> {
        match self.form {
            Form::Forward => self.frame.live(point),
            Form::BackwardInput if self.frame.vanishes(self.phase(panel), point) => 0..0,
            Form::BackwardInput => 0..self.channels[0],
        }
    }

    pub fn point_len(&self) -> usize {
        self.channels[0] * self.width + LINE
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
    /// `[point][channel][width]`, points `point_len` apart, from the first of these channels on.
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

#[inline(always)]
unsafe fn expand_vectors<V: Vector>(job: &mut Expand<'_>) {
    // SAFETY: the caller's promise.
    unsafe { by_family!(job.family, expand_all[V](job)) }
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
            let tap = |t: usize| V::load(taps.add(t * tap_len + at));
            let mut half = [[V::splat(0.0); R]; P];
            for j in 0..R {
                let column = std::array::from_fn(|i| tap(i * R + j));
                for (row, value) in half.iter_mut().zip(F::kernel(column)) {
                    row[j] = value;
                }
            }
            for (i, row) in half.into_iter().enumerate() {
                for (j, value) in F::kernel(row).into_iter().enumerate() {
                    value.store(points.add((i * P + j) * job.point_len + at));
                }
            }
        }
    }
}

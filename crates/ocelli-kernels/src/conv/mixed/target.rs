//! Where the sums of a block go, and what happens to them on the way.

use super::super::Epilogue;
use super::super::grid::{Grid, Pass};
use super::lines::Block;
use crate::bf16::{Bf16, Element, Floats};
use crate::isa::multiversion;
use crate::tiles::DEPTH;
use crate::workers::SharedMut;
use std::ops::Range;

/// The sums of positions, from a tile on.
pub(super) type Rows = [[f32; DEPTH]];

/// Where the positions of a phase of a block lie in the target or a part of it, and how their sums are finished.
pub(super) struct Target<'a> {
    /// Positions of an image, of a row, and points of a row.
    pub positions: usize,
    pitch: usize,
    points: usize,
    /// Values of an image; of what lies before the first point; from a point to the next in its column and in its row.
    image: usize,
    start: usize,
    down: usize,
    right: usize,
    columns: usize,
    bias: [f32; DEPTH],
    /// As the target.
    residual: Option<Floats<'a>>,
    bounds: [f32; 2],
}

impl<'a> Target<'a> {
    /// Of some channels of the target; the place of the block's first value is given.
    pub fn new(
        pass: &Pass,
        grid: &Grid,
        (block, place): (&Block, usize),
        pitch: usize,
        outputs: Range<usize>,
        epilogue: &Epilogue<'a>,
    ) -> Self {
        let [height, width, channels] = pass.target;
        let rows = block.rows.end.min(grid.rows.size).saturating_sub(block.rows.start);
        let [down, right] = pass.spread;
        let points = grid.columns.size;
        assert!((1..=DEPTH).contains(&outputs.len()), "outputs of a tile");
        let mut bias = [0.0; DEPTH];
        if let Some(all) = epilogue.bias {
            bias[..outputs.len()].copy_from_slice(&all[outputs.clone()]);
        }
        Self {
            positions: rows.checked_sub(1).map_or(0, |last| last * pitch + points),
            pitch,
            points,
            image: height * width * channels,
            start: place
                + (grid.rows.first * width + grid.columns.first) * channels
                + outputs.start,
            down: down * width * channels,
            right: right * channels,
            columns: outputs.len(),
            bias,
            residual: epilogue.residual,
            bounds: epilogue.bounds(),
        }
    }

    /// Finishes the sums of positions from one on, and writes those of points where they belong among the values.
    /// Nobody else may use these.
    pub fn finish<T: Element>(
        &self,
        position: usize,
        image: usize,
        sums: &Rows,
        values: SharedMut<'_, T>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if T::NARROW && crate::isa::has_bf16() {
            // SAFETY: narrow elements are bf16, and the CPU rounds, as has been seen.
            return unsafe { fast::finish(self, position, image, sums, values.cast::<Bf16>()) };
        }
        finish_plain(self, position, image, sums, values);
    }

    /// Calls `finish` with the place of every point among the positions, and its sums.
    #[inline(always)]
    fn each(
        &self,
        position: usize,
        image: usize,
        sums: &Rows,
        mut finish: impl FnMut(usize, &[f32; DEPTH]),
    ) {
        let (row, mut column) = (position / self.pitch, position % self.pitch);
        let mut line = image * self.image + self.start + row * self.down;
        let mut at = line + column * self.right;
        for (_, sums) in (position..self.positions).zip(sums) {
            if column < self.points {
                finish(at, sums);
            }
            column += 1;
            at += self.right;
            if column == self.pitch {
                line += self.down;
                (at, column) = (line, 0);
            }
        }
    }
}

multiversion! {
    fn finish_plain[T: Element](
        to: &Target<'_>,
        position: usize,
        image: usize,
        sums: &Rows,
        values: SharedMut<'_, T>,
    ) {
        let [low, high] = to.bounds;
        let residual = to.residual.map(T::read);
        to.each(position, image, sums, |at, sums| {
            let mut sums = *sums;
            sums.iter_mut().zip(&to.bias).for_each(|(sum, bias)| *sum += bias);
            if let Some(residual) = residual {
                let residual = &residual[at..at + to.columns];
                sums.iter_mut().zip(residual).for_each(|(sum, other)| *sum += other.value());
            }
            let values = values.range(at, to.columns);
            // SAFETY: so many lie there, which nobody else uses.
            let values = unsafe { std::slice::from_raw_parts_mut(values, to.columns) };
            for (value, sum) in values.iter_mut().zip(sums) {
                // Not `clamp`, which checks its bounds each time; NaN stays NaN, too.
                let sum = if sum < low { low } else { sum };
                *value = T::new(if sum > high { high } else { sum });
            }
        });
    }
}

/// For CPUs that round to bf16 themselves.
#[cfg(target_arch = "x86_64")]
mod fast {
    use super::{Rows, Target};
    use crate::bf16::{Bf16, Element};
    use crate::workers::SharedMut;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub fn finish(
        to: &Target<'_>,
        position: usize,
        image: usize,
        sums: &Rows,
        values: SharedMut<'_, Bf16>,
    ) {
        let half = |values: &[f32; 32]| {
            // SAFETY: both halves are 16 values.
            let load = |at| unsafe { _mm512_loadu_ps(values.as_ptr().add(at)) };
            [load(0), load(16)]
        };
        let [low, high] = to.bounds.map(|bound| _mm512_set1_ps(bound));
        let bias = half(&to.bias);
        let residual = to.residual.map(Bf16::read);
        // As many ones as columns.
        let columns = u32::MAX >> (32 - to.columns);
        to.each(position, image, sums, |at, sums| {
            let [mut first, mut second] = half(sums);
            first = _mm512_add_ps(first, bias[0]);
            second = _mm512_add_ps(second, bias[1]);
            if let Some(residual) = residual {
                let residual = &residual[at..at + to.columns];
                // SAFETY: the values of the columns, which are 1 to 32, lie in it, and others are not read.
                let narrow = unsafe { _mm512_maskz_loadu_epi16(columns, residual.as_ptr().cast()) };
                let wide = |half| {
                    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)))
                };
                first = _mm512_add_ps(first, wide(_mm512_castsi512_si256(narrow)));
                second = _mm512_add_ps(second, wide(_mm512_extracti64x4_epi64::<1>(narrow)));
            }
            // The second operand is what these give of a NaN.
            let bounded = |sum| _mm512_min_ps(high, _mm512_max_ps(low, sum));
            let rounded = _mm512_cvtne2ps_pbh(bounded(second), bounded(first));
            let values = values.range(at, to.columns);
            // SAFETY: the values of the columns, which are 1 to 32, lie there, and others are not written; both types
            // are 64 bytes.
            unsafe {
                let bits = std::mem::transmute::<__m512bh, __m512i>(rounded);
                _mm512_mask_storeu_epi16(values.cast(), columns, bits);
            }
        });
    }
}

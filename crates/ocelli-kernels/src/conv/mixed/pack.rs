//! Weights as tiles of bf16, in the order in which they are read.

use super::super::grid::{Grid, Run};
use super::super::{ConvShape, Form};
use super::Mixed;
use crate::bf16::Bf16;
use crate::isa::multiversion;
use crate::tiles::{DEPTH, SIDE, Words, pair, transpose, words};
use rayon::prelude::*;

/// Where weights `[O, kH, kW, I]` are read from.
struct Reader<'a> {
    w: &'a [f32],
    form: Form,
    kernel: [usize; 2],
    /// Channels of the source and of the target in a group.
    group: [usize; 2],
}

impl Mixed {
    /// Values of the packed weights.
    pub fn packed_len(&self) -> usize {
        let panels = self.groups * self.group[1].div_ceil(DEPTH);
        self.parts().map(|(_, runs)| panels * self.panel_len(runs)).sum()
    }

    /// Per phase and group panels of 32 outputs: for each run and each 32 of its values two tiles, filled up with
    /// zeros.
    pub fn pack(&self, form: Form, shape: &ConvShape, w: &[f32], packed: &mut [f32]) {
        let reader = Reader { w, form, kernel: shape.kernel, group: self.group };
        let (mut tiles, _) = words(packed).as_chunks_mut::<SIDE>().0.as_chunks_mut::<SIDE>();
        let mut jobs = Vec::new();
        for (grid, runs) in self.parts() {
            for group in 0..self.groups {
                for first in (0..self.group[1]).step_by(DEPTH) {
                    for run in runs {
                        let (own, after) =
                            std::mem::take(&mut tiles).split_at_mut(2 * self.chunks(run));
                        tiles = after;
                        jobs.push((grid, run, [group, first], own));
                    }
                }
            }
        }
        jobs.into_par_iter().for_each(|(grid, run, [group, first], tiles)| {
            for (chunk, two) in tiles.chunks_exact_mut(2).enumerate() {
                for (tile, first) in two.iter_mut().zip([first, first + SIDE]) {
                    reader.tile(grid, run, [group, chunk * DEPTH, first], tile);
                }
            }
        });
    }
}

impl Reader<'_> {
    /// The weights of a group for some values of a run, from `value` on, and the outputs from `first` on.
    fn tile(&self, grid: &Grid, run: &Run, [group, value, first]: [usize; 3], tile: &mut Words) {
        let [inputs, outputs] = self.group;
        let taps = self.kernel[0] * self.kernel[1];
        let row = grid.rows.taps[run.row].index * self.kernel[1];
        let columns = &grid.columns.taps[run.columns.clone()];
        let count = SIDE.min(outputs.saturating_sub(first));
        let depth = DEPTH.min(run.columns.len() * inputs - value);
        match self.form {
            _ if count == 0 => *tile = [[0; SIDE]; SIDE],
            // The values of a run, one output's weights for them, stand side by side.
            Form::Forward => {
                let stride = taps * inputs;
                let start =
                    (group * outputs + first) * stride + (row + columns[0].index) * inputs + value;
                let mut rows = [[0; SIDE]; SIDE];
                narrow_rows(&self.w[start..], stride, [count, depth], &mut rows);
                transpose(&rows, tile);
            }
            // Here those of all outputs for one value do.
            Form::BackwardInput => {
                let weights = |value: usize| {
                    let tap = row + columns[value / inputs].index;
                    let start = ((group * inputs + value % inputs) * taps + tap) * outputs + first;
                    &self.w[start..start + count]
                };
                for (pair, words) in (0..DEPTH).step_by(2).zip(tile) {
                    let row = |at: usize| if at < depth { weights(value + at) } else { &[] };
                    interleave(row(pair), row(pair + 1), words);
                }
            }
        }
    }
}

multiversion! {
    /// So many rows of so many values, `stride` apart, as words.
    fn narrow_rows(w: &[f32], stride: usize, size: [usize; 2], to: &mut Words) {
        let [count, depth] = size;
        for (row, words) in to.iter_mut().take(count).enumerate() {
            let (mut values, row) = ([0.0; DEPTH], &w[row * stride..][..depth]);
            match row.as_array() {
                Some(whole) => values = *whole,
                None => values[..depth].copy_from_slice(row),
            }
            for (word, values) in words.iter_mut().zip(values.as_chunks::<2>().0) {
                *word = pair(Bf16::new(values[0]), Bf16::new(values[1]));
            }
        }
    }
}

multiversion! {
    /// Words of values from two rows. Those that a row lacks are zeros.
    fn interleave(even: &[f32], odd: &[f32], to: &mut [u32; SIDE]) {
        let mut rows = [[0.0; SIDE]; 2];
        for (row, values) in rows.iter_mut().zip([even, odd]) {
            match values.as_array() {
                Some(whole) => *row = *whole,
                None => row[..values.len()].copy_from_slice(values),
            }
        }
        for ((word, &even), &odd) in to.iter_mut().zip(&rows[0]).zip(&rows[1]) {
            *word = pair(Bf16::new(even), Bf16::new(odd));
        }
    }
}

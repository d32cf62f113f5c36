//! The weight gradient of a pointwise convolution of many channels: dw = dyᵀ x, of two matrices of pixels.
//!
//! Pixels are taken in groups. All threads bring the values of a group into the order in which tiles read them: words
//! of two pixels, of x in panels of 32 channels, of dy in tiles of 16. Then a piece of dw meets all pixels of the group
//! while its sums are in registers. So there are no sums but dw, which is read and written once a group.

use super::Sums;
use super::weight::{pair_row, pairs};
use crate::Scratch;
use crate::arrange::add_block;
use crate::bf16::{Bf16, Floats};
use crate::isa::{Isa, multiversion};
use crate::register::even_pieces;
use crate::source::Source;
use crate::tiles::{DEPTH, Job, ROW, SIDE, TILE, Tiles, transpose, words};
use crate::workers::{SharedMut, apart, share, split};
use std::ops::Range;

/// Weights from which on it is worth the arrangement, and how many there must be for a pixel: otherwise sums of slices are
/// used often enough.
const MANY: usize = 128 * 128;
const PER_PIXEL: usize = 8;
/// Pixels that are brought into order at once, by one thread.
const BLOCK: usize = 128;
/// Bytes of the words of a group, which all threads share, and most pixels of one: two tiles of dy with all of them
/// stay in the second-level cache.
const GROUP: usize = 8 << 20;
const PIXELS: usize = 4096;
/// Columns of dw in a piece.
const COLUMNS: usize = 8 * DEPTH;

/// The weight gradient, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Pointwise {
    pixels: usize,
    /// Channels of x and of dy.
    channels: [usize; 2],
    isa: Isa,
}

impl Pointwise {
    /// None where there are no pixels, few weights, or few for so many pixels.
    pub fn new(pixels: usize, channels: [usize; 2], isa: Isa) -> Option<Self> {
        let weights = channels[0] * channels[1];
        let worth = pixels > 0 && weights >= MANY.max(PER_PIXEL * pixels);
        worth.then_some(Self { pixels, channels, isa })
    }

    /// dw `[O, I]` of x and dy.
    pub fn run(&self, sources: [Source<'_>; 2], dw: &mut [f32], scratch: &mut Scratch) {
        let per_pixel = self.channels.iter().sum::<usize>() * size_of::<Bf16>();
        let most = (GROUP / per_pixel).clamp(BLOCK, PIXELS) / BLOCK * BLOCK;
        let rows = |pixels: usize| pixels.next_multiple_of(DEPTH) / 2;
        let largest = rows(most.min(self.pixels));
        let panels = self.channels[0].div_ceil(DEPTH);
        let tiles = self.channels[1].div_ceil(SIDE);
        let lens = self.channels.map(|channels| BLOCK * channels / 2);
        let each = lens.into_iter().map(apart).sum();
        let threads = scratch.count(most / BLOCK);
        let [x, dy, memory] =
            scratch.parts([largest * panels * DEPTH, largest * tiles * SIDE, threads * each]);
        let (dw, mut start) = (SharedMut::new(dw), 0);
        while start < self.pixels {
            let group = start..(start + most).min(self.pixels);
            let rows = rows(group.len());
            let whole = Words { x: SharedMut::new(words(x)), dy: SharedMut::new(words(dy)), rows };
            whole.arrange(self, sources, &group, (&mut *memory, each, lens));
            let outputs = (0..self.channels[1]).step_by(DEPTH);
            let items = outputs.flat_map(|output| {
                even_pieces(0..panels, COLUMNS / DEPTH).map(move |panels| (output, panels))
            });
            share(items, memory, each, |(output, panels), _| {
                self.multiply(&whole, output, panels, (dw, start > 0));
            });
            start = group.end;
        }
    }
}

/// The values of a group, as words of two pixels.
struct Words<'a> {
    /// `[panel][word of two pixels][32 channels]`
    x: SharedMut<'a, u32>,
    /// `[tile][16 words of two pixels][16 channels][16 words]`, the last two axes exchanged.
    dy: SharedMut<'a, u32>,
    /// Words of a channel: a multiple of 16.
    rows: usize,
}

impl Words<'_> {
    /// Brings the pixels of a group into order, those behind the last being zeros.
    fn arrange(
        &self,
        plan: &Pointwise,
        [x, dy]: [Source<'_>; 2],
        group: &Range<usize>,
        (memory, each, lens): (&mut [f32], usize, [usize; 2]),
    ) {
        let blocks = (0..2 * self.rows).step_by(BLOCK);
        share(blocks, memory, each, |first, memory| {
            let count = BLOCK.min(2 * self.rows - first);
            let inside = group.start + first..(group.start + first + count).min(group.end);
            let [for_x, for_dy] = split(memory, lens).map(Bf16::slice_mut);
            let [inputs, outputs] = plan.channels;
            self.arrange_x(pixels(x, &inside, inputs, &mut for_x[..count * inputs]), inputs, first);
            let dy = pixels(dy, &inside, outputs, &mut for_dy[..count * outputs]);
            self.arrange_dy(dy, outputs, first);
        });
    }

    fn arrange_x(&self, values: &[Bf16], channels: usize, first: usize) {
        let rows = values.len() / channels / 2;
        for (panel, channel) in (0..channels).step_by(DEPTH).enumerate() {
            let (at, len) = ((panel * self.rows + first / 2) * DEPTH, rows * DEPTH);
            // SAFETY: each block has rows of its own, which `range` has seen to be there.
            let to = unsafe { std::slice::from_raw_parts_mut(self.x.range(at, len), len) };
            pair_rows(values, channels, channel..channels.min(channel + DEPTH), to);
        }
    }

    fn arrange_dy(&self, values: &[Bf16], channels: usize, first: usize) {
        let mut words = [[0; SIDE]; SIDE];
        for (chunk, values) in values.chunks_exact(DEPTH * channels).enumerate() {
            for (tile, channel) in (0..channels).step_by(SIDE).enumerate() {
                let rows = [&values[channel..], &values[channels + channel..]];
                pairs(rows, 2 * channels, SIDE.min(channels - channel), &mut words);
                let at = tile * self.rows + first / 2 + chunk * SIDE;
                // SAFETY: each block has tiles of its own, which `range` has seen to be there.
                let to = unsafe { &mut *self.dy.range(at * SIDE, SIDE * SIDE).cast() };
                transpose(&words, to);
            }
        }
    }
}

/// Some pixels where they stand, or in `memory`, as many as that holds: those behind the last are zeros.
fn pixels<'a>(
    source: Source<'a>,
    inside: &Range<usize>,
    channels: usize,
    memory: &'a mut [Bf16],
) -> &'a [Bf16] {
    let range = inside.start * channels..inside.end * channels;
    if let Source::Plain(Floats::Bf16(values)) = source
        && range.len() == memory.len()
    {
        return &values[range];
    }
    let (own, behind) = memory.split_at_mut(range.len());
    source.load(range, own);
    behind.fill(Bf16::default());
    memory
}

impl Pointwise {
    /// What a group adds to 32 outputs of some panels of dw, or the first to be written there. No one else may use these
    /// meanwhile.
    fn multiply(
        &self,
        words: &Words<'_>,
        output: usize,
        panels: Range<usize>,
        (dw, accumulate): (SharedMut<'_>, bool),
    ) {
        let ([inputs, outputs], rows) = (self.channels, words.rows);
        let tiles = Tiles::new(self.isa);
        let outputs = output..outputs.min(output + DEPTH);
        let two = outputs.len() > SIDE;
        let len = if two { 2 } else { 1 } * rows * SIDE;
        let dy = words.dy.range(output / SIDE * rows * SIDE, len);
        let mut sums = Sums([[0.0; DEPTH]; DEPTH]);
        let runs = [[0, 0]];
        for panel in panels {
            let columns = panel * DEPTH..inputs.min((panel + 1) * DEPTH);
            let c: *mut f32 = sums.0.as_mut_ptr().cast();
            let job = Job {
                a: dy.cast(),
                b: words.x.range(panel * rows * DEPTH, rows * DEPTH).cast(),
                runs: runs.as_ptr(),
                end: runs.as_ptr_range().end,
                chunks: rows / SIDE,
                a_row: ROW,
                a_step: TILE,
                a_next: if two { rows * ROW } else { 0 },
                b_row: 2 * ROW,
                b_step: 2 * TILE,
                b_next: if columns.len() > SIDE { ROW } else { 0 },
                c: [c, c.wrapping_add(SIDE * DEPTH)],
                c_row: [DEPTH * size_of::<f32>(); 2],
                accumulate: false,
            };
            // SAFETY: `range` has seen that the tiles of dy and the panel of x are there, which are only read now.
            unsafe { tiles.run(&job) };
            for (output, sums) in outputs.clone().zip(&sums.0) {
                let to = dw.range(output * inputs + columns.start, columns.len());
                // SAFETY: the caller's promise; `range` has seen that they are there.
                let to = unsafe { std::slice::from_raw_parts_mut(to, columns.len()) };
                let sums = &sums[..columns.len()];
                if accumulate { add_block(to, sums) } else { to.copy_from_slice(sums) }
            }
        }
    }
}

multiversion! {
    /// Of some channels the words of every two pixels, in rows of 32.
    fn pair_rows(values: &[Bf16], channels: usize, some: Range<usize>, to: &mut [u32]) {
        let rows = to.as_chunks_mut::<DEPTH>().0;
        for (pixels, to) in values.chunks_exact(2 * channels).zip(rows) {
            let (first, second) = pixels.split_at(channels);
            pair_row(&first[some.clone()], &second[some.clone()], to);
        }
    }
}

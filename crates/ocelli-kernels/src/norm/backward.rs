//! The gradients of a normalisation, in at most two passes over memory.
//!
//! With g = dy where the activation lets it through, d = x - mean and N rows:
//!
//! ```text
//! dresidual = g      dbeta = Σ g      dgamma = rstd Σ g d
//! dx = gamma rstd g                                                  (statistics are constants)
//! dx = gamma rstd (g - Σ g / N - d rstd² Σ g d / N)                  (statistics of the batch)
//! ```
//!
//! The first pass sums, and writes g where a residual was added: what let it through is then known from a mask
//! alone, else from x. The second computes dx, of which a [`NormGradient`] knows all but the operands.

use super::Norm;
use super::add::Mask;
use super::blocks::{Blocks, GROUP, by_rows, piece, reduce};
use super::clamp::{Clamp, Flag, Linear, Relu, Relu6};
use crate::activation::Activation;
use crate::bf16::{Element, Floats, FloatsMut, either, pair};
use crate::isa::multiversion;
use crate::lanes::{load, load_wide, rows, rows_mut, store, widths};
use rayon::prelude::*;

/// What the gradient of a norm's input is made by: dx = scale g + slope (x - mean) + shift, per channel.
///
/// g is what [`Norm::sums_gated`] wrote as the gradient of the residual; where no residual was added, it is dy where the
/// activation lets it through, which is known from x.
#[derive(Clone, Debug)]
pub struct NormGradient {
    /// Of z; Identity where g is given.
    act: Activation,
    mean: Vec<f32>,
    scale: Vec<f32>,
    /// z = scale (x - mean) + this.
    forward_shift: Vec<f32>,
    /// Empty, as is the shift, where the statistics are constants.
    slope: Vec<f32>,
    shift: Vec<f32>,
}

impl NormGradient {
    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Writes dx.
    ///
    /// # Panics
    /// When slices disagree in length, or g and x in their width.
    pub fn write<'a, 'b>(
        &self,
        g: impl Into<Floats<'a>>,
        x: impl Into<Floats<'a>>,
        dx: impl Into<FloatsMut<'b>>,
    ) {
        pair!((g.into(), x.into()), (g, x) => {
            either!(FloatsMut, dx.into(), dx => self.write_all(g, x, dx));
        });
    }

    fn write_all<T: Element, U: Element>(&self, g: &[T], x: &[T], dx: &mut [U]) {
        assert_eq!([g.len(), dx.len()], [x.len(); 2], "norm: g, x and dx differ in length");
        let blocks = Blocks::new(x.len() / self.channels(), self.channels());
        (blocks.split(g), blocks.split(x), blocks.split_mut(dx))
            .into_par_iter()
            .for_each(|(g, x, dx)| self.write_rows(g, x, dx));
    }

    /// Writes dx of some rows, on this thread.
    pub(crate) fn write_rows<T: Element, U: Element>(&self, g: &[T], x: &[T], dx: &mut [U]) {
        let piece = piece::<T, U>(self.channels());
        for ((g, x), dx) in g.chunks(piece).zip(x.chunks(piece)).zip(dx.chunks_mut(piece)) {
            U::fill(dx, |dx| match self.act {
                Activation::Relu => self.write_with(Relu, [g, x], dx),
                Activation::Relu6 => self.write_with(Relu6, [g, x], dx),
                _ => self.write_with(Linear, [g, x], dx),
            });
        }
    }

    fn write_with<A: Clamp, T: Element>(&self, act: A, operands: [&[T]; 2], dx: &mut [f32]) {
        match self.slope.is_empty() {
            true => dx_rows(act, Flag::<false>, self, operands, dx),
            false => dx_rows(act, Flag::<true>, self, operands, dx),
        }
    }
}

/// Σ g and Σ g (x - mean) per channel, which the gradients of a norm are made of.
#[derive(Clone, Debug, Default)]
pub struct NormSums {
    g: Vec<f64>,
    gd: Vec<f64>,
}

impl NormSums {
    /// Of the sums `[parts, 2, channels]` of parts of the rows, added up in order.
    pub(crate) fn of_parts(parts: &[f64], channels: usize) -> Self {
        let (g, gd) = reduce(parts, channels);
        Self { g, gd }
    }
}

impl Norm {
    /// The sums that [`gradient`](Self::gradient) is made of, where no residual was added.
    ///
    /// # Panics
    /// When slices disagree in length or in their width.
    pub fn sums<'a>(&self, dy: impl Into<Floats<'a>>, x: impl Into<Floats<'a>>) -> NormSums {
        pair!((dy.into(), x.into()), (dy, x) => {
            self.sums_of([dy, x], &Mask::default(), &mut [])
        })
    }

    /// The same where a residual was added and then the activation let through what the mask says; writes its
    /// gradient, g.
    ///
    /// # Panics
    /// When slices disagree in length or in their width, or the mask is of another shape.
    pub fn sums_gated<'a, 'b>(
        &self,
        dy: impl Into<Floats<'a>>,
        x: impl Into<Floats<'a>>,
        mask: &Mask,
        g: impl Into<FloatsMut<'b>>,
    ) -> NormSums {
        pair!((dy.into(), x.into()), (dy, x) => {
            self.sums_of([dy, x], mask, Element::written(g.into()))
        })
    }

    fn sums_of<T: Element>(&self, [dy, x]: [&[T]; 2], mask: &Mask, g: &mut [T]) -> NormSums {
        let blocks = self.blocks(x.len());
        assert_eq!(dy.len(), x.len(), "norm: dy and x differ in length");
        if !mask.is_empty() {
            assert_eq!(mask.words.len(), blocks.mask_len(), "norm: the mask is of another shape");
            assert_eq!(g.len(), x.len(), "norm: the gradient of the residual and x differ");
        }
        let mut partials = vec![0.0; blocks.count() * 2 * blocks.channels];
        (
            partials.par_chunks_mut(2 * blocks.channels),
            blocks.split(dy),
            blocks.split(x),
            blocks.split_mask(&mask.words),
            blocks.split_mut(g),
        )
            .into_par_iter()
            .for_each(|(sums, dy, x, mask, g)| {
                let block = SumBlock { dy, x, mask, g, sums };
                match block.mask.is_empty() {
                    true => self.sum_block(block),
                    false => sum_block(Linear, Flag::<true>, self, block),
                }
            });
        NormSums::of_parts(&partials, blocks.channels)
    }

    /// The sums of some rows, on this thread.
    pub(crate) fn sum_rows<T: Element>(&self, dy: &[T], x: &[T], sums: &mut [f64]) {
        self.sum_block(SumBlock { dy, x, mask: &[], g: &mut [], sums });
    }

    fn sum_block<T: Element>(&self, block: SumBlock<'_, T>) {
        let plain = Flag::<false>;
        match self.act {
            Activation::Relu => sum_block(Relu, plain, self, block),
            Activation::Relu6 => sum_block(Relu6, plain, self, block),
            _ => sum_block(Linear, plain, self, block),
        }
    }

    /// The gradient of gamma, and that of beta.
    ///
    /// # Panics
    /// When one is not one value per channel.
    pub fn parameter_gradients(&self, sums: &NormSums, [gamma, beta]: [Option<&mut [f32]>; 2]) {
        let NormSums { g, gd } = sums;
        for gradient in [&gamma, &beta].into_iter().flatten() {
            assert_eq!(gradient.len(), self.channels(), "norm: a gradient per channel");
        }
        for (dgamma, (gd, &rstd)) in gamma.into_iter().flatten().zip(gd.iter().zip(&self.rstd)) {
            *dgamma = (gd * f64::from(rstd)) as f32;
        }
        beta.into_iter().flatten().zip(g).for_each(|(dbeta, &g)| *dbeta = g as f32);
    }

    /// How the gradient of x, of so many rows, is made. `masked` says that g was written, by
    /// [`sums_gated`](Self::sums_gated).
    pub fn gradient(&self, rows: usize, sums: &NormSums, masked: bool) -> NormGradient {
        let scale = || self.scale.iter().map(|&a| f64::from(a));
        let (mut slope, mut shift) = (Vec::new(), Vec::new());
        if self.of_batch {
            let rows = rows as f64;
            let terms = scale().zip(&self.rstd).zip(&sums.gd);
            let term = |((a, &r), gd): ((f64, &f32), &f64)| -a * f64::from(r).powi(2) * gd / rows;
            slope = terms.map(|terms| term(terms) as f32).collect();
            shift = scale().zip(&sums.g).map(|(a, g)| (-a * g / rows) as f32).collect();
        }
        NormGradient {
            act: if masked { Activation::Identity } else { self.act },
            mean: self.mean.clone(),
            scale: self.scale.clone(),
            forward_shift: self.shift.clone(),
            slope,
            shift,
        }
    }

    /// Whether [`gradient`](Self::gradient) looks at the sums: not where mean and variance are constants.
    pub fn is_of_batch(&self) -> bool {
        self.of_batch
    }
}

struct SumBlock<'a, T> {
    dy: &'a [T],
    x: &'a [T],
    /// Where g is dy, which is written then; if empty, x says it.
    mask: &'a [u32],
    g: &'a mut [T],
    sums: &'a mut [f64],
}

/// f32 sums of each group of rows, flushed to f64.
fn sum_block<A: Clamp, const MASK: bool, T: Element>(
    act: A,
    mask: Flag<MASK>,
    norm: &Norm,
    block: SumBlock<'_, T>,
) {
    let SumBlock { dy, x, mask: words, g, sums } = block;
    let channels = norm.mean.len();
    let mut partial = vec![0f32; 2 * channels];
    sums.fill(0.0);
    for (i, x) in x.chunks(GROUP * channels).enumerate() {
        partial.fill(0.0);
        let at = i * GROUP * channels;
        let words = if MASK { &words[i * channels..][..channels] } else { &[] };
        let g = if MASK { &mut g[at..][..x.len()] } else { &mut [] };
        let partial = &mut partial;
        let operands = [&dy[at..][..x.len()], x];
        T::fill(g, |g| sum_group(act, mask, norm, operands, words, g, partial));
        flush(partial, sums);
    }
}

multiversion! {
    fn flush(partial: &[f32], sums: &mut [f64]) {
        for (sum, &part) in sums.iter_mut().zip(partial) {
            *sum += f64::from(part);
        }
    }
}

multiversion! {
    #[allow(clippy::too_many_arguments)]
    fn sum_group[A: Clamp, T: Element, const MASK: bool](
        _act: A,
        _mask: Flag<MASK>,
        norm: &Norm,
        operands: [&[T]; 2],
        words: &[u32],
        g: &mut [f32],
        partial: &mut [f32],
    ) {
        let channels = norm.mean.len();
        macro_rules! quad {
            ($r:literal, $row:expr) => {{
                let at = $row * channels;
                let operands = operands.map(|operand| &operand[at..]);
                let g = if MASK { &mut g[at..] } else { &mut [][..] };
                sum_step::<A, T, MASK, $r>($row, norm, operands, words, g, partial)
            }};
        }
        by_rows!(operands[1].len() / channels, quad);
    }
}

/// R rows, the first of which is row `bit` of its group.
#[inline(always)]
fn sum_step<A: Clamp, T: Element, const MASK: bool, const R: usize>(
    bit: usize,
    norm: &Norm,
    operands: [&[T]; 2],
    words: &[u32],
    g: &mut [f32],
    partial: &mut [f32],
) {
    let Norm { mean, scale, shift, .. } = norm;
    let channels = mean.len();
    let [dy, x] = operands.map(|operand| rows::<R, T>(operand, channels));
    let written: [&mut [f32]; R] =
        if MASK { rows_mut(g, channels) } else { std::array::from_fn(|_| &mut [][..]) };
    let (sum_g, sum_gd) = partial.split_at_mut(channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let m = load::<$n, f32>(mean, at);
                let (a, b) = (load::<$n, f32>(scale, at), load::<$n, f32>(shift, at));
                let bits = if MASK { load::<$n, u32>(words, at) } else { [0; $n] };
                let (mut s, mut t) = (load::<$n, f32>(sum_g, at), load::<$n, f32>(sum_gd, at));
                for r in 0..R {
                    let passed = 1u32 << (bit + r);
                    let (mut g, x) = (load_wide::<$n, T>(dy[r], at), load_wide::<$n, T>(x[r], at));
                    for l in 0..$n {
                        let d = x[l] - m[l];
                        let passes = match MASK {
                            true => bits[l] & passed != 0,
                            false => A::passes(d * a[l] + b[l]),
                        };
                        g[l] = if passes { g[l] } else { 0.0 };
                        s[l] += g[l];
                        t[l] += g[l] * d;
                    }
                    if MASK {
                        store(written[r], at, g);
                    }
                }
                store(sum_g, at, s);
                store(sum_gd, at, t);
            }
        };
    }
    widths!(channels, columns);
}

multiversion! {
    /// The second pass: dx of some rows.
    fn dx_rows[A: Clamp, T: Element, const TRAIN: bool](
        _act: A,
        _train: Flag<TRAIN>,
        gradient: &NormGradient,
        operands: [&[T]; 2],
        dx: &mut [f32],
    ) {
        let channels = gradient.mean.len();
        macro_rules! quad {
            ($r:literal, $row:expr) => {{
                let at = $row * channels;
                let operands = operands.map(|operand| &operand[at..]);
                dx_step::<A, T, TRAIN, $r>(gradient, operands, &mut dx[at..])
            }};
        }
        by_rows!(dx.len() / channels, quad);
    }
}

#[inline(always)]
fn dx_step<A: Clamp, T: Element, const TRAIN: bool, const R: usize>(
    gradient: &NormGradient,
    operands: [&[T]; 2],
    dx: &mut [f32],
) {
    let NormGradient { mean, scale, forward_shift, slope, shift, .. } = gradient;
    let channels = mean.len();
    let [g, x] = operands.map(|operand| rows::<R, T>(operand, channels));
    let dx = rows_mut::<R, f32>(dx, channels);
    macro_rules! columns {
        ($n:literal, $from:expr, $to:expr) => {
            for at in ($from..$to).step_by($n) {
                let (m, a) = (load::<$n, f32>(mean, at), load::<$n, f32>(scale, at));
                let z = load::<$n, f32>(forward_shift, at);
                let (b, k) = if TRAIN {
                    (load::<$n, f32>(slope, at), load::<$n, f32>(shift, at))
                } else {
                    ([0.0; $n], [0.0; $n])
                };
                for r in 0..R {
                    let (g, x) = (load_wide::<$n, T>(g[r], at), load_wide::<$n, T>(x[r], at));
                    let mut out = [0.0; $n];
                    for l in 0..$n {
                        let d = x[l] - m[l];
                        let g = if A::passes(d * a[l] + z[l]) { g[l] } else { 0.0 };
                        out[l] = if TRAIN { a[l] * g + (b[l] * d + k[l]) } else { a[l] * g };
                    }
                    store(dx[r], at, out);
                }
            }
        };
    }
    widths!(channels, columns);
}

//! Rows of channels, cut so that the compiler sees whole vectors.
//!
//! A kernel handles R rows at once, and of each row N channels at a time: first 16 by 16, then 8 by 8,
//! then the rest one by one. It reads arrays `[f32; N]`, computes on them and writes arrays, so the
//! compiler needs no proof that rows do not overlap; loops over N and R have constant bounds and become
//! straight vector code.

use crate::bf16::Element;
use std::array;

/// The widths in which a row is walked, widest first.
macro_rules! widths {
    ($channels:expr, $call:ident) => {{
        let (wide, half) = ($channels / 16 * 16, $channels / 8 * 8);
        $call!(16, 0, wide);
        $call!(8, wide, half);
        $call!(1, half, $channels);
    }};
}
pub(crate) use widths;

/// Channels `at..at + N` of a row.
#[inline(always)]
pub(crate) fn load<const N: usize, T: Copy>(row: &[T], at: usize) -> [T; N] {
    // LLVM removes the copy and, mostly, the check.
    match row[at..].first_chunk::<N>() {
        Some(lanes) => *lanes,
        None => unreachable!("a row is cut at multiples of N"),
    }
}

/// Channels `at..at + N` of a row, as f32.
#[inline(always)]
pub(crate) fn load_wide<const N: usize, T: Element>(row: &[T], at: usize) -> [f32; N] {
    let lanes = load::<N, T>(row, at);
    // A loop, as what is handed to a function of the library would be compiled for any CPU.
    let mut wide = [0.0; N];
    for (wide, lane) in wide.iter_mut().zip(lanes) {
        *wide = lane.value();
    }
    wide
}

/// Writes channels `at..at + N` of a row.
#[inline(always)]
pub(crate) fn store<const N: usize, T: Copy>(row: &mut [T], at: usize, lanes: [T; N]) {
    row[at..at + N].copy_from_slice(&lanes);
}

/// The first R rows of `channels` values each.
#[inline(always)]
pub(crate) fn rows<const R: usize, T>(x: &[T], channels: usize) -> [&[T]; R] {
    array::from_fn(|r| &x[r * channels..][..channels])
}

/// The first R rows of `channels` values each, to write.
#[inline(always)]
pub(crate) fn rows_mut<const R: usize, T>(x: &mut [T], channels: usize) -> [&mut [T]; R] {
    let mut rest = x;
    array::from_fn(|_| {
        let (row, below) = std::mem::take(&mut rest).split_at_mut(channels);
        rest = below;
        row
    })
}

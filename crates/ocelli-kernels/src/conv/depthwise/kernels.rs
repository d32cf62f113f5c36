//! Tiles of every width, compiled for each instruction set.

use crate::register::even_pieces;
use std::ops::Range;

/// Fewest and most points of a row in a tile.
pub(super) const FEWEST: usize = 4;
const MOST: usize = 7;

/// Cuts a row of at least [`FEWEST`] points into tiles.
pub(super) fn pieces(points: usize) -> impl Iterator<Item = Range<usize>> {
    even_pieces(0..points, MOST)
}

/// Defines a function that finds the kernels for so many taps in a row, so many source pixels apart: for 4,
/// 5, 6 and 7 points. They exist for the pairs listed.
macro_rules! tile_kernels {
    ($(#[$meta:meta])* $vis:vis fn $find:ident = $generic:ident $(<$rows:literal>)? ($job:ty):
        $($taps:literal $step:literal),*) => {
        $(#[$meta])*
        $vis fn $find(
            isa: $crate::isa::Isa,
            taps: usize,
            step: usize,
        ) -> Option<[unsafe fn($job); 4]> {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512<const K: usize, const S: usize, const P: usize>(job: $job) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx512, K, S, P $(, $rows)?>(job) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<const K: usize, const S: usize, const P: usize>(job: $job) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx2, K, S, P $(, $rows)?>(job) }
            }
            unsafe fn portable<const K: usize, const S: usize, const P: usize>(job: $job) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Portable, K, S, P $(, $rows)?>(job) }
            }
            macro_rules! widths {
                ($isa:ident, $k:literal, $s:literal) => {
                    Some([$isa::<$k, $s, 4>, $isa::<$k, $s, 5>, $isa::<$k, $s, 6>, $isa::<$k, $s, 7>])
                };
            }
            match (isa, taps, step) {
                $(
                    #[cfg(target_arch = "x86_64")]
                    ($crate::isa::Isa::Avx512, $taps, $step) => widths!(avx512, $taps, $step),
                    #[cfg(target_arch = "x86_64")]
                    ($crate::isa::Isa::Avx2, $taps, $step) => widths!(avx2, $taps, $step),
                    (_, $taps, $step) => widths!(portable, $taps, $step),
                )*
                _ => None,
            }
        }
    };
}
pub(super) use tile_kernels;

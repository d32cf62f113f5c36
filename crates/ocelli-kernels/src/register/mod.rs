//! The kernels that everything dense is built from: products that stay in registers.
//!
//! A [`Tile`] of the result, some rows by one or two vectors of columns, is summed up in registers while
//! the operands stream past. There are two orders of operands:
//!
//! - [`Dot`] and [`Rows`]: c[m][j] = sum over k of a[m][k] b[k][j]. Rows of a lie anywhere (`Dot`: a table
//!   of pointers per tap, so that padding and strides are only pointers) or at a constant distance
//!   (`Rows`); b is a packed panel.
//! - [`Outer`]: c[m][j] += sum over k of a[k][m] b[k][j], the gradient of weights.
//!
//! Each exists for every number of rows up to the largest that fits, so no row is computed in vain. The
//! sums over k run in ascending order, whatever the tile: results do not depend on how rows are dealt out.

mod dot;
mod outer;
mod rows;

pub(crate) use dot::{Dot, dot_kernels};
pub(crate) use outer::{Outer, outer_kernels, outer_of_pairs_kernels};
pub(crate) use rows::{Rows, rows_kernels, rows_of_pairs_kernels};

use crate::isa::Isa;
use std::ops::Range;

/// A tile of the result: its columns, and through them the most rows that fit into the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    isa: Isa,
    /// Vectors in a row: 1 or 2.
    vectors: usize,
}

impl Tile {
    /// The tile that wastes little on results of so many columns.
    pub fn for_columns(isa: Isa, columns: usize) -> Self {
        let wide = Self { isa, vectors: 2 };
        let narrow = Self { isa, vectors: 1 };
        let padded = |tile: Self| columns.next_multiple_of(tile.columns());
        // Twice the columns read half as much of a: worth an eighth of columns computed in vain.
        if padded(wide) - padded(narrow) > padded(narrow) / 8 { narrow } else { wide }
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    pub fn columns(&self) -> usize {
        self.vectors * lanes(self.isa)
    }

    /// The most rows that a kernel exists for.
    pub fn most_rows(&self) -> usize {
        match (self.isa, self.vectors) {
            (Isa::Portable, 1) => 8,
            (Isa::Portable, _) => 4,
            (Isa::Avx2, 1) => 12,
            (Isa::Avx2, _) => 6,
            (_, 1) => 24,
            _ => 14,
        }
    }

    /// Cuts rows into pieces of almost equal length that kernels exist for.
    pub fn cut(&self, rows: Range<usize>) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let most = match self.most_rows() {
            // LLVM spills sums of 12 x 32 and 13 x 32.
            14 if !rows.len().is_multiple_of(14) => 11,
            most => most,
        };
        even_pieces(rows, most)
    }
}

/// Values in a vector.
pub(crate) fn lanes(isa: Isa) -> usize {
    match isa {
        Isa::Portable => 4,
        Isa::Avx2 => 8,
        _ => 16,
    }
}

/// Cuts a range into as few pieces as possible of at most `most`, whose lengths differ by at most 1.
pub(crate) fn even_pieces(
    range: Range<usize>,
    most: usize,
) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
    let pieces = range.len().div_ceil(most.max(1));
    let at = move |i: usize| range.start + i * range.len() / pieces.max(1);
    (0..pieces).map(move |i| at(i)..at(i + 1))
}

/// The table of a kernel's functions for so many vectors and these numbers of rows.
macro_rules! functions {
    ($job:ty, $function:ident, $vectors:literal: $($rows:literal)*) => {{
        const TABLE: &[unsafe fn(&$job)] = &[$($function::<$rows, $vectors>),*];
        TABLE
    }};
}
use functions;

/// Defines the table of a generic kernel: for a [`Tile`], the function for 1 row, 2 rows and so on. With `with bf16`, of one
/// that deals in pairs of bf16. A flag in brackets is its last parameter.
macro_rules! kernel_table {
    ($(#[$meta:meta])* $vis:vis fn $table:ident = $generic:ident $([$flag:literal])? ($job:ty)) => {
        $(#[$meta])*
        $vis fn $table(tile: $crate::register::Tile) -> &'static [unsafe fn(&$job)] {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512<const M: usize, const N: usize>(job: &$job) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx512, M, N $(, $flag)?>(job) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<const M: usize, const N: usize>(job: &$job) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx2, M, N $(, $flag)?>(job) }
            }
            unsafe fn portable<const M: usize, const N: usize>(job: &$job) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Portable, M, N $(, $flag)?>(job) }
            }
            match (tile.isa.min($crate::isa::Isa::Avx512), tile.vectors) {
                #[cfg(target_arch = "x86_64")]
                ($crate::isa::Isa::Avx512, 1) => {
                    $crate::register::functions!($job, avx512, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24)
                }
                #[cfg(target_arch = "x86_64")]
                ($crate::isa::Isa::Avx512, _) => $crate::register::functions!($job, avx512, 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
                #[cfg(target_arch = "x86_64")]
                ($crate::isa::Isa::Avx2, 1) => $crate::register::functions!($job, avx2, 1: 1 2 3 4 5 6 7 8 9 10 11 12),
                #[cfg(target_arch = "x86_64")]
                ($crate::isa::Isa::Avx2, _) => $crate::register::functions!($job, avx2, 2: 1 2 3 4 5 6),
                (_, 1) => $crate::register::functions!($job, portable, 1: 1 2 3 4 5 6 7 8),
                _ => $crate::register::functions!($job, portable, 2: 1 2 3 4),
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $table:ident = $generic:ident $([$flag:literal])? ($job:ty) with bf16) => {
        $(#[$meta])*
        $vis fn $table(tile: $crate::register::Tile) -> &'static [unsafe fn(&$job)] {
            $crate::register::kernel_table!(fn others = $generic $([$flag])? ($job));
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
            unsafe fn native<const M: usize, const N: usize>(job: &$job) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx512Bf16, M, N $(, $flag)?>(job) }
            }
            match (tile.isa, tile.vectors) {
                #[cfg(target_arch = "x86_64")]
                (isa, 1) if isa >= $crate::isa::Isa::Avx512Bf16 => {
                    $crate::register::functions!($job, native, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24)
                }
                #[cfg(target_arch = "x86_64")]
                (isa, _) if isa >= $crate::isa::Isa::Avx512Bf16 => {
                    $crate::register::functions!($job, native, 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
                }
                _ => others(tile),
            }
        }
    };
}
use kernel_table;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bf16::Bf16;
    use crate::isa::detected;
    use crate::testing::fill;
    use crate::tiles::{halves, pair};

    pub(super) fn tiles() -> impl Iterator<Item = Tile> {
        let isas = Isa::ALL.into_iter().filter(|&i| i <= detected());
        isas.flat_map(|isa| [1, 2].map(|vectors| Tile { isa, vectors }))
    }

    /// Pairs of bf16.
    pub(super) fn words(len: usize, seed: u64) -> Vec<f32> {
        let values: Vec<_> = fill(2 * len, seed).into_iter().map(Bf16::new).collect();
        let words = values.as_chunks().0.iter();
        words.map(|&[even, odd]| f32::from_bits(pair(even, odd))).collect()
    }

    /// The product of two numbers, or of two pairs.
    pub(super) fn product(factors: [f32; 2], pairs: bool) -> f64 {
        let product = |factors: [f32; 2]| factors.map(f64::from).into_iter().product::<f64>();
        if !pairs {
            return product(factors);
        }
        let [a, b] = factors.map(|word| halves(word.to_bits()));
        product([a[0], b[0]]) + product([a[1], b[1]])
    }

    #[test]
    fn the_table_holds_every_number_of_rows() {
        for tile in tiles() {
            assert_eq!(dot_kernels(tile).len(), tile.most_rows(), "{tile:?}");
        }
    }

    #[test]
    fn pieces_cover_everything_and_are_even() {
        let pieces: Vec<_> = even_pieces(3..30, 14).collect();
        assert_eq!(pieces, [3..16, 16..30]);
        assert_eq!(even_pieces(5..5, 4).count(), 0);
    }

    #[test]
    fn few_columns_take_the_narrow_tile() {
        let vectors = |columns| Tile::for_columns(Isa::Avx512, columns).vectors;
        assert_eq!([16, 24, 32, 33, 48, 64, 144, 1000].map(vectors), [1, 2, 2, 1, 1, 2, 2, 2]);
    }
}

//! Rows at a constant distance times a packed panel: the products in Winograd's domain.

use super::dot::{multiply, store_row};
use super::kernel_table;
use crate::simd::Vector;
use std::array;

/// c[m][j] = sum over k < depth of a[m][k] panel[k][j], for all columns of the tile. Either of a and of the panel may be
/// pairs of bf16, with both products in the sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub depth: usize,
    pub a: *const f32,
    /// Values from one row of a to the next.
    pub a_stride: usize,
    /// `[depth][columns of the tile]`
    pub panel: *const f32,
    pub c: *mut f32,
    pub c_stride: usize,
}

kernel_table! {
    /// Kernels for [`Rows`]; its pointers must be valid for what it says.
    pub(crate) fn rows_kernels = rows[false](Rows)
}

kernel_table! {
    /// The same of pairs of bf16.
    pub(crate) fn rows_of_pairs_kernels = rows[true](Rows) with bf16
}

#[inline(always)]
unsafe fn rows<V: Vector, const M: usize, const N: usize, const PAIRS: bool>(job: &Rows) {
    // SAFETY: the job's pointers are valid for the extents that it gives.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; M];
        let a = array::from_fn(|m| job.a.wrapping_add(m * job.a_stride));
        multiply::<V, M, N, PAIRS>(&mut sums, a, job.panel, job.depth);
        for (m, sum) in sums.into_iter().enumerate() {
            store_row(sum, job.c.add(m * job.c_stride), N * V::LANES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{product, tiles, words};
    use super::*;
    use crate::testing::{fill, relative_error};

    #[test]
    fn every_kernel_is_the_matrix_product() {
        for (tile, pairs) in tiles().flat_map(|tile| [(tile, false), (tile, true)]) {
            let table = if pairs { rows_of_pairs_kernels(tile) } else { rows_kernels(tile) };
            assert_eq!(table.len(), tile.most_rows(), "{tile:?}");
            for (m, kernel) in table.iter().enumerate().map(|(i, k)| (i + 1, k)) {
                let (depth, width) = (11, tile.columns());
                let (a_stride, c_stride) = (depth + 2, width + 1);
                let operand = |len, seed| if pairs { words(len, seed) } else { fill(len, seed) };
                let (a, b) = (operand(m * a_stride, 1), operand(depth * width, 2));
                let mut c = vec![0.0; m * c_stride];
                let job = Rows {
                    depth,
                    a: a.as_ptr(),
                    a_stride,
                    panel: b.as_ptr(),
                    c: c.as_mut_ptr(),
                    c_stride,
                };
                // SAFETY: everything has the length that the job says; the CPU has the tile's ISA.
                unsafe { kernel(&job) };
                let expected: Vec<f64> = (0..m * c_stride)
                    .map(|i| {
                        let (r, j) = (i / c_stride, i % c_stride);
                        let term =
                            |k: usize| product([a[r * a_stride + k], b[k * width + j]], pairs);
                        if j == width { 0.0 } else { (0..depth).map(term).sum() }
                    })
                    .collect();
                assert!(relative_error(&c, &expected) < 1e-5, "{tile:?} {m}");
            }
        }
    }
}

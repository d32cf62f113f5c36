//! Sums of outer products: the gradient of weights.

use super::dot::store_row;
use super::kernel_table;
use crate::simd::Vector;

/// c[m][j] (+)= sum over k < depth of a[k][m] b[k][j]. Either of a and b may be pairs of bf16, with both products in the
/// sum.
///
/// Rows of b are read as whole vectors: they must be readable beyond `columns`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outer {
    pub depth: usize,
    pub a: *const f32,
    /// Values from one k to the next.
    pub a_stride: usize,
    pub b: *const f32,
    pub b_stride: usize,
    pub c: *mut f32,
    pub c_stride: usize,
    /// Columns to write, at most those of the tile.
    pub columns: usize,
    /// Whether to add to what stands in c.
    pub accumulate: bool,
}

kernel_table! {
    /// Kernels for an [`Outer`]; its pointers must be valid for what it says.
    pub(crate) fn outer_kernels = outer[false](Outer)
}

kernel_table! {
    /// The same of pairs of bf16.
    pub(crate) fn outer_of_pairs_kernels = outer[true](Outer) with bf16
}

#[inline(always)]
unsafe fn outer<V: Vector, const M: usize, const N: usize, const PAIRS: bool>(job: &Outer) {
    // SAFETY: the job's pointers are valid for the extents that it gives.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; M];
        if job.accumulate {
            for (m, sum) in sums.iter_mut().enumerate() {
                let c = job.c.add(m * job.c_stride);
                for (v, sum) in sum.iter_mut().enumerate() {
                    let at = v * V::LANES;
                    *sum = V::load_first(c.wrapping_add(at), job.columns.saturating_sub(at));
                }
            }
        }
        let (mut a, mut b) = (job.a, job.b);
        for _ in 0..job.depth {
            let mut row = [V::splat(0.0); N];
            for (v, row) in row.iter_mut().enumerate() {
                *row = V::load(b.add(v * V::LANES));
            }
            for (m, sum) in sums.iter_mut().enumerate() {
                let factor = V::splat(*a.add(m));
                for v in 0..N {
                    sum[v] = match PAIRS {
                        true => factor.mul_add_pairs(row[v], sum[v]),
                        false => factor.mul_add(row[v], sum[v]),
                    };
                }
            }
            // Beyond the last row these point anywhere, unread.
            a = a.wrapping_add(job.a_stride);
            b = b.wrapping_add(job.b_stride);
        }
        for (m, sum) in sums.into_iter().enumerate() {
            store_row(sum, job.c.add(m * job.c_stride), job.columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{product, tiles, words};
    use super::*;
    use crate::testing::{fill, relative_error};

    #[test]
    fn every_kernel_sums_outer_products() {
        for (tile, pairs) in tiles().flat_map(|tile| [(tile, false), (tile, true)]) {
            let table = if pairs { outer_of_pairs_kernels(tile) } else { outer_kernels(tile) };
            assert_eq!(table.len(), tile.most_rows(), "{tile:?}");
            for (m, kernel) in table.iter().enumerate().map(|(i, k)| (i + 1, k)) {
                for (columns, accumulate) in [(tile.columns(), false), (tile.columns() - 1, true)] {
                    let depth = 5;
                    let (a_stride, b_stride) = (m + 1, tile.columns() + 3);
                    let operand =
                        |len, seed| if pairs { words(len, seed) } else { fill(len, seed) };
                    let (a, b) = (operand(depth * a_stride, 1), operand(depth * b_stride, 2));
                    let before = fill(m * columns, 3);
                    let mut c = before.clone();
                    let job = Outer {
                        depth,
                        a: a.as_ptr(),
                        a_stride,
                        b: b.as_ptr(),
                        b_stride,
                        c: c.as_mut_ptr(),
                        c_stride: columns,
                        columns,
                        accumulate,
                    };
                    // SAFETY: everything has the length that the job says; the CPU has the tile's ISA.
                    unsafe { kernel(&job) };
                    let expected: Vec<f64> = (0..m * columns)
                        .map(|i| {
                            let (r, j) = (i / columns, i % columns);
                            let term = |k: usize| {
                                product([a[k * a_stride + r], b[k * b_stride + j]], pairs)
                            };
                            let start = if accumulate { f64::from(before[i]) } else { 0.0 };
                            (0..depth).map(term).sum::<f64>() + start
                        })
                        .collect();
                    assert!(relative_error(&c, &expected) < 1e-5, "{tile:?} {m} {columns}");
                }
            }
        }
    }
}

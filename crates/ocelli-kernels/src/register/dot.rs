//! Rows anywhere in memory times a packed panel.

use super::kernel_table;
use crate::simd::Vector;
use std::ptr;

/// out[m][j] = clamp(bias[j] + sum over taps t and k < depth of
/// rows[t][m][k] panel[offsets[t] / columns + k][j] + residual[m][j]).
///
/// The kernel for M rows reads M pointers per tap and writes M rows of `out`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dot {
    pub taps: usize,
    pub depth: usize,
    /// `[taps][M]`, each to `depth` values.
    pub rows: *const *const f32,
    /// Where each tap's `[depth][columns of the tile]` begins in `panel`.
    pub offsets: *const usize,
    pub panel: *const f32,
    /// `[M]`, each to `columns` values.
    pub out: *const *mut f32,
    /// Where in the rows of `out` the tile begins.
    pub column: usize,
    /// Columns to write, at most those of the tile.
    pub columns: usize,
    /// As many values, or null.
    pub bias: *const f32,
    /// As `out`, or null.
    pub residual: *const *const f32,
    /// The least and the greatest value.
    pub bounds: [f32; 2],
}

kernel_table! {
    /// Kernels for a [`Dot`]; its pointers must be valid for what it says.
    pub(crate) fn dot_kernels = dot(Dot)
}

#[inline(always)]
unsafe fn dot<V: Vector, const M: usize, const N: usize>(job: &Dot) {
    // SAFETY: the job's pointers are valid for the extents that it gives.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; M];
        if !job.bias.is_null() {
            for v in 0..N {
                let at = v * V::LANES;
                let bias = V::load_first(job.bias.wrapping_add(at), job.columns.saturating_sub(at));
                for sum in &mut sums {
                    sum[v] = bias;
                }
            }
        }
        for tap in 0..job.taps {
            let rows = ptr::read(job.rows.add(tap * M).cast::<[*const f32; M]>());
            let panel = job.panel.add(*job.offsets.add(tap));
            multiply::<V, M, N, false>(&mut sums, rows, panel, job.depth);
        }
        let [low, high] = job.bounds.map(|bound| V::splat(bound));
        for (m, mut sum) in sums.into_iter().enumerate() {
            if !job.residual.is_null() {
                let residual = (*job.residual.add(m)).add(job.column);
                for (v, sum) in sum.iter_mut().enumerate() {
                    let at = v * V::LANES;
                    let count = job.columns.saturating_sub(at);
                    *sum = sum.add(V::load_first(residual.wrapping_add(at), count));
                }
            }
            let out = (*job.out.add(m)).add(job.column);
            store_row(sum.map(|sum| sum.clamp(low, high)), out, job.columns);
        }
    }
}

/// sums[m][j] += sum over k of rows[m][k] panel[k][j], where each may be a pair of bf16.
///
/// # Safety
/// Each row must hold `depth` values and the panel `depth` times N vectors.
#[inline(always)]
pub(super) unsafe fn multiply<V: Vector, const M: usize, const N: usize, const PAIRS: bool>(
    sums: &mut [[V; N]; M],
    rows: [*const f32; M],
    panel: *const f32,
    depth: usize,
) {
    // LLVM would broadcast the pairs of several steps ahead, and spill them.
    let unroll = if PAIRS { 1 } else { 4 };
    let width = N * V::LANES;
    let mut panel = panel;
    let mut k = 0;
    // SAFETY: k stays below depth.
    unsafe {
        while k + unroll <= depth {
            for u in 0..unroll {
                step::<V, M, N, PAIRS>(sums, &rows, k + u, panel.add(u * width));
            }
            panel = panel.add(unroll * width);
            k += unroll;
        }
        while k < depth {
            step::<V, M, N, PAIRS>(sums, &rows, k, panel);
            panel = panel.add(width);
            k += 1;
        }
    }
}

/// One k of [`multiply`].
#[inline(always)]
unsafe fn step<V: Vector, const M: usize, const N: usize, const PAIRS: bool>(
    sums: &mut [[V; N]; M],
    rows: &[*const f32; M],
    k: usize,
    panel: *const f32,
) {
    // SAFETY: the promise of `multiply`.
    unsafe {
        let mut b = [V::splat(0.0); N];
        for (v, b) in b.iter_mut().enumerate() {
            *b = V::load(panel.add(v * V::LANES));
        }
        for m in 0..M {
            let a = V::splat(*rows[m].add(k));
            for v in 0..N {
                sums[m][v] = match PAIRS {
                    true => a.mul_add_pairs(b[v], sums[m][v]),
                    false => a.mul_add(b[v], sums[m][v]),
                };
            }
        }
    }
}

/// Writes the first `columns` values of a row of a tile.
///
/// # Safety
/// They must be writable.
#[inline(always)]
pub(super) unsafe fn store_row<V: Vector, const N: usize>(
    row: [V; N],
    out: *mut f32,
    columns: usize,
) {
    for (v, vector) in row.into_iter().enumerate() {
        let at = v * V::LANES;
        // SAFETY: the caller's promise.
        unsafe {
            if at + V::LANES <= columns {
                vector.store(out.add(at));
            } else {
                vector.store_first(out.wrapping_add(at), columns.saturating_sub(at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiles;
    use super::*;
    use crate::testing::{fill, relative_error};

    #[test]
    fn every_kernel_is_the_sum_over_taps_and_depth() {
        for tile in tiles() {
            for (m, kernel) in dot_kernels(tile).iter().enumerate().map(|(i, k)| (i + 1, k)) {
                for (depth, columns) in [(0, 1), (7, tile.columns()), (9, tile.columns() - 1)] {
                    let (taps, width) = (3, tile.columns());
                    let a = fill(taps * m * depth, 1);
                    let b = fill(taps * depth * width, 2);
                    let (bias, residual) = (fill(columns, 3), fill(m * columns + 1, 4));
                    let bounds = [-0.5, 0.75];
                    // Taps in reverse, to see that the offsets are used.
                    let offsets: Vec<_> =
                        (0..taps).map(|t| (taps - 1 - t) * depth * width).collect();
                    let rows: Vec<_> = (0..taps * m).map(|r| a[r * depth..].as_ptr()).collect();
                    let mut c = vec![f32::NAN; m * columns + 1];
                    let start = c.as_mut_ptr();
                    let out: Vec<_> = (0..m).map(|r| start.wrapping_add(r * columns)).collect();
                    let added: Vec<_> = (0..m).map(|r| residual[r * columns..].as_ptr()).collect();
                    let job = Dot {
                        taps,
                        depth,
                        rows: rows.as_ptr(),
                        offsets: offsets.as_ptr(),
                        panel: b.as_ptr(),
                        out: out.as_ptr(),
                        column: 1,
                        columns,
                        bias: bias.as_ptr(),
                        residual: added.as_ptr(),
                        bounds,
                    };
                    // SAFETY: everything has the length that the job says; the CPU has the tile's ISA.
                    unsafe { kernel(&job) };
                    let expected: Vec<f64> = (0..m * columns)
                        .map(|i| {
                            let (r, j) = (i / columns, i % columns);
                            let term = |t: usize, k: usize| {
                                f64::from(a[(t * m + r) * depth + k])
                                    * f64::from(b[offsets[t] + k * width + j])
                            };
                            let sum =
                                (0..taps * depth).map(|x| term(x / depth, x % depth)).sum::<f64>()
                                    + f64::from(bias[j])
                                    + f64::from(residual[i + 1]);
                            sum.clamp(bounds[0].into(), bounds[1].into())
                        })
                        .collect();
                    assert!(c[0].is_nan());
                    assert!(relative_error(&c[1..], &expected) < 1e-5, "{tile:?} {m} {depth}");
                }
            }
        }
    }
}

//! The matrix product of the `gemm` crate, on checked slices and one thread.

use gemm::Parallelism;

/// A matrix in a slice, with the distance between its rows and between its columns.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub data: &'a [f32],
    pub strides: [usize; 2],
}

/// c = a b, or c += a b where `accumulate`; a is m x k, b is k x n, and c is m x n with rows `c_stride`
/// apart.
pub(super) fn matmul(
    [m, n, k]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    c_stride: usize,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    let inside = |len: usize, [rows, columns]: [usize; 2], [row, column]: [usize; 2]| {
        rows == 0 || columns == 0 || (rows - 1) * row + (columns - 1) * column < len
    };
    assert!(
        inside(a.data.len(), [m, k], a.strides)
            && inside(b.data.len(), [k, n], b.strides)
            && inside(c.len(), [m, n], [c_stride, 1])
    );
    let stride = |s: usize| s as isize;
    // SAFETY: every element that the strides reach lies inside its slice, as just asserted.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            stride(c_stride),
            accumulate,
            a.data.as_ptr(),
            stride(a.strides[1]),
            stride(a.strides[0]),
            b.data.as_ptr(),
            stride(b.strides[1]),
            stride(b.strides[0]),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

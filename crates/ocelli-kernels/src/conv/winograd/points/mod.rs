//! The transforms along one axis: a correlation of R + 3 pixels with R weights, which makes four outputs,
//! evaluated at P = R + 3 points, is one product per point.
//!
//! y = Aᵀ [(G g) · (Bᵀ d)], after Winograd (1980) and Lavin and Gray ("Fast Algorithms for Convolutional
//! Neural Networks", 2016). Each kernel length has a file with its points.

mod f42;
mod f43;
mod f44;

pub(super) use f42::F42;
pub(super) use f43::F43;
pub(super) use f44::F44;

use crate::simd::Vector;

/// Transforms for kernels of R weights, with P points.
pub(super) trait Transforms<const P: usize, const R: usize> {
    const FAMILY: Family;

    /// Bᵀ d of the first M + R - 1 pixels; points that M does not use are unspecified.
    fn data<V: Vector, const M: usize>(d: [V; P]) -> [V; P];

    /// Aᵀ m: the first M values are the outputs.
    fn outputs<V: Vector, const M: usize>(m: [V; P]) -> [V; 4];

    /// A dy of the first M values, the transpose of [`outputs`](Self::outputs); points that M does not use
    /// are unspecified.
    fn gradient<V: Vector, const M: usize>(y: [V; 4]) -> [V; P];

    /// G g
    fn kernel<V: Vector>(g: [V; R]) -> [V; P];

    /// Gᵀ m, the transpose of [`kernel`](Self::kernel).
    fn kernel_gradient<V: Vector>(m: [V; P]) -> [V; R];
}

/// Which transforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    F42,
    F43,
    F44,
}

impl Family {
    /// Weights along an axis.
    pub const fn taps(self) -> usize {
        match self {
            Self::F42 => 2,
            Self::F43 => 3,
            Self::F44 => 4,
        }
    }

    /// Points along an axis.
    pub const fn points(self) -> usize {
        self.taps() + 3
    }

    /// Points of a tile.
    pub const fn all(self) -> usize {
        self.points() * self.points()
    }

    /// Whether there are transforms for tiles of fewer than four outputs.
    pub const fn has_tails(self) -> bool {
        !matches!(self, Self::F44)
    }

    /// Whether tiles of so many outputs use a point: as many as they have pixels, infinity among them.
    pub const fn uses(self, outputs: usize, point: usize) -> bool {
        point + 1 == self.points() || point + 2 < outputs + self.taps()
    }
}

/// Calls a function that is generic over the transforms with those of a family.
macro_rules! by_family {
    ($family:expr, $function:ident [$($generic:tt),*] $arguments:tt) => {
        match $family {
            Family::F42 => $function::<$($generic,)* F42, 5, 2> $arguments,
            Family::F43 => $function::<$($generic,)* F43, 6, 3> $arguments,
            Family::F44 => $function::<$($generic,)* F44, 7, 4> $arguments,
        }
    };
}
pub(super) use by_family;

/// Calls a function that is generic over the outputs of a tile, rows and columns, with their values.
macro_rules! by_size {
    ($rows:expr, $columns:expr, $function:ident [$($generic:tt),*] $arguments:tt) => {
        match ($rows, $columns) {
            (4, 4) => $function::<$($generic,)* 4, 4> $arguments,
            (4, 3) => $function::<$($generic,)* 4, 3> $arguments,
            (4, _) => $function::<$($generic,)* 4, 2> $arguments,
            (3, 4) => $function::<$($generic,)* 3, 4> $arguments,
            (3, 3) => $function::<$($generic,)* 3, 3> $arguments,
            (3, _) => $function::<$($generic,)* 3, 2> $arguments,
            (_, 4) => $function::<$($generic,)* 2, 4> $arguments,
            (_, 3) => $function::<$($generic,)* 2, 3> $arguments,
            _ => $function::<$($generic,)* 2, 2> $arguments,
        }
    };
}
pub(super) use by_size;

#[inline(always)]
fn times<V: Vector>(factor: f32, a: V) -> V {
    // SAFETY: `a` exists, so the CPU has its instruction set.
    a.mul(unsafe { V::splat(factor) })
}

/// factor * a + b
#[inline(always)]
fn plus<V: Vector>(factor: f32, a: V, b: V) -> V {
    // SAFETY: as above.
    a.mul_add(unsafe { V::splat(factor) }, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;
    use crate::testing::{fill, relative_error, widen};

    fn vectors<const N: usize>(seed: u64) -> ([Portable; N], Vec<f32>) {
        let values = fill(N, seed);
        // SAFETY: every CPU has it.
        (std::array::from_fn(|i| unsafe { Portable::splat(values[i]) }), values)
    }

    fn value(v: Portable) -> f32 {
        let mut lanes = [0.0; 4];
        // SAFETY: four values.
        unsafe { v.store(lanes.as_mut_ptr()) };
        lanes[0]
    }

    /// Products at the points that M uses; NaN elsewhere, which must not be read.
    fn products<const M: usize, const P: usize>(
        family: Family,
        a: [Portable; P],
        b: [Portable; P],
    ) -> [Portable; P] {
        // SAFETY: every CPU has it.
        let nan = unsafe { Portable::splat(f32::NAN) };
        std::array::from_fn(|p| if family.uses(M, p) { a[p].mul(b[p]) } else { nan })
    }

    fn check<F: Transforms<P, R>, const P: usize, const R: usize, const M: usize>() {
        let family = F::FAMILY;
        assert_eq!([family.points(), family.taps()], [P, R]);
        for seed in 0..20 {
            let (d, pixels) = vectors::<P>(3 * seed);
            let (g, weights) = vectors::<R>(3 * seed + 1);
            let (dy, slopes) = vectors::<4>(3 * seed + 2);
            let [pixels, weights, slopes] = [pixels, weights, slopes].map(|v| widen(&v));

            let y = F::outputs::<_, M>(products::<M, P>(family, F::data::<_, M>(d), F::kernel(g)))
                .map(value);
            let expected: Vec<f64> =
                (0..M).map(|i| (0..R).map(|t| pixels[i + t] * weights[t]).sum()).collect();
            assert!(relative_error(&y[..M], &expected) < 1e-5, "{M}");

            let mut at = products::<M, P>(family, F::data::<_, M>(d), F::gradient::<_, M>(dy));
            for (p, at) in at.iter_mut().enumerate().filter(|(p, _)| !family.uses(M, *p)) {
                // SAFETY: every CPU has it.
                *at = unsafe { Portable::splat(0.0) };
                assert!(p + 1 < P && M < 4);
            }
            let dw = F::kernel_gradient(at).map(value);
            let expected: Vec<f64> =
                (0..R).map(|t| (0..M).map(|i| pixels[i + t] * slopes[i]).sum()).collect();
            assert!(relative_error(&dw, &expected) < 2e-5, "{M}");
        }
    }

    #[test]
    fn every_tile_is_a_correlation_and_its_gradient() {
        check::<F42, 5, 2, 4>();
        check::<F42, 5, 2, 3>();
        check::<F42, 5, 2, 2>();
        check::<F43, 6, 3, 4>();
        check::<F43, 6, 3, 3>();
        check::<F43, 6, 3, 2>();
        check::<F44, 7, 4, 4>();
    }
}

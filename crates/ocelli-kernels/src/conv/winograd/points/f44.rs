//! F(4, 4): the points are ±1/3, ±1, ±2 and infinity. Tiles of fewer outputs are computed in full.

use super::{Family, Transforms, plus, times};
use crate::simd::Vector;

/// The finite points in pairs ±p, and their squares.
const P: [f32; 3] = [1.0 / 3.0, 1.0, 2.0];
const S: [f32; 3] = [P[0] * P[0], P[1] * P[1], P[2] * P[2]];
/// What the other points make of the polynomials at each.
const N: [f32; 3] = [at(0), at(1), at(2)];

const fn at(i: usize) -> f32 {
    2.0 * P[i] * (S[i] - S[(i + 1) % 3]) * (S[i] - S[(i + 2) % 3])
}

pub(in super::super) struct F44;

impl Transforms<7, 4> for F44 {
    const FAMILY: Family = Family::F44;

    #[inline(always)]
    fn data<V: Vector, const M: usize>(d: [V; 7]) -> [V; 7] {
        let mut points = d;
        for i in 0..3 {
            let (q, r) = (S[(i + 1) % 3], S[(i + 2) % 3]);
            let even = plus(q * r, d[0], plus(-q - r, d[2], d[4]));
            let odd = plus(q * r, d[1], plus(-q - r, d[3], d[5]));
            points[2 * i] = plus(P[i], even, odd);
            points[2 * i + 1] = plus(-P[i], even, odd);
        }
        let [one, two, three] =
            [S[0] + S[1] + S[2], S[0] * S[1] + S[0] * S[2] + S[1] * S[2], S[0] * S[1] * S[2]];
        points[6] = plus(-three, d[0], plus(two, d[2], plus(-one, d[4], d[6])));
        points
    }

    #[inline(always)]
    fn outputs<V: Vector, const M: usize>(m: [V; 7]) -> [V; 4] {
        // No closures: LLVM does not inline them everywhere.
        let (a, b, c) = (m[0].add(m[1]), m[2].add(m[3]), m[4].add(m[5]));
        let (d, e, f) = (m[0].sub(m[1]), m[2].sub(m[3]), m[4].sub(m[5]));
        [
            a.add(b).add(c),
            plus(P[2], f, plus(P[0], d, e)),
            plus(S[2], c, plus(S[0], a, b)),
            plus(S[2] * P[2], f, plus(S[0] * P[0], d, e.add(m[6]))),
        ]
    }

    #[inline(always)]
    fn gradient<V: Vector, const M: usize>(y: [V; 4]) -> [V; 7] {
        let mut points = [y[3]; 7];
        for i in 0..3 {
            let even = plus(S[i], y[2], y[0]);
            let odd = plus(S[i] * P[i], y[3], times(P[i], y[1]));
            points[2 * i] = even.add(odd);
            points[2 * i + 1] = even.sub(odd);
        }
        points
    }

    #[inline(always)]
    fn kernel<V: Vector>(g: [V; 4]) -> [V; 7] {
        let mut points = [g[3]; 7];
        for i in 0..3 {
            let even = plus(S[i] / N[i], g[2], times(1.0 / N[i], g[0]));
            let odd = plus(S[i] * P[i] / N[i], g[3], times(P[i] / N[i], g[1]));
            points[2 * i] = odd.add(even);
            points[2 * i + 1] = odd.sub(even);
        }
        points
    }

    #[inline(always)]
    fn kernel_gradient<V: Vector>(m: [V; 7]) -> [V; 4] {
        let (a, b, c) = (m[0].add(m[1]), m[2].add(m[3]), m[4].add(m[5]));
        let (d, e, f) = (m[0].sub(m[1]), m[2].sub(m[3]), m[4].sub(m[5]));
        let (a, b, c) = (times(1.0 / N[0], a), times(1.0 / N[1], b), times(1.0 / N[2], c));
        let (d, e, f) = (times(1.0 / N[0], d), times(1.0 / N[1], e), times(1.0 / N[2], f));
        [
            d.add(e).add(f),
            plus(P[0], a, plus(P[2], c, b)),
            plus(S[0], d, plus(S[2], f, e)),
            plus(S[0] * P[0], a, plus(S[2] * P[2], c, b.add(m[6]))),
        ]
    }
}

//! F(4, 3): the points are 0, ±3/4, ±3/2 and infinity. As many operations as with the usual 0, ±1, ±2 and
//! infinity, and a third of the largest error.
//!
//! Tiles of M = 3 or 2 outputs at the end of an axis use the first M + 1 of the points and infinity. Their
//! weights would be normalised otherwise; that ratio stands in their data transform instead, so that one
//! transformed kernel serves all tiles.

use super::{Family, Transforms, plus, times};
use crate::simd::Vector;

const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// What the other points make of the polynomials at 0, ±A and ±B.
const AT_0: f32 = A2 * B2;
const AT_A: f32 = 2.0 * A2 * (A2 - B2);
const AT_B: f32 = 2.0 * B2 * (B2 - A2);

pub(in super::super) struct F43;

impl Transforms<6, 3> for F43 {
    const FAMILY: Family = Family::F43;

    #[inline(always)]
    fn data<V: Vector, const M: usize>(d: [V; 6]) -> [V; 6] {
        match M {
            4 => {
                let (even_b, odd_b) = (plus(-B2, d[2], d[4]), plus(-B2, d[1], d[3]));
                let (even_a, odd_a) = (plus(-A2, d[2], d[4]), plus(-A2, d[1], d[3]));
                [
                    plus(AT_0, d[0], plus(-A2 - B2, d[2], d[4])),
                    plus(A, odd_b, even_b),
                    plus(-A, odd_b, even_b),
                    plus(B, odd_a, even_a),
                    plus(-B, odd_a, even_a),
                    plus(AT_0, d[1], plus(-A2 - B2, d[3], d[5])),
                ]
            }
            3 => [
                times(B, plus(A2 * B, d[0], plus(-A2, d[1], plus(-B, d[2], d[3])))),
                times(A + B, plus(-A * B, d[1], plus(A - B, d[2], d[3]))),
                times(B - A, plus(A * B, d[1], plus(-A - B, d[2], d[3]))),
                times(2.0 * B, plus(-A2, d[1], d[3])),
                d[0],
                plus(A2 * B, d[1], plus(-A2, d[2], plus(-B, d[3], d[4]))),
            ],
            _ => [
                times(-B2, plus(-A2, d[0], d[2])),
                times(A2 - B2, plus(A, d[1], d[2])),
                times(A2 - B2, plus(-A, d[1], d[2])),
                d[0],
                d[0],
                plus(-A2, d[1], d[3]),
            ],
        }
    }

    #[inline(always)]
    fn outputs<V: Vector, const M: usize>(m: [V; 6]) -> [V; 4] {
        let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
        match M {
            4 => {
                let (sum_b, difference_b) = (m[3].add(m[4]), m[3].sub(m[4]));
                [
                    m[0].add(sum).add(sum_b),
                    plus(B, difference_b, times(A, difference)),
                    plus(B2, sum_b, times(A2, sum)),
                    plus(B2 * B, difference_b, plus(A2 * A, difference, m[5])),
                ]
            }
            3 => [
                m[0].add(sum).add(m[3]),
                plus(B, m[3], times(A, difference)),
                plus(A2, sum, plus(B2, m[3], m[5])),
                sum,
            ],
            _ => [m[0].add(sum), plus(A, difference, m[5]), sum, sum],
        }
    }

    #[inline(always)]
    fn gradient<V: Vector, const M: usize>(y: [V; 4]) -> [V; 6] {
        match M {
            4 => {
                let (even_a, odd_a) = (plus(A2, y[2], y[0]), plus(A2 * A, y[3], times(A, y[1])));
                let (even_b, odd_b) = (plus(B2, y[2], y[0]), plus(B2 * B, y[3], times(B, y[1])));
                [
                    y[0],
                    even_a.add(odd_a),
                    even_a.sub(odd_a),
                    even_b.add(odd_b),
                    even_b.sub(odd_b),
                    y[3],
                ]
            }
            3 => {
                let even = plus(A2, y[2], y[0]);
                let at_b = plus(B2, y[2], plus(B, y[1], y[0]));
                [y[0], plus(A, y[1], even), plus(-A, y[1], even), at_b, y[0], y[2]]
            }
            _ => [y[0], plus(A, y[1], y[0]), plus(-A, y[1], y[0]), y[0], y[0], y[1]],
        }
    }

    #[inline(always)]
    fn kernel<V: Vector>(g: [V; 3]) -> [V; 6] {
        let even_a = times(1.0 / AT_A, plus(A2, g[2], g[0]));
        let even_b = times(1.0 / AT_B, plus(B2, g[2], g[0]));
        [
            times(1.0 / AT_0, g[0]),
            plus(A / AT_A, g[1], even_a),
            plus(-A / AT_A, g[1], even_a),
            plus(B / AT_B, g[1], even_b),
            plus(-B / AT_B, g[1], even_b),
            g[2],
        ]
    }

    #[inline(always)]
    fn kernel_gradient<V: Vector>(m: [V; 6]) -> [V; 3] {
        let (sum_a, difference_a) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum_b, difference_b) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            plus(1.0 / AT_0, m[0], plus(1.0 / AT_A, sum_a, times(1.0 / AT_B, sum_b))),
            plus(A / AT_A, difference_a, times(B / AT_B, difference_b)),
            plus(A2 / AT_A, sum_a, plus(B2 / AT_B, sum_b, m[5])),
        ]
    }
}

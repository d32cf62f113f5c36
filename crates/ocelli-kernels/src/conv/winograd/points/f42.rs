//! F(4, 2): the points are ±2/5, ±6/5 and infinity, with a quarter of the error of 0, ±1, 2 and infinity.
//!
//! Tiles of M = 3 or 2 outputs use the first M of the points and infinity, as in F(4, 3).

use super::{Family, Transforms, plus, times};
use crate::simd::Vector;

const A: f32 = 0.4;
const B: f32 = 1.2;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// What the other points make of the polynomials at A and B.
const AT_A: f32 = 2.0 * A * (A2 - B2);
const AT_B: f32 = 2.0 * B * (B2 - A2);

pub(in super::super) struct F42;

impl Transforms<5, 2> for F42 {
    const FAMILY: Family = Family::F42;

    #[inline(always)]
    fn data<V: Vector, const M: usize>(d: [V; 5]) -> [V; 5] {
        match M {
            4 => {
                let (odd_b, even_b) = (plus(-B2, d[1], d[3]), plus(-B2, d[0], d[2]));
                let (odd_a, even_a) = (plus(-A2, d[1], d[3]), plus(-A2, d[0], d[2]));
                [
                    plus(A, even_b, odd_b),
                    plus(-A, even_b, odd_b),
                    plus(B, even_a, odd_a),
                    plus(-B, even_a, odd_a),
                    plus(A2 * B2, d[0], plus(-A2 - B2, d[2], d[4])),
                ]
            }
            3 => [
                times(A + B, plus(-A * B, d[0], plus(A - B, d[1], d[2]))),
                times(B - A, plus(A * B, d[0], plus(-A - B, d[1], d[2]))),
                times(2.0 * B, plus(-A2, d[0], d[2])),
                d[0],
                plus(A2 * B, d[0], plus(-A2, d[1], plus(-B, d[2], d[3]))),
            ],
            _ => [
                times(A2 - B2, plus(A, d[0], d[1])),
                times(A2 - B2, plus(-A, d[0], d[1])),
                d[0],
                d[0],
                plus(-A2, d[0], d[2]),
            ],
        }
    }

    #[inline(always)]
    fn outputs<V: Vector, const M: usize>(m: [V; 5]) -> [V; 4] {
        let (sum, difference) = (m[0].add(m[1]), m[0].sub(m[1]));
        match M {
            4 => {
                let (sum_b, difference_b) = (m[2].add(m[3]), m[2].sub(m[3]));
                [
                    sum.add(sum_b),
                    plus(B, difference_b, times(A, difference)),
                    plus(B2, sum_b, times(A2, sum)),
                    plus(B2 * B, difference_b, plus(A2 * A, difference, m[4])),
                ]
            }
            3 => [
                sum.add(m[2]),
                plus(B, m[2], times(A, difference)),
                plus(B2, m[2], plus(A2, sum, m[4])),
                sum,
            ],
            _ => [sum, plus(A, difference, m[4]), sum, sum],
        }
    }

    #[inline(always)]
    fn gradient<V: Vector, const M: usize>(y: [V; 4]) -> [V; 5] {
        match M {
            4 => {
                let (even_a, odd_a) = (plus(A2, y[2], y[0]), plus(A2 * A, y[3], times(A, y[1])));
                let (even_b, odd_b) = (plus(B2, y[2], y[0]), plus(B2 * B, y[3], times(B, y[1])));
                [even_a.add(odd_a), even_a.sub(odd_a), even_b.add(odd_b), even_b.sub(odd_b), y[3]]
            }
            3 => {
                let even = plus(A2, y[2], y[0]);
                let at_b = plus(B2, y[2], plus(B, y[1], y[0]));
                [plus(A, y[1], even), plus(-A, y[1], even), at_b, y[0], y[2]]
            }
            _ => [plus(A, y[1], y[0]), plus(-A, y[1], y[0]), y[0], y[0], y[1]],
        }
    }

    #[inline(always)]
    fn kernel<V: Vector>(g: [V; 2]) -> [V; 5] {
        let (even_a, odd_a) = (times(1.0 / AT_A, g[0]), times(A / AT_A, g[1]));
        let (even_b, odd_b) = (times(1.0 / AT_B, g[0]), times(B / AT_B, g[1]));
        [odd_a.add(even_a), odd_a.sub(even_a), odd_b.add(even_b), odd_b.sub(even_b), g[1]]
    }

    #[inline(always)]
    fn kernel_gradient<V: Vector>(m: [V; 5]) -> [V; 2] {
        let (sum_a, difference_a) = (m[0].add(m[1]), m[0].sub(m[1]));
        let (sum_b, difference_b) = (m[2].add(m[3]), m[2].sub(m[3]));
        [
            plus(1.0 / AT_A, difference_a, times(1.0 / AT_B, difference_b)),
            plus(A / AT_A, sum_a, plus(B / AT_B, sum_b, m[4])),
        ]
    }
}

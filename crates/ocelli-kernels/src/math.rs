//! Elementary functions that the compiler can vectorise: no calls, no branches, no tables.

/// e^x to about one unit in the last place; 0 below -86.6, infinity above 88.7, NaN for NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; a degree-6 minimax polynomial of r, scaled by 2^n.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -86.64;
    const HIGHEST: f32 = 88.722_84;
    /// Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; the first has few bits, so its product with n is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let bounded = if x < LOWEST { LOWEST } else { x };
    let bounded = if bounded > HIGHEST { HIGHEST } else { bounded };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (bounded - n * LN2_HIGH) - n * LN2_LOW;
    let p = 1.394_619e-3 + r * 1.991_797_3e-4;
    let p = 8.333_265e-3 + r * p;
    let p = 4.166_627e-2 + r * p;
    let p = 1.666_666_7e-1 + r * p;
    let p = 0.5 + r * p;
    let p = 1.0 + (r + r * r * p);
    // n reaches 128, which has no normal float: scale by 2^(n-1), then by 2.
    let half = f32::from_bits(shifted.to_bits().wrapping_add(126) << 23);
    let value = p * half * 2.0;
    let value = if x < LOWEST { 0.0 } else { value };
    if x > HIGHEST { f32::INFINITY } else { value }
}

/// s = 1 / (1 + e^-x) and 1 - s, both to full relative accuracy.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> (f32, f32) {
    let e = exp(-x.abs());
    let (near, far) = (1.0 / (1.0 + e), e / (1.0 + e));
    if x < 0.0 { (far, near) } else { (near, far) }
}

/// The standard normal distribution function at x and its density: (Φ(x), φ(x)).
///
/// Φ(-a) = e^(-a²/2) s Q(s) with s = 1 / (1 + 0.3 a), Q a degree-8 fit of relative error 4e-7: the
/// form of Abramowitz and Stegun 26.2.17, with more terms. Both tails keep their relative accuracy.
#[inline(always)]
pub(crate) fn normal(x: f32) -> (f32, f32) {
    const DENSITY: f32 = 0.398_942_3;
    let a = x.abs();
    let e = exp(-0.5 * a * a);
    let s = 1.0 / (1.0 + 0.3 * a);
    let q = -4.025_543e-2 + s * 1.663_404e-2;
    let q = -1.117_074_8e-2 + s * q;
    let q = 5.241_508_8e-2 + s * q;
    let q = 4.319_102_7e-2 + s * q;
    let q = 9.144_506e-2 + s * q;
    let q = 1.083_394_1e-1 + s * q;
    let q = 1.197_198_9e-1 + s * q;
    let q = 1.196_818_4e-1 + s * q;
    let tail = e * s * q;
    (if x < 0.0 { tail } else { 1.0 - tail }, DENSITY * e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for i in -86_600..88_700 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.4e-7, "exp({x}): relative error {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sigmoid_keeps_both_tails() {
        for (x, expected) in
            [(0.0, 0.5), (2.0, 0.880_797_1), (-2.0, 0.119_202_92), (-80.0, 1.804_851_4e-35)]
        {
            let (s, rest) = sigmoid(x);
            assert!((s - expected).abs() <= 3e-7 * expected, "sigmoid({x}) = {s}");
            assert_eq!(sigmoid(-x), (rest, s));
        }
        assert_eq!(sigmoid(200.0), (1.0, 0.0));
        assert!(sigmoid(f32::NAN).0.is_nan());
    }

    #[test]
    fn the_normal_distribution_has_its_tabulated_values() {
        let table = [
            (0.0, 0.5),
            (1.0, 0.841_344_8),
            (-1.0, 0.158_655_25),
            (-3.0, 1.349_898e-3),
            (-6.0, 9.865_876e-10),
        ];
        for (x, expected) in table {
            let (p, _) = normal(x);
            assert!((p - expected).abs() < 3e-6 * expected, "Φ({x}) = {p}, expected {expected}");
        }
        assert!((normal(1.0).1 - 0.241_970_72).abs() < 1e-7);
        assert!(normal(f32::NAN).0.is_nan());
        assert_eq!((normal(f32::INFINITY).0, normal(f32::NEG_INFINITY).0), (1.0, 0.0));
    }
}

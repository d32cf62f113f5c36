//! The few ways in which transforms draw random numbers. None of them panics, whatever the parameters.

use ocelli_core::random::Stream;
use rand::Rng;
use rand_distr::{Beta, Distribution, StandardNormal};

/// Whether something of probability `p` happens.
pub(crate) fn happens(p: f64, random: &mut Stream) -> bool {
    random.random::<f64>() < p
}

/// A number between two others.
pub(crate) fn uniform([low, high]: [f64; 2], random: &mut Stream) -> f64 {
    low + (high - low) * random.random::<f64>()
}

/// A number between two others whose logarithm is uniform, as aspect ratios are drawn.
pub(crate) fn log_uniform(range: [f64; 2], random: &mut Stream) -> f64 {
    uniform(range.map(f64::ln), random).exp()
}

/// One of 0, 1, ... `count - 1`; 0 where there is none.
pub(crate) fn index(count: usize, random: &mut Stream) -> usize {
    // A fixed width: usize would draw other numbers on a 32-bit machine.
    random.random_range(0..count.max(1) as u64) as usize
}

/// A standard normal number.
pub(crate) fn normal(random: &mut Stream) -> f32 {
    StandardNormal.sample(random)
}

/// A number from Beta(alpha, alpha); 1 where alpha is not a positive number.
pub(crate) fn beta(alpha: f64, random: &mut Stream) -> f64 {
    let drawn = Beta::new(alpha, alpha).map_or(1.0, |beta| beta.sample(random));
    // With a tiny alpha both gammas may vanish.
    if drawn.is_finite() { drawn } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stream;

    const DRAWS: usize = 20_000;

    fn mean(mut draw: impl FnMut(&mut Stream) -> f64) -> f64 {
        let mut random = stream(1);
        (0..DRAWS).map(|_| draw(&mut random)).sum::<f64>() / DRAWS as f64
    }

    /// Bounds are four standard errors, sd / sqrt(20,000) each.
    #[test]
    fn draws_have_the_right_mean_and_spread() {
        let near = |value: f64, expected: f64, error: f64| {
            assert!((value - expected).abs() < 4.0 * error, "{value}")
        };
        near(mean(|random| f64::from(happens(0.3, random))), 0.3, 0.0032); // sqrt(0.21) / 141.4
        near(mean(|random| uniform([2.0, 6.0], random)), 4.0, 0.0082); // 4 / sqrt(12) / 141.4
        near(mean(|random| log_uniform([0.5, 2.0], random).ln()), 0.0, 0.0028); // 2 ln 2 / sqrt(12) / 141.4
        near(mean(|random| index(5, random) as f64), 2.0, 0.01); // sqrt(2) / 141.4
        near(mean(|random| f64::from(normal(random))), 0.0, 0.0071);
        near(mean(|random| f64::from(normal(random)).powi(2)), 1.0, 0.01); // sqrt(2) / 141.4
        // Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
        for alpha in [0.2, 1.0, 8.0] {
            let variance = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            near(mean(|random| beta(alpha, random)), 0.5, variance.sqrt() / 141.4);
            near(
                mean(|random| (beta(alpha, random) - 0.5).powi(2)),
                variance,
                variance / 141.4 * 1.5,
            );
        }
    }

    #[test]
    fn senseless_parameters_do_not_panic() {
        let random = &mut stream(2);
        assert!(!happens(f64::NAN, random));
        assert_eq!(index(0, random), 0);
        for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!((0.0..=1.0).contains(&beta(alpha, random)), "{alpha}");
        }
    }

    /// The values are pinned: a change would change every run.
    #[test]
    fn draws_are_pinned() {
        let random = &mut stream(3);
        let drawn =
            (beta(0.4, random), normal(random), index(1000, random), uniform([0.0, 1.0], random));
        assert_eq!(drawn, (0.15016393908621684, -0.4322695, 486, 0.685202183531394));
    }
}

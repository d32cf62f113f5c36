//! How kernels are tested, for this crate and for those above it: reproducible data, error measures,
//! finite differences, and slow reference operations in f64.
//!
//! ```
//! use ocelli_kernels::testing::{fill, gradient_error, widen};
//!
//! // y = sum of x², dy/dx = 2x
//! let x = fill(10, 1);
//! let gradient: Vec<f32> = x.iter().map(|v| 2.0 * v).collect();
//! let loss = |x: &[f64]| x.iter().map(|v| v * v).sum();
//! assert!(gradient_error(&widen(&x), &gradient, 10, loss) < 1e-5);
//! ```

mod conv;

pub use conv::{conv_backward_input, conv_backward_weight, conv_forward};

/// A small reproducible source of random numbers (SplitMix64: Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1), on a grid of 2^-23.
    pub fn symmetric(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Uniform in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound.max(1) as u64) as usize
    }
}

/// `len` numbers uniform in [-1, 1), the same for the same seed.
pub fn fill(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    (0..len).map(|_| rng.symmetric()).collect()
}

/// The same numbers in f64.
pub fn widen(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// The largest difference from `expected`, in units of its root mean square (of 1 where that is 0).
///
/// # Panics
/// If the lengths differ.
pub fn relative_error(got: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len(), "length of the result");
    let mean_square = expected.iter().map(|e| e * e).sum::<f64>() / expected.len().max(1) as f64;
    let scale = if mean_square > 0.0 { mean_square.sqrt() } else { 1.0 };
    // A NaN must not pass for a small error, as it would with f64::max.
    let worst = |worst: f64, e: f64| if e > worst || e.is_nan() { e } else { worst };
    got.iter().zip(expected).map(|(&g, &e)| (f64::from(g) - e).abs()).fold(0.0, worst) / scale
}

/// Checks a hand-written gradient against central finite differences of `loss` in f64.
///
/// Takes up to `samples` coordinates spread over `at` (all of them if there are no more), and returns
/// the largest difference in units of the root mean square of the differences.
///
/// # Panics
/// If the lengths of `at` and `gradient` differ.
pub fn gradient_error(
    at: &[f64],
    gradient: &[f32],
    samples: usize,
    mut loss: impl FnMut(&[f64]) -> f64,
) -> f64 {
    const STEP: f64 = 1e-4;
    assert_eq!(at.len(), gradient.len(), "length of the gradient");
    let mut x = at.to_vec();
    let count = samples.min(x.len());
    let (mut got, mut expected) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for sample in 0..count {
        let i = sample * x.len() / count;
        x[i] = at[i] + STEP;
        let above = loss(&x);
        x[i] = at[i] - STEP;
        let below = loss(&x);
        x[i] = at[i];
        got.push(gradient[i]);
        expected.push((above - below) / (2.0 * STEP));
    }
    relative_error(&got, &expected)
}

/// Runs `work` on a thread pool of its own with the given number of threads.
///
/// # Panics
/// If the threads cannot be started.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    match pool {
        Ok(pool) => pool.install(work),
        Err(error) => panic!("no pool of {threads} threads: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_is_reproducible_and_centred() {
        let x = fill(10_000, 7);
        assert_eq!(x, fill(10_000, 7));
        assert_ne!(x[..100], fill(100, 8));
        assert!(x.iter().all(|v| (-1.0..1.0).contains(v)));
        assert!(x.iter().sum::<f32>().abs() < 200.0);
    }

    #[test]
    fn a_nan_is_never_a_small_error() {
        assert!(relative_error(&[f32::NAN, 1.0], &[1.0, 1.0]).is_nan());
        assert!(relative_error(&[1.0, f32::NAN, 5.0], &[1.0, 1.0, 1.0]).is_nan());
        assert_eq!(relative_error(&[1.5, 1.0], &[1.0, 1.0]), 0.5);
    }

    #[test]
    fn a_wrong_gradient_is_seen() {
        let at = widen(&fill(8, 3));
        let cube = |x: &[f64]| x.iter().map(|v| v * v * v).sum::<f64>();
        let right: Vec<f32> = at.iter().map(|v| (3.0 * v * v) as f32).collect();
        let wrong: Vec<f32> = right.iter().map(|v| v * 1.01).collect();
        assert!(gradient_error(&at, &right, 8, cube) < 1e-6);
        assert!(gradient_error(&at, &wrong, 8, cube) > 1e-3);
    }
}

//! Seeded streams of random numbers, one for each thing that is random.
//!
//! A stream is keyed by what it is for, (seed, purpose, a, b), and not by who asks first. So the
//! numbers an image meets do not depend on the number of threads, and a resumed run continues as if it
//! had never stopped. The generator is ChaCha8, which is counter-based; its version is pinned, because
//! another version could give another stream.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for. Two purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; keyed by the parameter's name.
    Init = 1,
    /// The order of an epoch; keyed by (epoch).
    Order = 2,
    /// Augmentation of one image; keyed by (epoch, sample).
    Sample = 3,
    /// Changes of a whole batch; keyed by (step).
    Batch = 4,
    /// Dropout and drop-path; keyed by (step, layer path).
    Layer = 5,
    /// Splitting a dataset.
    Split = 6,
    /// Drawing synthetic pictures; keyed by (class, picture).
    Picture = 7,
}

/// A stream of random numbers. It implements [`rand::RngCore`], so [`rand::Rng`]'s methods work on it.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream for (`seed`, `purpose`, `a`, `b`).
    pub fn new(seed: u64, purpose: Purpose, a: u64, b: u64) -> Self {
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, a, b]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }
}

impl RngCore for Stream {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// A number for a name, to key a stream with: FNV-1a, 64 bits.
pub fn key_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are pinned: a change would change every run.
    #[test]
    fn streams_are_pinned_and_distinct() {
        let first = |seed, purpose, a, b| Stream::new(seed, purpose, a, b).next_u64();
        assert_eq!(first(7, Purpose::Sample, 1, 2), 10_740_351_444_531_382_768);
        assert_eq!(first(0, Purpose::Sample, 1, 2), first(0, Purpose::Sample, 1, 2));
        let others = [
            first(1, Purpose::Sample, 1, 2),
            first(0, Purpose::Order, 1, 2),
            first(0, Purpose::Sample, 2, 1),
        ];
        assert!(others.iter().all(|&other| other != first(0, Purpose::Sample, 1, 2)));
        assert_eq!(key_of("layer1.0.conv1"), 0xf930_b143_d7fb_62d8);
    }
}

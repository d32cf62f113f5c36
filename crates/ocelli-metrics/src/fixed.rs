//! A sum that does not depend on the order of its terms.

use serde::{Deserialize, Serialize};

/// A sum of numbers in [0, 2^32) in units of 2^-64: integers add exactly, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FixedSum {
    whole: u64,
    /// In units of 2^-64. Apart from the whole because JSON readers have no 128-bit integers.
    fraction: u64,
}

impl FixedSum {
    pub fn add(&mut self, term: f64) {
        const UNIT: f64 = (1u128 << 64) as f64;
        self.merge(Self::from((term * UNIT) as u128));
    }

    pub fn merge(&mut self, other: Self) {
        *self = Self::from(u128::from(*self).saturating_add(u128::from(other)));
    }

    pub fn value(self) -> f64 {
        self.whole as f64 + self.fraction as f64 / (1u128 << 64) as f64
    }
}

impl From<u128> for FixedSum {
    fn from(bits: u128) -> Self {
        Self { whole: (bits >> 64) as u64, fraction: bits as u64 }
    }
}

impl From<FixedSum> for u128 {
    fn from(sum: FixedSum) -> Self {
        u128::from(sum.whole) << 64 | u128::from(sum.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_terms_does_not_matter() {
        let terms = [15.942_385, 1e-7, 0.1, 0.2, 0.3, 3.75];
        let (mut forward, mut backward) = (FixedSum::default(), FixedSum::default());
        terms.iter().for_each(|&t| forward.add(t));
        terms.iter().rev().for_each(|&t| backward.add(t));
        assert_eq!(forward, backward);
        assert!((forward.value() - terms.iter().sum::<f64>()).abs() < 1e-14);
    }
}

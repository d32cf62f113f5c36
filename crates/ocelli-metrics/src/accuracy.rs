//! The share of rows that are right: first choice, or among the first k.

use crate::error::{MetricsError, check_merge, check_rows};
use crate::rank::rank;
use serde::{Deserialize, Serialize};

/// Right rows among all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Rows that were right.
    pub correct: u64,
    /// All rows.
    pub count: u64,
}

impl Accuracy {
    /// Counts one row.
    pub fn add(&mut self, correct: bool) {
        self.correct = self.correct.saturating_add(u64::from(correct));
        self.count = self.count.saturating_add(1);
    }

    /// Adds the rows of another count.
    pub fn merge(&mut self, other: Self) {
        self.correct = self.correct.saturating_add(other.correct);
        self.count = self.count.saturating_add(other.count);
    }

    /// The share of right rows in [0, 1]; 0 when there are no rows.
    pub fn value(self) -> f64 {
        ratio(self.correct, self.count)
    }
}

/// Rows whose true class is among the k classes of highest score.
///
/// Of two equal scores the class with the lower index ranks first; a row with NaN is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopK {
    k: usize,
    accuracy: Accuracy,
}

impl TopK {
    /// Counts hits among the first `k`.
    pub fn new(k: usize) -> Self {
        Self { k, accuracy: Accuracy::default() }
    }

    /// Counts rows of `classes` scores each.
    ///
    /// # Errors
    /// [`MetricsError`] when lengths disagree or a target is no class.
    pub fn add_logits(
        &mut self,
        logits: &[f32],
        classes: usize,
        targets: &[u32],
    ) -> Result<(), MetricsError> {
        check_rows(logits, classes, targets)?;
        for (row, &target) in logits.chunks(classes.max(1)).zip(targets) {
            self.add_row(row, target as usize);
        }
        Ok(())
    }

    pub(crate) fn add_row(&mut self, scores: &[f32], target: usize) {
        self.accuracy.add(rank(scores, target).is_some_and(|rank| rank < self.k));
    }

    /// Adds the rows of another accumulator.
    ///
    /// # Errors
    /// [`MetricsError::Merge`] when it has another k.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        check_merge("k", self.k, other.k)?;
        self.accuracy.merge(other.accuracy);
        Ok(())
    }

    /// The k of top-k.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The counts.
    pub fn accuracy(&self) -> Accuracy {
        self.accuracy
    }
}

/// `part / whole`, 0 where there is nothing.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_among_the_first_two() {
        let mut top2 = TopK::new(2);
        let logits = [0.0, 2.0, 1.0, 5.0, 5.0, 5.0, f32::NAN, 9.0, 0.0];
        top2.add_logits(&logits, 3, &[2, 2, 1]).unwrap();
        // Second; third by index among equals; NaN.
        assert_eq!(top2.accuracy(), Accuracy { correct: 1, count: 3 });
        top2.merge(&top2.clone()).unwrap();
        assert_eq!(top2.accuracy().value(), 1.0 / 3.0);
        assert_eq!(
            top2.merge(&TopK::new(5)),
            Err(MetricsError::Merge { what: "k", found: 5, expected: 2 })
        );
    }

    #[test]
    fn nothing_counted_is_zero() {
        assert_eq!(Accuracy::default().value(), 0.0);
    }
}

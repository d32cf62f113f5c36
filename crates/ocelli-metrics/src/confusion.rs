//! How often each true class was taken for each class.

use crate::error::{MetricsError, check_merge};
use serde::{Deserialize, Serialize};

/// Counts of pairs (true class, predicted class).
///
/// A row may also have no prediction (its scores held NaN): it counts for its true class, in no column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "State")]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row-major: the true class is the row.
    counts: Vec<u64>,
    /// Rows without a prediction, by true class.
    unpredicted: Vec<u64>,
}

/// A saved matrix, before its lengths are known to be right.
#[derive(Deserialize)]
struct State {
    classes: usize,
    counts: Vec<u64>,
    unpredicted: Vec<u64>,
}

impl TryFrom<State> for ConfusionMatrix {
    type Error = MetricsError;

    fn try_from(State { classes, counts, unpredicted }: State) -> Result<Self, MetricsError> {
        let square = classes.saturating_mul(classes);
        for (found, expected) in [(counts.len(), square), (unpredicted.len(), classes)] {
            if found != expected {
                return Err(MetricsError::State { what: "confusion matrix", found, expected });
            }
        }
        Ok(Self { classes, counts, unpredicted })
    }
}

impl ConfusionMatrix {
    /// An empty matrix of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes], unpredicted: vec![0; classes] }
    }

    /// Counts one row.
    ///
    /// # Errors
    /// [`MetricsError::ClassOutOfRange`] when one of them is no class.
    pub fn add(&mut self, truth: usize, predicted: usize) -> Result<(), MetricsError> {
        self.check(truth)?;
        self.check(predicted)?;
        increment(&mut self.counts[truth * self.classes + predicted], 1);
        Ok(())
    }

    /// Counts one row for which there is no prediction.
    ///
    /// # Errors
    /// [`MetricsError::ClassOutOfRange`] when `truth` is no class.
    pub fn add_unpredicted(&mut self, truth: usize) -> Result<(), MetricsError> {
        self.check(truth)?;
        increment(&mut self.unpredicted[truth], 1);
        Ok(())
    }

    /// Adds the rows of another matrix.
    ///
    /// # Errors
    /// [`MetricsError::Merge`] when it has another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        check_merge("classes", self.classes, other.classes)?;
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, &n)| increment(sum, n));
        self.unpredicted.iter_mut().zip(&other.unpredicted).for_each(|(sum, &n)| increment(sum, n));
        Ok(())
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Rows of class `truth` taken for `predicted`; 0 where there is no such class.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        if truth.max(predicted) < self.classes {
            self.counts[truth * self.classes + predicted]
        } else {
            0
        }
    }

    /// All counts, row-major, the true class being the row.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Rows of class `truth`, with and without a prediction.
    pub fn support(&self, truth: usize) -> u64 {
        (0..self.classes)
            .map(|p| self.count(truth, p))
            .fold(self.unpredicted_of(truth), u64::saturating_add)
    }

    /// Rows taken for class `predicted`.
    pub fn predicted(&self, predicted: usize) -> u64 {
        (0..self.classes).map(|t| self.count(t, predicted)).fold(0, u64::saturating_add)
    }

    /// Rows without a prediction.
    pub fn unpredicted(&self) -> u64 {
        self.unpredicted.iter().copied().fold(0, u64::saturating_add)
    }

    /// Rows taken for what they are.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|c| self.count(c, c)).fold(0, u64::saturating_add)
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.counts.iter().copied().fold(self.unpredicted(), u64::saturating_add)
    }

    fn unpredicted_of(&self, truth: usize) -> u64 {
        self.unpredicted.get(truth).copied().unwrap_or(0)
    }

    fn check(&self, class: usize) -> Result<(), MetricsError> {
        if class < self.classes {
            return Ok(());
        }
        Err(MetricsError::ClassOutOfRange { row: 0, class, classes: self.classes })
    }
}

fn increment(sum: &mut u64, by: u64) {
    *sum = sum.saturating_add(by);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(2);
        for (truth, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
            matrix.add(truth, predicted).unwrap();
        }
        matrix.add_unpredicted(0).unwrap();
        matrix
    }

    #[test]
    fn rows_columns_and_diagonal() {
        let matrix = matrix();
        assert_eq!(matrix.counts(), [1, 1, 0, 2]);
        assert_eq!((matrix.support(0), matrix.support(1)), (3, 2));
        assert_eq!((matrix.predicted(0), matrix.predicted(1)), (1, 3));
        assert_eq!((matrix.correct(), matrix.unpredicted(), matrix.total()), (3, 1, 5));
        assert_eq!((matrix.count(2, 0), matrix.support(7), matrix.predicted(2)), (0, 0, 0));
    }

    #[test]
    fn a_class_that_does_not_exist_is_refused() {
        let mut matrix = matrix();
        let fault = MetricsError::ClassOutOfRange { row: 0, class: 2, classes: 2 };
        assert_eq!(matrix.add(0, 2), Err(fault.clone()));
        assert_eq!(matrix.add_unpredicted(2), Err(fault));
        let fault = MetricsError::Merge { what: "classes", found: 3, expected: 2 };
        assert_eq!(matrix.merge(&ConfusionMatrix::new(3)), Err(fault));
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let text = serde_json::to_string(&matrix()).unwrap();
        assert_eq!(serde_json::from_str::<ConfusionMatrix>(&text).unwrap(), matrix());
        let damaged = text.replace("\"classes\":2", "\"classes\":3");
        let message = serde_json::from_str::<ConfusionMatrix>(&damaged).unwrap_err().to_string();
        assert!(message.contains("4 counts where 9 are expected"), "{message}");
    }
}

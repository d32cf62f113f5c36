//! Precision, recall and F1, per class and averaged over classes.
//!
//! Where a denominator is 0 the score is 0 (scikit-learn's `zero_division=0`).

use crate::ConfusionMatrix;
use crate::accuracy::ratio;
use serde::{Deserialize, Serialize};

/// Precision, recall and F1 of one class, or averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Of the rows taken for the class, the share that belongs to it.
    pub precision: f64,
    /// Of the rows of the class, the share that was found.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
}

impl Scores {
    fn new(correct: u64, support: u64, predicted: u64) -> Self {
        Self {
            precision: ratio(correct, predicted),
            recall: ratio(correct, support),
            f1: ratio(correct.saturating_mul(2), support.saturating_add(predicted)),
        }
    }

    fn add(&mut self, other: Self, weight: f64) {
        self.precision += weight * other.precision;
        self.recall += weight * other.recall;
        self.f1 += weight * other.f1;
    }

    fn divided_by(self, divisor: f64) -> Self {
        Self {
            precision: self.precision / divisor,
            recall: self.recall / divisor,
            f1: self.f1 / divisor,
        }
    }
}

/// What is known about one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Rows of this class.
    pub support: u64,
    /// Rows taken for this class.
    pub predicted: u64,
    /// Of the rows taken for the class, the share that belongs to it.
    pub precision: f64,
    /// Of the rows of the class, the share that was found.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
}

/// How scores of classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Average {
    /// The mean over the classes that occur, in the truth or in a prediction.
    Macro,
    /// One score over all rows: the counts of all classes together.
    Micro,
    /// The mean over classes, weighted by their support.
    Weighted,
}

impl ConfusionMatrix {
    /// The scores of each class, in class order.
    pub fn scores(&self) -> Vec<ClassScores> {
        (0..self.classes())
            .map(|class| {
                let (support, predicted) = (self.support(class), self.predicted(class));
                let Scores { precision, recall, f1 } =
                    Scores::new(self.count(class, class), support, predicted);
                ClassScores { support, predicted, precision, recall, f1 }
            })
            .collect()
    }

    /// The scores of all classes as one.
    pub fn average(&self, average: Average) -> Scores {
        if average == Average::Micro {
            let predicted = self.total() - self.unpredicted();
            return Scores::new(self.correct(), self.total(), predicted);
        }
        let (mut sum, mut weights) = (Scores::default(), 0.0);
        for class in self.scores() {
            let weight = match average {
                Average::Weighted => class.support as f64,
                _ => f64::from(u8::from(class.support + class.predicted > 0)),
            };
            let ClassScores { precision, recall, f1, .. } = class;
            sum.add(Scores { precision, recall, f1 }, weight);
            weights += weight;
        }
        if weights == 0.0 { sum } else { sum.divided_by(weights) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_by_hand() {
        // Class 0: 2 rows, 1 found; class 1: 1 row, found; class 2 occurs nowhere.
        let mut matrix = ConfusionMatrix::new(3);
        for (truth, predicted) in [(0, 0), (0, 1), (1, 1)] {
            matrix.add(truth, predicted).unwrap();
        }
        let scores = matrix.scores();
        assert_eq!((scores[0].precision, scores[0].recall, scores[0].f1), (1.0, 0.5, 2.0 / 3.0));
        assert_eq!((scores[1].precision, scores[1].recall, scores[1].f1), (0.5, 1.0, 2.0 / 3.0));
        assert_eq!(scores[2], ClassScores::default());
        let expected = Scores { precision: 0.75, recall: 0.75, f1: 2.0 / 3.0 };
        assert_eq!(matrix.average(Average::Macro), expected);
        assert_eq!(matrix.average(Average::Micro).f1, 2.0 / 3.0);
        assert_eq!(matrix.average(Average::Weighted).precision, (2.0 + 0.5) / 3.0);
    }

    #[test]
    fn a_row_without_prediction_lowers_recall_and_not_precision() {
        let mut matrix = ConfusionMatrix::new(1);
        matrix.add(0, 0).unwrap();
        matrix.add_unpredicted(0).unwrap();
        let micro = matrix.average(Average::Micro);
        assert_eq!((micro.precision, micro.recall), (1.0, 0.5));
        assert_eq!(matrix.scores()[0].recall, 0.5);
    }

    #[test]
    fn nothing_counted_is_zero() {
        for average in [Average::Macro, Average::Micro, Average::Weighted] {
            assert_eq!(ConfusionMatrix::new(2).average(average), Scores::default());
        }
    }
}

//! All metrics of a classifier at once, from its logits.

use crate::error::{MetricsError, check_rows};
use crate::{Average, ClassScores, ConfusionMatrix, LogLoss, Scores, TopK, argmax};
use serde::{Deserialize, Serialize};

/// Accumulates every metric of [`Summary`]. Its state can be saved and resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classification {
    confusion: ConfusionMatrix,
    top5: TopK,
    log_loss: LogLoss,
}

/// What was counted, divided. Shares lie in [0, 1]; all of them are 0 when there are no rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Rows.
    pub count: u64,
    /// Rows whose true class ranked first.
    pub correct: u64,
    /// Rows with a NaN logit; they count as wrong.
    pub invalid: u64,
    /// The share of correct rows: the accuracy.
    pub top1: f64,
    /// The share of rows whose true class was among the first `min(5, classes)`.
    pub top5: f64,
    /// The mean of -ln p(true class) in nats.
    pub log_loss: f64,
    /// The mean over the classes that occur.
    pub macro_average: Scores,
    /// The mean over classes, weighted by their support.
    pub weighted_average: Scores,
    /// Over all rows at once; without invalid rows all three equal `top1`.
    pub micro_average: Scores,
    /// One entry per class, in class order.
    pub classes: Vec<ClassScores>,
}

impl Classification {
    /// Nothing counted yet, for so many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            confusion: ConfusionMatrix::new(classes),
            top5: TopK::new(classes.min(5)),
            log_loss: LogLoss::default(),
        }
    }

    /// Counts a batch: `logits` is `[N, classes]`, `targets` the N true classes.
    ///
    /// # Errors
    /// [`MetricsError`] when lengths disagree or a target is no class; then nothing is counted.
    pub fn add_logits(&mut self, logits: &[f32], targets: &[u32]) -> Result<(), MetricsError> {
        let classes = self.confusion.classes();
        check_rows(logits, classes, targets)?;
        for (row, &target) in logits.chunks(classes.max(1)).zip(targets) {
            let target = target as usize;
            match argmax(row) {
                Some(predicted) => self.confusion.add(target, predicted)?,
                None => self.confusion.add_unpredicted(target)?,
            }
            self.top5.add_row(row, target);
            self.log_loss.add_row(row, target);
        }
        Ok(())
    }

    /// Adds the rows of another accumulator.
    ///
    /// # Errors
    /// [`MetricsError::Merge`] when it has another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        self.confusion.merge(&other.confusion)?;
        self.top5.merge(&other.top5)?;
        self.log_loss.merge(&other.log_loss);
        Ok(())
    }

    /// The counts of true and predicted classes.
    pub fn confusion(&self) -> &ConfusionMatrix {
        &self.confusion
    }

    /// Every figure, from what has been counted so far.
    pub fn summary(&self) -> Summary {
        let confusion = &self.confusion;
        let micro_average = confusion.average(Average::Micro);
        Summary {
            count: confusion.total(),
            correct: confusion.correct(),
            invalid: confusion.unpredicted(),
            top1: micro_average.recall,
            top5: self.top5.accuracy().value(),
            log_loss: self.log_loss.value(),
            macro_average: confusion.average(Average::Macro),
            weighted_average: confusion.average(Average::Weighted),
            micro_average,
            classes: confusion.scores(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_batch_counts_nothing() {
        let mut metrics = Classification::new(2);
        let fault = metrics.add_logits(&[1.0, 0.0, 0.0, 1.0], &[0, 2]);
        assert_eq!(fault, Err(MetricsError::ClassOutOfRange { row: 1, class: 2, classes: 2 }));
        let fault = metrics.add_logits(&[1.0, 0.0, 0.0], &[0, 1]);
        assert_eq!(fault, Err(MetricsError::Length { what: "logits", found: 3, expected: 4 }));
        assert_eq!(metrics, Classification::new(2));
        assert!(Classification::new(0).add_logits(&[], &[0]).is_err());
    }

    #[test]
    fn a_nan_row_is_wrong_and_named() {
        let mut metrics = Classification::new(2);
        metrics.add_logits(&[1.0, 0.0, f32::NAN, 0.0], &[0, 1]).unwrap();
        let summary = metrics.summary();
        assert_eq!((summary.count, summary.correct, summary.invalid), (2, 1, 1));
        assert_eq!((summary.top1, summary.top5), (0.5, 0.5));
        assert!(summary.log_loss.is_finite());
    }

    #[test]
    fn nothing_counted_is_zero() {
        let summary = Classification::new(3).summary();
        assert_eq!((summary.count, summary.top1, summary.log_loss), (0, 0.0, 0.0));
        assert_eq!(summary.classes, [ClassScores::default(); 3]);
    }
}

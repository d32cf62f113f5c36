//! What an epoch of training has come to so far.

use ocelli_core::Targets;
use ocelli_metrics::argmax;
use serde::{Deserialize, Serialize};

/// Sums over the batches of an epoch; divided only when asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meter {
    images: u64,
    correct: u64,
    loss: f64,
}

impl Meter {
    /// Adds a batch: its mean loss and its logits `[n, classes]`.
    pub fn add(&mut self, loss: f32, logits: &[f32], classes: usize, targets: &Targets) {
        let rows = logits.chunks_exact(classes);
        self.images += rows.len() as u64;
        self.loss += f64::from(loss) * rows.len() as f64;
        let wanted: Vec<Option<usize>> = match targets {
            Targets::Classes(indices) => {
                indices.iter().map(|&class| Some(class as usize)).collect()
            }
            Targets::Soft { probabilities, .. } => {
                probabilities.chunks_exact(classes).map(argmax).collect()
            }
        };
        let right =
            |(row, wanted): &(&[f32], Option<usize>)| wanted.is_some() && argmax(row) == *wanted;
        self.correct += rows.zip(wanted).filter(right).count() as u64;
    }

    /// Images seen.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// Mean loss per image, in nats.
    pub fn loss(&self) -> f64 {
        self.loss / self.images.max(1) as f64
    }

    /// Share of right answers, 0..1; under mixed targets, of the class with the larger share.
    pub fn top1(&self) -> f64 {
        self.correct as f64 / self.images.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_any_size_count_by_image() {
        let mut meter = Meter::default();
        meter.add(1.0, &[1., 0., 0., 2.], 2, &Targets::Classes(vec![0, 0]));
        meter.add(4.0, &[0., 1.], 2, &Targets::Soft { classes: 2, probabilities: vec![0.3, 0.7] });
        assert_eq!((meter.images(), meter.loss(), meter.top1()), (3, 2.0, 2.0 / 3.0));
    }

    #[test]
    fn logits_without_an_order_are_no_right_answer() {
        let mut meter = Meter::default();
        meter.add(1.0, &[f32::NAN, 0., 1., 0.], 2, &Targets::Classes(vec![0, 0]));
        assert_eq!((meter.images(), meter.top1()), (2, 0.5));
    }
}

//! How good a network is on a set of images.

use ocelli_core::{BatchSource, Targets};
use ocelli_metrics::Classification;
use ocelli_nn::{Classifier, Pass, images};

use crate::{Event, Observer, TrainError};

/// A network's answer to one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The image's index in its dataset.
    pub index: usize,
    /// What it shows.
    pub truth: usize,
    /// The class with the largest logit.
    pub predicted: usize,
    /// The probability of that class, 0..1.
    pub probability: f32,
}

/// What an evaluation found.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// All counts.
    pub metrics: Classification,
    /// Every answer, in the order of the source.
    pub answers: Vec<Answer>,
}

/// Runs a network over all images of a source, in evaluation mode.
///
/// # Errors
/// Where an image cannot be loaded or does not fit the network.
pub fn evaluate(
    network: &dyn Classifier,
    source: &dyn BatchSource,
    observer: &mut dyn Observer,
) -> Result<Evaluation, TrainError> {
    let classes = network.classes();
    let mut metrics = Classification::new(classes);
    let mut answers = Vec::with_capacity(source.images());
    for (done, batch) in source.epoch(0, 0).enumerate() {
        let mut batch = batch?;
        if batch.is_empty() {
            continue;
        }
        let logits = network.logits(&images(&mut batch)?, &mut Pass::eval())?;
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        let Targets::Classes(targets) = &batch.targets else {
            return Err(TrainError::Mismatch(
                "an evaluation wants one class per image, not mixed targets".into(),
            ));
        };
        metrics
            .add_logits(&logits, targets)
            .map_err(|error| TrainError::Metric(error.to_string()))?;
        let rows = logits.chunks_exact(classes).zip(targets).zip(&batch.indices);
        answers.extend(rows.map(|((row, &truth), &index)| answer(row, truth as usize, index)));
        observer.hear(Event::Evaluating { done: done + 1, batches: source.batches() });
    }
    Ok(Evaluation { metrics, answers })
}

fn answer(logits: &[f32], truth: usize, index: usize) -> Answer {
    let predicted = (1..logits.len())
        .fold(0, |best, class| if logits[class] > logits[best] { class } else { best });
    let sum: f32 = logits.iter().map(|logit| (logit - logits[predicted]).exp()).sum();
    Answer { index, truth, predicted, probability: 1.0 / sum }
}

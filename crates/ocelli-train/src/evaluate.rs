//! How good a network is on a set of images.

use ocelli_core::{BatchSource, Targets};
use ocelli_metrics::{Classification, argmax};
use ocelli_nn::{Classifier, Pass, Precision, images, softmax};

use crate::{Event, Observer, TrainError};

/// A network's answer to one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The image's index in its dataset.
    pub index: usize,
    /// What it shows.
    pub truth: usize,
    /// The class with the largest logit and its probability, 0..1; none where a logit is NaN.
    pub predicted: Option<(usize, f32)>,
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
    precision: Precision,
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
        let mut pass = Pass::eval().with_precision(precision);
        let logits = network.logits(&images(&mut batch)?, &mut pass)?;
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        let Targets::Classes(targets) = &batch.targets else {
            return Err(TrainError::Mismatch(
                "an evaluation wants one class per image, not mixed targets".into(),
            ));
        };
        metrics
            .add_logits(&logits, targets)
            .map_err(|error| TrainError::Metric(error.to_string()))?;
        let mut probabilities = vec![0.0; logits.len()];
        softmax(&logits, classes, &mut probabilities);
        let rows = logits.chunks_exact(classes).zip(probabilities.chunks_exact(classes));
        let images = batch.indices.iter().zip(targets);
        answers.extend(rows.zip(images).map(|((row, shares), (&index, &truth))| Answer {
            index,
            truth: truth as usize,
            predicted: argmax(row).map(|class| (class, shares[class])),
        }));
        observer.hear(Event::Evaluating { done: done + 1, batches: source.batches() });
    }
    Ok(Evaluation { metrics, answers })
}

#[cfg(test)]
mod tests {
    use ocelli_core::{Batch, SourceError};
    use ocelli_nn::{Feature, ParamStore};

    use super::*;
    use crate::Silent;

    /// Its logits are the channels of a picture of one pixel.
    struct Pixel(ParamStore);

    impl Classifier for Pixel {
        fn params(&self) -> &ParamStore {
            &self.0
        }

        fn classes(&self) -> usize {
            3
        }

        fn features(&self, images: &Feature, _: &mut Pass) -> ocelli_nn::Result<Feature> {
            Feature::new(&images.tensor()?.flatten_from(1)?)
        }

        fn head(&self, features: &Feature, _: &mut Pass) -> ocelli_nn::Result<Feature> {
            Ok(features.clone())
        }
    }

    /// One batch.
    struct Once(Batch);

    impl BatchSource for Once {
        fn batches(&self) -> usize {
            1
        }

        fn images(&self) -> usize {
            self.0.len()
        }

        fn epoch(
            &self,
            _: u64,
            _: usize,
        ) -> Box<dyn Iterator<Item = Result<Batch, SourceError>> + '_> {
            Box::new(std::iter::once(Ok(self.0.clone())))
        }
    }

    #[test]
    fn logits_without_an_order_are_no_answer() {
        let batch = Batch {
            images: vec![0., 0., 2f32.ln(), f32::NAN, 1., 0.],
            shape: [2, 1, 1, 3],
            targets: Targets::Classes(vec![2, 0]),
            indices: vec![7, 8],
        };
        let network = Pixel(ParamStore::new(0));
        let found = evaluate(&network, &Once(batch), Precision::Fast, &mut Silent).unwrap();
        let [first, second] = found.answers[..] else { panic!("{:?}", found.answers) };
        let (class, probability) = first.predicted.unwrap();
        assert_eq!((first.index, first.truth, class), (7, 2, 2));
        assert!((probability - 0.5).abs() < 1e-6, "{probability}");
        assert_eq!((second.index, second.predicted), (8, None));
        assert_eq!(found.metrics.summary().correct, 1);
    }
}

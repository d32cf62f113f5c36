//! Encoded image in, ranked classes out.

use std::path::Path;

use ocelli_core::{ClassNames, DecodeLimits, Image, Preprocess, decode};
use ocelli_nn::{Classifier, Feature, Pass, softmax};
use serde::Serialize;

use crate::{ExportError, LoadedModel, open};

/// One class and how probable it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The class's index.
    pub class: usize,
    /// The class's name.
    pub name: String,
    /// Softmax of its logit, 0..1.
    pub probability: f32,
}

/// Answers from a model folder. Shared between threads as it is.
#[derive(Debug)]
pub struct Predictor {
    loaded: LoadedModel,
    limits: DecodeLimits,
}

impl Predictor {
    /// Opens a model folder.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(folder: &Path) -> Result<Self, ExportError> {
        Ok(Self::new(open(folder)?))
    }

    /// Answers with a model that is already loaded.
    pub fn new(loaded: LoadedModel) -> Self {
        Self { loaded, limits: DecodeLimits::default() }
    }

    /// The same with other limits on what an image may take.
    pub fn limits(self, limits: DecodeLimits) -> Self {
        Self { limits, ..self }
    }

    /// The names of the classes in the order of the logits.
    pub fn classes(&self) -> &ClassNames {
        &self.loaded.classes
    }

    /// From a photo to the network's input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.loaded.preprocess
    }

    /// The `top` most probable classes of an encoded image, the most probable first.
    ///
    /// # Errors
    /// Where it cannot be decoded.
    pub fn predict(&self, encoded: &[u8], top: usize) -> Result<Vec<Prediction>, ExportError> {
        let image = decode::decode(encoded, &self.limits)?;
        Ok(self.predict_images(&[image], top)?.remove(0))
    }

    /// The `top` most probable classes of each image, the most probable first.
    ///
    /// # Errors
    /// Where the network fails.
    pub fn predict_images(
        &self,
        images: &[Image],
        top: usize,
    ) -> Result<Vec<Vec<Prediction>>, ExportError> {
        let rows = self.logits(images)?;
        Ok(rows.iter().map(|row| self.rank(row, top)).collect())
    }

    /// The logits of each image.
    ///
    /// # Errors
    /// Where the network fails.
    pub fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, ExportError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let preprocess = self.preprocess();
        let [height, width] = preprocess.size;
        let mut pixels = vec![0.0; images.len() * height * width * 3];
        for (image, out) in images.iter().zip(pixels.chunks_exact_mut(height * width * 3)) {
            preprocess.run(image, out);
        }
        let batch = Feature::from_vec(pixels, &[images.len(), height, width, 3])?;
        let logits = self.loaded.model.logits(&batch, &mut Pass::eval())?;
        Ok(logits.to_vec2().map_err(ocelli_nn::Error::from)?)
    }

    fn rank(&self, logits: &[f32], top: usize) -> Vec<Prediction> {
        let mut probabilities = vec![0.0; logits.len()];
        softmax(logits, logits.len(), &mut probabilities);
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let prediction = |class: usize| Prediction {
            class,
            name: self.classes().name(class).to_string(),
            probability: probabilities[class],
        };
        order.into_iter().take(top).map(prediction).collect()
    }
}

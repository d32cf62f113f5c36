//! Encoded image in, ranked classes out.

use std::sync::{Mutex, PoisonError};

use ocelli_core::{ClassNames, DecodeLimits, Image, Preprocess, decode};
use ocelli_kernels::loss::softmax;
use serde::Serialize;

use crate::{Engine, InferError, Workspace};

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

/// Answers what photos show. Shared between threads as it is.
#[derive(Debug)]
pub struct Predictor {
    engine: Engine,
    preprocess: Preprocess,
    classes: ClassNames,
    limits: DecodeLimits,
    /// Workspaces that nobody uses just now.
    spare: Mutex<Vec<Workspace>>,
}

impl Predictor {
    /// Puts preprocessing before an engine and names behind it.
    ///
    /// # Errors
    /// Where the engine takes images of another size, or answers with another number of classes.
    pub fn new(
        engine: Engine,
        preprocess: Preprocess,
        classes: ClassNames,
    ) -> Result<Self, InferError> {
        let ([height, width, channels], outputs) = (engine.input(), engine.outputs());
        let mismatch = |given| {
            let network = format!("{height} x {width} pixels with {channels} channels");
            Err(InferError::Mismatch { network, outputs, given })
        };
        if preprocess.size != [height, width] || channels != 3 {
            let [height, width] = preprocess.size;
            return mismatch(format!(
                "preprocessing gives {height} x {width} pixels with 3 channels"
            ));
        }
        if classes.len() != outputs {
            return mismatch(format!("there are names for {} classes", classes.len()));
        }
        let limits = DecodeLimits::default();
        Ok(Self { engine, preprocess, classes, limits, spare: Mutex::default() })
    }

    /// The same with other limits on what an image may take.
    pub fn limits(self, limits: DecodeLimits) -> Self {
        Self { limits, ..self }
    }

    /// The names of the classes in the order of the logits.
    pub fn classes(&self) -> &ClassNames {
        &self.classes
    }

    /// From a photo to the network's input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The `top` most probable classes of an encoded image, the most probable first.
    ///
    /// # Errors
    /// Where it cannot be decoded.
    pub fn predict(&self, encoded: &[u8], top: usize) -> Result<Vec<Prediction>, InferError> {
        let image = decode::decode(encoded, &self.limits)?;
        Ok(self.predict_images(&[image], top)?.remove(0))
    }

    /// The `top` most probable classes of each image, the most probable first.
    ///
    /// # Errors
    /// Where the network cannot take so many.
    pub fn predict_images(
        &self,
        images: &[Image],
        top: usize,
    ) -> Result<Vec<Vec<Prediction>>, InferError> {
        let rows = self.logits(images)?;
        Ok(rows.iter().map(|row| self.rank(row, top)).collect())
    }

    /// The logits of each image.
    ///
    /// # Errors
    /// Where the network cannot take so many.
    pub fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, InferError> {
        let [height, width] = self.preprocess.size;
        let mut pixels = vec![0.0; images.len() * height * width * 3];
        for (image, out) in images.iter().zip(pixels.chunks_exact_mut(height * width * 3)) {
            self.preprocess.run(image, out);
        }
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut workspace = spare().pop().unwrap_or_default();
        let logits = self.engine.run(&pixels, &mut workspace)?;
        let rows = logits.chunks_exact(self.engine.outputs().max(1)).map(<[f32]>::to_vec).collect();
        spare().push(workspace);
        Ok(rows)
    }

    fn rank(&self, logits: &[f32], top: usize) -> Vec<Prediction> {
        let mut probabilities = vec![0.0; logits.len()];
        softmax(logits, logits.len(), &mut probabilities);
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        let prediction = |class: usize| Prediction {
            class,
            name: self.classes.name(class).to_string(),
            probability: probabilities[class],
        };
        order.into_iter().take(top).map(prediction).collect()
    }
}

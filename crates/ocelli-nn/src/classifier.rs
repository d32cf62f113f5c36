//! A network that gives logits, and its parts.

use candle_core::Tensor;

use crate::{Feature, ParamStore, Pass, Result};

/// A part of a network: one feature in, one out.
pub trait Block: Send + Sync {
    /// Runs the part.
    ///
    /// # Errors
    /// Where the feature does not fit.
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature>;
}

impl<B: Block> Block for Vec<B> {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.iter().try_fold(x.clone(), |x, block| block.forward(&x, pass))
    }
}

/// A network that gives logits. Implement it to train a network of your own.
pub trait Classifier: Send + Sync {
    /// All its weights.
    fn params(&self) -> &ParamStore;

    /// Number of classes: the length of a row of logits.
    fn classes(&self) -> usize;

    /// From normalised images `[N, H, W, 3]` to the last feature map `[N, h, w, C]`.
    ///
    /// # Errors
    /// Where the images do not fit the network.
    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature>;

    /// From the last feature map to logits `[N, classes]`.
    ///
    /// # Errors
    /// Where the features do not fit the head.
    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature>;

    /// From normalised images `[N, H, W, 3]` to logits `[N, classes]`, as a tensor to compute a loss from.
    ///
    /// # Errors
    /// Where the images do not fit the network.
    fn logits(&self, images: &Feature, pass: &mut Pass) -> Result<Tensor> {
        let features = self.features(images, pass)?;
        self.head(&features, pass)?.tensor()
    }
}

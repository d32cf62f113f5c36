//! From layers to what answers without them.

use std::collections::HashMap;

use ocelli_infer::{Engine, Predictor};
use ocelli_models::Model;
use ocelli_nn::{Classifier, Precision, record};

use crate::{ExportError, LoadedModel};

/// Records a network for images of `size` (`[height, width]`) and makes an engine of it, which holds a copy of the
/// weights as they are now. It computes in `precision`, whatever the network was trained in.
///
/// # Errors
/// Where the network cannot be recorded.
pub fn engine(
    model: &Model,
    size: [usize; 2],
    precision: Precision,
) -> Result<Engine, ExportError> {
    let graph = record(model, model.architecture().name, size)?;
    let weights: HashMap<_, _> = model.params().to_disk()?.into_iter().collect();
    let find = |name: &str| weights.get(name).map(|tensor| &tensor.values[..]);
    Ok(Engine::with_precision(&graph, &find, precision)?)
}

impl LoadedModel {
    /// What answers encoded photos with ranked classes.
    ///
    /// # Errors
    /// As [`engine`].
    pub fn into_predictor(self) -> Result<Predictor, ExportError> {
        self.into_predictor_in(Precision::default())
    }

    /// The same in a precision.
    ///
    /// # Errors
    /// As [`engine`].
    pub fn into_predictor_in(self, precision: Precision) -> Result<Predictor, ExportError> {
        let engine = engine(&self.model, self.preprocess.size, precision)?;
        Ok(Predictor::new(engine, self.preprocess, self.classes)?)
    }
}

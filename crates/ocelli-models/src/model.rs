//! A network with what is known about it.

use std::fmt;

use ocelli_nn::{Classifier, DiskTensor, Feature, LoadReport, ParamStore, Pass, Result};

use crate::{Architecture, ModelConfig, ModelError};

/// What to do with the classifier's weights in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadPolicy {
    /// They must fit: the checkpoint answers the same question.
    Keep,
    /// They are left out, and the new head keeps its initial values: the question is another one.
    Replace,
}

/// A network of the zoo with its architecture and configuration.
pub struct Model {
    architecture: &'static Architecture,
    config: ModelConfig,
    network: Box<dyn Classifier>,
}

impl Model {
    pub(crate) fn new(
        architecture: &'static Architecture,
        config: ModelConfig,
        network: Box<dyn Classifier>,
    ) -> Self {
        Self { architecture, config, network }
    }

    /// What is known about its architecture.
    pub fn architecture(&self) -> &'static Architecture {
        self.architecture
    }

    /// What it was built with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Takes over a checkpoint's tensors by name. The backbone must fit whole: nothing missing, nothing
    /// unexpected, no other shape. `source` names the checkpoint in messages.
    ///
    /// # Errors
    /// Where the backbone, or with [`HeadPolicy::Keep`] the head, does not fit; the message names the first
    /// differences. The network is then half loaded and should be dropped.
    pub fn load<'a>(
        &self,
        tensors: impl IntoIterator<Item = (&'a str, &'a DiskTensor)>,
        head: HeadPolicy,
        source: &str,
    ) -> Result<LoadReport, ModelError> {
        let replaced = |name: &str| head == HeadPolicy::Replace && self.is_head(name);
        let tensors = tensors.into_iter().filter(|(name, _)| !replaced(name));
        let report = self.params().load(tensors)?;
        let misfits: Vec<String> = (report.missing.iter().filter(|name| !replaced(name)))
            .map(|name| format!("`{name}` is missing"))
            .chain(report.unexpected.iter().map(|name| format!("`{name}` is unexpected")))
            .chain(
                report
                    .reshaped
                    .iter()
                    .map(|m| format!("`{}` is {:?}, not {:?}", m.name, m.found, m.wanted)),
            )
            .collect();
        if misfits.is_empty() { Ok(report) } else { Err(self.misfit(&misfits, &report, source)) }
    }

    /// Whether a parameter belongs to the classifier.
    pub fn is_head(&self, name: &str) -> bool {
        name.strip_prefix(self.architecture.head).is_some_and(|rest| rest.starts_with('.'))
    }

    fn misfit(&self, misfits: &[String], report: &LoadReport, source: &str) -> ModelError {
        const SHOWN: usize = 4;
        let mut reason = misfits[..misfits.len().min(SHOWN)].join(", ");
        if misfits.len() > SHOWN {
            reason.push_str(&format!(" and {} more", misfits.len() - SHOWN));
        }
        let head_only = report.missing.is_empty()
            && report.unexpected.is_empty()
            && report.reshaped.iter().all(|mismatch| self.is_head(&mismatch.name));
        if head_only {
            reason.push_str("; only the number of classes differs");
        } else if report.loaded.is_empty() {
            reason
                .push_str("; not one tensor fits, so they may be weights of another architecture");
        }
        let model = self.architecture.name.to_string();
        ModelError::Misfit { checkpoint: source.to_string(), model, reason }
    }
}

impl Classifier for Model {
    fn params(&self) -> &ParamStore {
        self.network.params()
    }

    fn classes(&self) -> usize {
        self.network.classes()
    }

    fn features(&self, images: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.network.features(images, pass)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.network.head(features, pass)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} classes", self.architecture.name, self.config.classes)
    }
}

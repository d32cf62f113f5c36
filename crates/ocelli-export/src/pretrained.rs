//! Weights as they were found: a model folder, or a file that somebody published.

use std::path::Path;

use ocelli_core::ClassNames;
use ocelli_models::weights::{self, Located};
use ocelli_models::{Architecture, HeadPolicy, Model, ModelConfig, create};
use ocelli_nn::{DiskTensor, LoadReport};

use crate::{CONFIG, ExportError, FolderConfig, LoadedModel};

/// Weights as they were found, with what is known about them.
#[derive(Clone, Debug)]
pub struct Pretrained {
    /// The tensors under the file's names.
    pub tensors: Vec<(String, DiskTensor)>,
    /// What the `config.json` beside them says, if there is one.
    pub config: Option<FolderConfig>,
    /// What they are called in messages.
    pub name: String,
}

impl Pretrained {
    /// Reads the files that were located.
    ///
    /// # Errors
    /// Where one is missing or damaged.
    pub fn read(located: &Located, name: &str) -> Result<Self, ExportError> {
        let config = located.config.as_deref().map(FolderConfig::read).transpose()?;
        let tensors = weights::read(&located.weights)?.to_disk();
        Ok(Self { tensors, config, name: name.to_string() })
    }

    /// Number of classes they answer: the rows of the classifier's weight, where they are a network of this
    /// architecture and have one.
    pub fn classes(&self, architecture: &Architecture) -> Option<usize> {
        let wanted = format!("{}.weight", architecture.head);
        let head = self.tensors.iter().find(|(name, _)| architecture.rename(name) == wanted);
        head.and_then(|(_, tensor)| tensor.shape.first().copied())
    }

    /// The network that they are the weights of, with all that is needed to answer.
    ///
    /// # Errors
    /// Where they came without a configuration, the architecture is unknown, or weights and configuration do not
    /// agree.
    pub fn into_model(mut self) -> Result<LoadedModel, ExportError> {
        let config = self.config.take().ok_or_else(|| {
            let reason = format!("has no {CONFIG}, which names the architecture and the classes");
            ExportError::folder(Path::new(&self.name), reason)
        })?;
        let preprocess = config.pretrained_cfg.preprocess();
        preprocess.check()?;
        let args = config.model_args.unwrap_or_default();
        let model_config = ModelConfig { classes: config.num_classes, args, seed: 0 };
        let model = create(&config.architecture, &model_config)?;
        self.load(&model, HeadPolicy::Keep)?;
        let numbered = || ClassNames::numbered(config.num_classes);
        let classes = config.label_names.unwrap_or_else(numbered);
        Ok(LoadedModel { model, classes, preprocess, description: config.description })
    }

    /// Loads them into a network.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load(&self, model: &Model, head: HeadPolicy) -> Result<LoadReport, ExportError> {
        let architecture = model.architecture();
        let names: Vec<String> =
            self.tensors.iter().map(|(name, _)| architecture.rename(name)).collect();
        let tensors = self.tensors.iter().map(|(_, tensor)| tensor);
        Ok(model.load(names.iter().map(String::as_str).zip(tensors), head, &self.name)?)
    }
}

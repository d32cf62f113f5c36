//! Writing and reading a model folder.

use std::collections::HashMap;
use std::path::Path;

use ocelli_core::files::{create_folder, write_whole};
use ocelli_core::{ClassNames, Preprocess};
use ocelli_models::Model;
use ocelli_models::weights::Located;
use ocelli_nn::{Classifier, write_safetensors};

use crate::{ExportError, FolderConfig, Pretrained, PretrainedConfig};

/// The weights' file in a model folder.
pub const WEIGHTS: &str = "model.safetensors";
/// The configuration's file in a model folder.
pub const CONFIG: &str = "config.json";

/// A model with all that is needed to answer.
#[derive(Debug)]
pub struct LoadedModel {
    /// The network.
    pub model: Model,
    /// The names of its classes.
    pub classes: ClassNames,
    /// From a photo to its input.
    pub preprocess: Preprocess,
    /// What the weights are, in words.
    pub description: Option<String>,
}

/// Writes a model folder. `description` says what the weights are: which epoch of which run.
///
/// # Errors
/// Where the labels are not as many as the classes, or the folder cannot be written.
pub fn save(
    folder: &Path,
    model: &Model,
    classes: &ClassNames,
    preprocess: &Preprocess,
    description: &str,
) -> Result<(), ExportError> {
    let path = folder.join(CONFIG);
    if classes.len() != model.classes() {
        return Err(ExportError::Labels { path, labels: classes.len(), classes: model.classes() });
    }
    let architecture = model.architecture();
    let config = FolderConfig {
        architecture: architecture.name.to_string(),
        num_classes: model.classes(),
        label_names: Some(classes.clone()),
        model_args: Some(model.config().args).filter(|args| *args != Default::default()),
        pretrained_cfg: PretrainedConfig::new(architecture, model.classes(), preprocess),
        description: Some(description.to_string()),
        weight_names: Some(
            if architecture.timm { "timm" } else { "published checkpoint" }.to_string(),
        ),
    };
    create_folder(folder)?;
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    write_safetensors(&folder.join(WEIGHTS), &model.params().to_disk()?, metadata)?;
    write_whole(&path, |file| {
        serde_json::to_writer_pretty(&mut *file, &config)?;
        file.write_all(b"\n")
    })?;
    Ok(())
}

/// Opens a model folder, ours or one that timm saved.
///
/// # Errors
/// Where a file is missing or damaged, the architecture is unknown, or weights, labels and configuration
/// do not agree.
pub fn open(folder: &Path) -> Result<LoadedModel, ExportError> {
    Pretrained::read(&Located::at(folder)?, &folder.display().to_string())?.into_model()
}

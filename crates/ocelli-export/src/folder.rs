//! Writing and reading a model folder.

use std::collections::HashMap;
use std::path::Path;

use ocelli_core::files::{create_folder, write_whole};
use ocelli_core::{ClassNames, Preprocess};
use ocelli_models::weights::{self, RawTensor};
use ocelli_models::{HeadPolicy, Model, ModelConfig, create};
use ocelli_nn::{Classifier, DiskTensor, write_safetensors};

use crate::{ExportError, FolderConfig, PretrainedConfig};

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
    check_labels(&path, classes, model.classes())?;
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
    let path = folder.join(CONFIG);
    let fail = |reason: String| ExportError::Folder { path: path.clone(), reason };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        fail(format!(
            "{error}; a model folder holds {CONFIG} and {WEIGHTS} (a run folder has one in model/)"
        ))
    })?;
    let config: FolderConfig =
        serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
    let preprocess = config.pretrained_cfg.preprocess();
    preprocess.check()?;
    let classes = config.label_names.unwrap_or_else(|| ClassNames::numbered(config.num_classes));
    check_labels(&path, &classes, config.num_classes)?;
    let args = config.model_args.unwrap_or_default();
    let model =
        create(&config.architecture, &ModelConfig { classes: config.num_classes, args, seed: 0 })?;
    let source = folder.join(WEIGHTS);
    let checkpoint = weights::read(&source)
        .map_err(|error| ExportError::Folder { path: source.clone(), reason: error.to_string() })?;
    let tensors: Vec<(String, DiskTensor)> = checkpoint
        .tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), disk_tensor(tensor)))
        .collect();
    let tensors = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    model.load(tensors, HeadPolicy::Keep, &source.display().to_string())?;
    Ok(LoadedModel { model, classes, preprocess, description: config.description })
}

fn disk_tensor(tensor: &RawTensor) -> DiskTensor {
    DiskTensor { shape: tensor.shape.clone(), values: tensor.to_f32() }
}

fn check_labels(path: &Path, classes: &ClassNames, wanted: usize) -> Result<(), ExportError> {
    if classes.len() == wanted {
        return Ok(());
    }
    Err(ExportError::Labels { path: path.to_path_buf(), labels: classes.len(), classes: wanted })
}

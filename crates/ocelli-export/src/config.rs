//! `config.json` of a model folder, under timm's names.

use std::path::Path;

use ocelli_core::{ClassNames, CropMode, Interpolation, Normalize, Preprocess};
use ocelli_models::{Architecture, ModelArgs};
use serde::{Deserialize, Serialize};

use crate::ExportError;

/// `config.json` of a model folder. Keys that ocelli does not know are passed over, as timm does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FolderConfig {
    /// The architecture's name.
    pub architecture: String,
    /// Number of classes.
    pub num_classes: usize,
    /// The classes' names in the order of the logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_names: Option<ClassNames>,
    /// Arguments of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_args: Option<ModelArgs>,
    /// Preprocessing, and where the classifier is.
    pub pretrained_cfg: PretrainedConfig,
    /// What the weights are, in words: which epoch of which run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whose names the weights have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_names: Option<String>,
}

impl FolderConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// Where it cannot be read, is no such configuration, or names another number of labels than of classes.
    pub fn read(path: &Path) -> Result<Self, ExportError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ExportError::folder(path, error.to_string()))?;
        Self::parse(&text, path)
    }

    /// [`read`](Self::read) of a file's text; `path` names it in messages.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str, path: &Path) -> Result<Self, ExportError> {
        let config: Self = serde_json::from_str(text)
            .map_err(|error| ExportError::folder(path, error.to_string()))?;
        match &config.label_names {
            Some(labels) if labels.len() != config.num_classes => Err(ExportError::Labels {
                path: path.to_path_buf(),
                labels: labels.len(),
                classes: config.num_classes,
            }),
            _ => Ok(config),
        }
    }
}

/// timm's `pretrained_cfg`: preprocessing, and where the classifier is. What is missing has timm's default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PretrainedConfig {
    /// `[channels, height, width]`
    pub input_size: [usize; 3],
    /// Resize filter.
    pub interpolation: Interpolation,
    /// Share of the resized image that the crop keeps.
    pub crop_pct: f32,
    /// How the shape is made to fit.
    pub crop_mode: CropMode,
    /// Mean per channel, of pixels scaled to 0..1.
    pub mean: [f32; 3],
    /// Standard deviation per channel.
    pub std: [f32; 3],
    /// Number of classes of the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_classes: Option<usize>,
    /// Module path of the first convolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_conv: Option<String>,
    /// Module path of the classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier: Option<String>,
}

impl Default for PretrainedConfig {
    fn default() -> Self {
        Self {
            input_size: [3, 224, 224],
            interpolation: Interpolation::Bicubic,
            crop_pct: 0.875,
            crop_mode: CropMode::Center,
            mean: Normalize::IMAGENET.mean,
            std: Normalize::IMAGENET.std,
            num_classes: None,
            first_conv: None,
            classifier: None,
        }
    }
}

impl PretrainedConfig {
    pub(crate) fn new(
        architecture: &Architecture,
        classes: usize,
        preprocess: &Preprocess,
    ) -> Self {
        let [height, width] = preprocess.size;
        Self {
            input_size: [3, height, width],
            interpolation: preprocess.interpolation,
            crop_pct: preprocess.crop_pct,
            crop_mode: preprocess.crop_mode,
            mean: preprocess.normalize.mean,
            std: preprocess.normalize.std,
            num_classes: Some(classes),
            first_conv: Some(architecture.first_conv.to_string()),
            classifier: Some(architecture.head.to_string()),
        }
    }

    /// The preprocessing it describes.
    pub fn preprocess(&self) -> Preprocess {
        Preprocess {
            size: [self.input_size[1], self.input_size[2]],
            crop_pct: self.crop_pct,
            crop_mode: self.crop_mode,
            interpolation: self.interpolation,
            normalize: Normalize { mean: self.mean, std: self.std },
        }
    }
}

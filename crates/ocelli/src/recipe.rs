//! A run as plain data: what a TOML file says, and what flags override.

use std::path::{Path, PathBuf};

use ocelli_core::{CropMode, Interpolation};
use ocelli_data::Fractions;
use ocelli_models::ModelArgs;
use ocelli_train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::{AugmentConfig, Error};

/// Which weights a run keeps as its model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Those of the epoch that did best on the validation images.
    #[default]
    Best,
    /// Those of the last epoch.
    Last,
}

/// The images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// A folder of images, or the name of the bundled dataset, `solids`.
    pub path: PathBuf,
    /// Shares of each class that become validation and test images where there are no folders for them.
    pub split: Fractions,
    /// Images in a batch.
    pub batch_size: usize,
    /// Whether training draws rare classes as often as common ones.
    pub balanced: bool,
    /// Share of unreadable files above which a run fails; those below are named and skipped.
    pub max_bad: f64,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("solids"),
            split: Fractions::default(),
            batch_size: 32,
            balanced: false,
            max_bad: 0.01,
        }
    }
}

/// How photos become the network's input. What is not given comes from the pretrained weights, or else
/// from the architecture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreprocessConfig {
    /// Height and width of the input in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Share of the resized image that the centre crop keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_pct: Option<f32>,
    /// How the shape is made to fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop_mode: Option<CropMode>,
    /// Resize filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<Interpolation>,
    /// Mean per channel, of pixels scaled to 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<[f32; 3]>,
    /// Standard deviation per channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<[f32; 3]>,
}

/// The network of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// The architecture's name; that of the weights where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the weights come from: `bundled`, a weight file, a model folder, `hf-hub:OWNER/NAME`; none
    /// trains from scratch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Arguments of the architecture, under timm's names.
    pub args: ModelArgs,
}

/// A run as plain data. Every field has a default; [`Recipe::bundled`] is the run of `ocelli finetune`
/// without arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Seed of everything random.
    pub seed: u64,
    /// Threads that load and compute; 0 takes all processors.
    pub threads: usize,
    /// Which weights become the model.
    pub keep: Keep,
    /// The run folder; `runs/DATA-1` or the next free number where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
    /// The network.
    pub model: NetworkConfig,
    /// The images.
    pub data: DataConfig,
    /// From photo to input.
    pub preprocess: PreprocessConfig,
    /// Random changes of training images.
    pub augment: AugmentConfig,
    /// The training itself. Its seed is the recipe's.
    pub train: TrainConfig,
}

impl Recipe {
    /// Fine-tunes the bundled backbone on the bundled sample dataset.
    ///
    /// # Errors
    /// Never, unless the program was built with a broken recipe.
    pub fn bundled() -> Result<Self, Error> {
        Self::parse(include_str!("../recipes/solids.toml"), Path::new("recipes/solids.toml"))
    }

    /// Settings for photos and a network of one's own choice: what `--model` and `--weights` start from.
    ///
    /// # Errors
    /// Never, unless the program was built with a broken recipe.
    pub fn photos() -> Result<Self, Error> {
        Self::parse(include_str!("../recipes/photos.toml"), Path::new("recipes/photos.toml"))
    }

    /// Reads a TOML file.
    ///
    /// # Errors
    /// Where it cannot be read, or a key or value makes no sense; names the line.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::Recipe {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
        Self::parse(&text, path)
    }

    /// Reads TOML; `path` is where it came from, for messages.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        toml::from_str(text)
            .map_err(|error| Error::Recipe { path: path.to_path_buf(), reason: error.to_string() })
    }

    /// The recipe as TOML, all defaults written out.
    ///
    /// # Errors
    /// Where a path is not UTF-8.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|error| Error::Recipe {
            path: PathBuf::from("recipe.toml"),
            reason: error.to_string(),
        })
    }
}

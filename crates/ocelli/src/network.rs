//! Building the network that a recipe names.

use std::path::Path;

use ocelli_core::{ClassNames, Normalize, Preprocess};
use ocelli_export::FolderConfig;
use ocelli_models::weights::{self, Hub, RawTensor, Source};
use ocelli_models::{Architecture, HeadPolicy, Model, ModelConfig, architecture, create};
use ocelli_nn::{DiskTensor, parse_safetensors};

use crate::Error;
use crate::bundled;
use crate::recipe::{NetworkConfig, PreprocessConfig};

/// The weights' name for the bundled backbone.
pub const BUNDLED: &str = "bundled";

/// Weights as they were found, with what is known about them.
struct Pretrained {
    tensors: Vec<(String, DiskTensor)>,
    config: Option<FolderConfig>,
    name: String,
}

/// What the classifier answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// This many classes of a new task: the weights' own classifier is left out.
    New(usize),
    /// What the weights were trained for.
    Pretrained,
}

/// A network and how its input is made.
pub struct Built {
    /// The network.
    pub model: Model,
    /// From photo to input.
    pub preprocess: Preprocess,
    /// The names of the classes, where the weights came with any and were kept whole.
    pub labels: Option<ClassNames>,
    /// What was done, for the user: one sentence each.
    pub notes: Vec<String>,
}

/// Builds the network that a recipe or a command names.
///
/// # Errors
/// Where the architecture is unknown, or the weights cannot be read or do not fit.
pub fn build(
    network: &NetworkConfig,
    preprocess: &PreprocessConfig,
    head: Head,
    seed: u64,
) -> Result<Built, Error> {
    network.name.as_deref().map(architecture).transpose()?; // before anything is fetched
    let pretrained = network.weights.as_deref().map(Pretrained::find).transpose()?;
    let config = pretrained.as_ref().and_then(|pretrained| pretrained.config.as_ref());
    let named = network.name.as_deref().or(config.map(|config| config.architecture.as_str()));
    let name = named.ok_or_else(|| {
        Error::Config(
            "which network? give --model NAME (`ocelli models list` shows all)".to_string(),
        )
    })?;
    let mut args = network.args;
    if args == Default::default() {
        args = config.and_then(|config| config.model_args).unwrap_or_default();
    }
    let known = architecture(name)?;
    let (classes, policy) = match (head, &pretrained) {
        (Head::New(classes), _) => (classes, HeadPolicy::Replace),
        (Head::Pretrained, Some(pretrained)) => (pretrained.classes(known)?, HeadPolicy::Keep),
        (Head::Pretrained, None) => {
            return Err(Error::Config(
                "which weights? give a model folder, or --weights FILE".to_string(),
            ));
        }
    };
    let model = create(name, &ModelConfig { classes, seed, args })?;
    let base = match config {
        Some(config) => config.pretrained_cfg.preprocess(),
        None => known.preprocess(),
    };
    let mut notes = Vec::new();
    if let Some(pretrained) = &pretrained {
        notes.push(pretrained.load(&model, policy)?);
    }
    let preprocess = preprocess.over(base);
    preprocess.check()?;
    let labels =
        config.and_then(|config| config.label_names.clone()).filter(|_| head == Head::Pretrained);
    if let Some(labels) = labels.as_ref().filter(|labels| labels.len() != classes) {
        let labels = labels.len();
        return Err(Error::Config(format!(
            "{labels} label names for a model with {classes} classes"
        )));
    }
    Ok(Built { model, preprocess, labels, notes })
}

impl PreprocessConfig {
    /// These settings, with those of `base` where there are none.
    fn over(&self, base: Preprocess) -> Preprocess {
        Preprocess {
            size: self.image_size.map_or(base.size, |size| [size; 2]),
            crop_pct: self.crop_pct.unwrap_or(base.crop_pct),
            crop_mode: self.crop_mode.unwrap_or(base.crop_mode),
            interpolation: self.interpolation.unwrap_or(base.interpolation),
            normalize: Normalize {
                mean: self.mean.unwrap_or(base.normalize.mean),
                std: self.std.unwrap_or(base.normalize.std),
            },
        }
    }

    /// All settings written out.
    pub(crate) fn resolved(preprocess: &Preprocess) -> Self {
        Self {
            image_size: Some(preprocess.size[0]),
            crop_pct: Some(preprocess.crop_pct),
            crop_mode: Some(preprocess.crop_mode),
            interpolation: Some(preprocess.interpolation),
            mean: Some(preprocess.normalize.mean),
            std: Some(preprocess.normalize.std),
        }
    }
}

impl Pretrained {
    /// Finds weights by what a user calls them.
    fn find(text: &str) -> Result<Self, Error> {
        if text == BUNDLED {
            return Self::bundled();
        }
        let located = Source::parse(text)?.locate(&Hub::from_env())?;
        let config = located.config.as_deref().map(read_config).transpose()?;
        let checkpoint = weights::read(&located.weights)?;
        let tensor = |(name, tensor): (&String, &RawTensor)| {
            (name.clone(), DiskTensor { shape: tensor.shape.clone(), values: tensor.to_f32() })
        };
        Ok(Self {
            tensors: checkpoint.tensors.iter().map(tensor).collect(),
            config,
            name: text.to_string(),
        })
    }

    fn bundled() -> Result<Self, Error> {
        let config = parse_config(bundled::CONFIG, Path::new("bundled/config.json"))?;
        let (tensors, _) =
            parse_safetensors(bundled::WEIGHTS, Path::new("bundled/model.safetensors"))?;
        let name = "the bundled backbone".to_string();
        Ok(Self { tensors: tensors.into_iter().collect(), config: Some(config), name })
    }

    /// Number of classes: the rows of the classifier's weight.
    fn classes(&self, known: &Architecture) -> Result<usize, Error> {
        let wanted = format!("{}.weight", known.head);
        let found = self.tensors.iter().find(|(name, _)| known.rename(name) == wanted);
        let classes = found.and_then(|(_, tensor)| tensor.shape.first().copied());
        classes.ok_or_else(|| {
            let (name, model) = (&self.name, known.name);
            Error::Config(format!(
                "{name} has no tensor `{wanted}`, so it does not hold a classifier of {model}"
            ))
        })
    }

    /// Loads the weights into a network and says in one sentence what became of them.
    fn load(&self, model: &Model, head: HeadPolicy) -> Result<String, Error> {
        let renamed = |name: &str| model.architecture().rename(name);
        let names: Vec<String> = self.tensors.iter().map(|(name, _)| renamed(name)).collect();
        let pairs =
            names.iter().zip(&self.tensors).map(|(name, (_, tensor))| (name.as_str(), tensor));
        let report = model.load(pairs, head, &self.name)?;
        let new = match report.missing.as_slice() {
            [] => String::new(),
            missing => format!("; new: {}", missing.join(", ")),
        };
        Ok(format!("{} tensors from {}{new}", report.loaded.len(), self.name))
    }
}

fn read_config(path: &Path) -> Result<FolderConfig, Error> {
    let fail = |reason: String| Error::Recipe { path: path.to_path_buf(), reason };
    parse_config(&std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?, path)
}

fn parse_config(text: &str, path: &Path) -> Result<FolderConfig, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::Recipe { path: path.to_path_buf(), reason: error.to_string() })
}

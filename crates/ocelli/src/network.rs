//! Building the network that a recipe names.

use std::path::Path;

use ocelli_core::{ClassNames, Normalize, Preprocess};
use ocelli_export::{FolderConfig, LoadedModel, Pretrained};
use ocelli_models::weights::{Hub, Source};
use ocelli_models::{Architecture, HeadPolicy, Model, ModelConfig, architecture, create};
use ocelli_nn::parse_safetensors;

use crate::Error;
use crate::bundled;
use crate::recipe::{NetworkConfig, PreprocessConfig};

/// The weights' name for the bundled backbone.
pub const BUNDLED: &str = "bundled";

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
    check(network, head)?; // before anything is fetched
    let pretrained = network.weights.as_deref().map(find).transpose()?;
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
        (Head::Pretrained, Some(pretrained)) => {
            let classes = pretrained.classes(known);
            (classes.ok_or_else(|| no_classifier(pretrained, known))?, HeadPolicy::Keep)
        }
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
        notes.push(load(pretrained, &model, policy)?);
    }
    let preprocess = preprocess.over(base);
    preprocess.check()?;
    let labels =
        config.and_then(|config| config.label_names.clone()).filter(|_| head == Head::Pretrained);
    if let Some(labels) = labels.as_ref().filter(|labels| labels.len() != classes) {
        let (labels, name) = (labels.len(), network.weights.as_deref().unwrap_or_default());
        return Err(Error::Config(format!(
            "{name}: {labels} label names for a model with {classes} classes"
        )));
    }
    Ok(Built { model, preprocess, labels, notes })
}

fn check(network: &NetworkConfig, head: Head) -> Result<(), Error> {
    match network.name.as_deref() {
        Some(name) => match architecture(name) {
            Err(_) if Path::new(name).exists() => Err(Error::Config(format!(
                "{name} is a path, not an architecture: give a model folder or a file of weights with --weights"
            ))),
            known => Ok(known.map(drop)?),
        },
        None if network.weights.is_none() && head == Head::Pretrained => {
            Err(Error::Config("which model? give a model folder with --weights".to_string()))
        }
        None => Ok(()),
    }
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

/// Opens a trained model by what a user calls it: a model folder, `hf-hub:OWNER/NAME`, or `bundled`.
///
/// # Errors
/// Where it cannot be found or read, or comes without a configuration that fits its weights.
pub fn open_model(source: &str) -> Result<LoadedModel, Error> {
    Ok(find(source)?.into_model()?)
}

/// Finds weights by what a user calls them.
fn find(text: &str) -> Result<Pretrained, Error> {
    if text == BUNDLED {
        return bundled();
    }
    Ok(Pretrained::read(&Source::parse(text)?.locate(&Hub::from_env())?, text)?)
}

fn bundled() -> Result<Pretrained, Error> {
    let config = FolderConfig::parse(bundled::CONFIG, Path::new("bundled/config.json"))?;
    let (tensors, _) = parse_safetensors(bundled::WEIGHTS, Path::new("bundled/model.safetensors"))?;
    let name = "the bundled backbone".to_string();
    Ok(Pretrained { tensors: tensors.into_iter().collect(), config: Some(config), name })
}

fn no_classifier(pretrained: &Pretrained, known: &Architecture) -> Error {
    let (name, head, model) = (&pretrained.name, known.head, known.name);
    Error::Config(format!(
        "{name} has no tensor `{head}.weight`, so it does not hold a classifier of {model}"
    ))
}

/// Loads weights into a network and says in one sentence what became of them.
fn load(pretrained: &Pretrained, model: &Model, head: HeadPolicy) -> Result<String, Error> {
    let report = pretrained.load(model, head)?;
    let new = match report.missing.as_slice() {
        [] => String::new(),
        missing => format!("; new: {}", missing.join(", ")),
    };
    Ok(format!("{} tensors from {}{new}", report.loaded.len(), pretrained.name))
}

//! The model folder, and the predictor that answers from it.
//!
//! A trained model is a folder in timm's layout: `model.safetensors` beside `config.json`, which names the
//! architecture, the classes and the preprocessing. [`save`] writes one that
//! `timm.create_model("local-dir:PATH", pretrained=True)` opens, [`open`] reads one, ours or timm's.
//! [`Predictor`] takes an encoded photo and gives ranked classes.

mod config;
mod error;
mod folder;
mod predictor;
mod pretrained;

pub use config::{FolderConfig, PretrainedConfig};
pub use error::ExportError;
pub use folder::{CONFIG, LoadedModel, WEIGHTS, open, save};
pub use predictor::{Prediction, Predictor};
pub use pretrained::Pretrained;

//! The model folder, and the predictor that answers from it.
//!
//! A trained model is a folder in timm's layout: `model.safetensors` beside `config.json`, which names the
//! architecture, the classes and the preprocessing. [`save`] writes one that
//! `timm.create_model("local-dir:PATH", pretrained=True)` opens, [`open`] reads one, ours or timm's.
//! [`LoadedModel::into_predictor`] gives what takes an encoded photo and answers with ranked classes, without the layers.

mod config;
mod engine;
mod error;
mod folder;
mod pretrained;

pub use config::{FolderConfig, PretrainedConfig};
pub use engine::engine;
pub use error::ExportError;
pub use folder::{CONFIG, LoadedModel, WEIGHTS, open, save};
pub use pretrained::Pretrained;

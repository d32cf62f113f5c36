//! The model zoo: architectures, a registry of them by name, and published weights.
//!
//! ```
//! use ocelli_models::{ModelConfig, create, list};
//! assert!(list("resnet*").contains(&"resnet18"));
//! let model = create("resnet20_cifar", &ModelConfig { classes: 10, ..Default::default() })?;
//! assert_eq!(model.params().parameter_count(), 269_722);
//! # use ocelli_nn::Classifier;
//! # Ok::<(), ocelli_models::ModelError>(())
//! ```
//!
//! [`Model`] wraps a network with what is known about it; [`Model::load`] takes over a checkpoint that
//! [`weights`] has read from safetensors, from a PyTorch pickle or from the Hugging Face hub.

mod config;
mod error;
mod model;
mod registry;
pub mod weights;
pub mod zoo;

pub use config::{ModelArgs, ModelConfig, PadType};
pub use error::ModelError;
pub use model::{HeadPolicy, Model};
pub use registry::{Architecture, architecture, create, list};

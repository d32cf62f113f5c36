//! Layers with gradients over ocelli's kernels.
//!
//! A network is ordinary Rust: a struct of layers and a forward method. Four nouns:
//!
//! * [`ParamStore`]: all weights of a network in one ordered place, each a [`Param`] with its name (timm's),
//!   kind and stage. [`Scope`] is the path under which a layer creates its own.
//! * [`Feature`]: what flows between layers, channels last: `[N, H, W, C]` or `[N, C]`.
//! * [`Pass`]: how it flows: training or evaluation, the keys of dropout, the features someone wants to
//!   see, and, when asked, the recorder that turns the pass into an [`ocelli_graph::Graph`].
//! * [`Classifier`]: a network that gives logits.
//!
//! Layers live in [`layers`]; operations without weights are in [`functional`].

mod batch;
mod classifier;
mod clock;
mod error;
mod feature;
mod file;
pub mod functional;
mod gradients;
mod init;
pub mod layers;
mod memory;
mod numbers;
mod ops;
mod param;
mod pass;
mod record;
mod store;
mod tape;
mod values;

pub use batch::images;
pub use candle_core::{DType, Device, Tensor};
pub use classifier::{Block, Classifier};
pub use clock::OpTime;
pub use error::{Error, Result};
pub use feature::Feature;
pub use file::{DiskTensor, parse_safetensors, read_safetensors, write_safetensors};
pub use gradients::ParamGradients;
pub use init::Init;
pub use ocelli_kernels::Precision;
pub use ocelli_kernels::activation::Activation;
pub use ocelli_kernels::loss::softmax;
pub use ops::cross_entropy;
pub use param::{Kind, Layout, Param};
pub use pass::{Mode, Pass};
pub use record::record;
pub use store::{LoadReport, Mismatch, ParamStore, Scope};

//! Published weights: read from any of the usual files into one plain type, found on disk or on the hub.
//!
//! ```no_run
//! use ocelli_models::weights::{Hub, Source, read};
//! let source = Source::parse("hf-hub:timm/resnet18.a1_in1k")?; // or a folder, or a file
//! let checkpoint = read(&source.locate(&Hub::from_env())?.weights)?;
//! let stem = &checkpoint.tensors["conv1.weight"];
//! assert_eq!((&stem.shape[..], stem.to_f32().len()), (&[64, 3, 7, 7][..], stem.len()));
//! # Ok::<(), ocelli_models::weights::WeightsError>(())
//! ```
//!
//! [`read`] knows a file by its first bytes: safetensors, or what `torch.save` writes. A PyTorch file is a
//! Python pickle, a small program that may call anything; the interpreter here calls nothing but the few
//! constructors of tensors and containers it knows, refuses every other name, and treats lengths,
//! shapes and offsets as claims to be checked: a hostile file ends in an error.

mod checkpoint;
mod error;
mod hub;
mod pickle;
mod rename;
mod safetensors;
mod source;
mod state_dict;
mod tensor;

pub use checkpoint::{Checkpoint, Choice, Format, read, read_choice};
pub use error::{HubError, WeightsError};
pub use hub::{Hub, HubConfig};
pub use rename::mobilenet_v2_from_torchvision;
pub use source::{Located, Source};
pub use tensor::{Dtype, RawTensor};

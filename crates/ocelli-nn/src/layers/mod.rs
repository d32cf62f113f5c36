//! Layers: each creates its parameters under a [`Scope`](crate::Scope) and runs through a
//! [`Pass`](crate::Pass).

mod conv;
mod conv_norm_act;
mod drop_path;
mod dropout;
mod linear;
mod norm;
mod squeeze_excite;

pub use conv::{Conv2d, ConvConfig, Pad};
pub use conv_norm_act::ConvNormAct;
pub use drop_path::DropPath;
pub use dropout::Dropout;
pub use linear::Linear;
pub use norm::BatchNorm;
pub use squeeze_excite::SqueezeExcite;

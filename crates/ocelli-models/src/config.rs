//! What a user chooses about a network besides its architecture.

use serde::{Deserialize, Serialize};

/// How a network pads its strided convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PadType {
    /// The same on both sides, as PyTorch's networks.
    #[default]
    #[serde(rename = "")]
    Symmetric,
    /// The odd pixel behind, as TensorFlow's networks.
    #[serde(rename = "same")]
    Same,
}

/// Arguments of an architecture, under timm's names, as they stand in a model folder's `model_args`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelArgs {
    /// Padding of MobileNetV2's strided convolutions; a network without such an argument refuses it.
    #[serde(skip_serializing_if = "is_default")]
    pub pad_type: PadType,
    /// Probability of dropout before the classifier; the architecture's own where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_rate: Option<f32>,
    /// Probability of dropping the last residual branch; earlier ones less, in proportion.
    #[serde(skip_serializing_if = "is_default")]
    pub drop_path_rate: f32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a network is built with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelConfig {
    /// Number of classes.
    pub classes: usize,
    /// Seed of the initial weights.
    pub seed: u64,
    /// Arguments of the architecture.
    pub args: ModelArgs,
}

impl Default for ModelConfig {
    /// ImageNet-1k's 1000 classes, seed 0.
    fn default() -> Self {
        Self { classes: 1000, seed: 0, args: ModelArgs::default() }
    }
}

//! The operations a network is made of, with their attributes.

use serde::{Deserialize, Serialize};

/// Pixels added on each side of a feature map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

/// Elementwise functions, as PyTorch defines them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `x * sigmoid(x)`
    Silu,
    /// `min(max(x / 6 + 1/2, 0), 1)`
    HardSigmoid,
    /// `x * hard_sigmoid(x)`
    HardSwish,
    /// `x * Phi(x)`, by the error function
    Gelu,
}

/// An operation. Weights are named; their values are kept elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Cross-correlation of `[C, H, W]`.
    Conv {
        /// `[O, C / groups, kH, kW]`
        weight: String,
        /// `[O]`
        bias: Option<String>,
        /// `[kH, kW]`
        kernel: [usize; 2],
        /// `[vertical, horizontal]`
        stride: [usize; 2],
        /// Zeros around the input.
        padding: Padding,
        /// `[vertical, horizontal]`
        dilation: [usize; 2],
        /// Number of groups that channels are divided into.
        groups: usize,
    },
    /// `(x - mean) / sqrt(var + eps) * weight + bias`, per channel.
    BatchNorm {
        /// Scale, `[C]`.
        weight: String,
        /// Shift, `[C]`.
        bias: String,
        /// Running mean, `[C]`.
        mean: String,
        /// Running variance, `[C]`.
        var: String,
        /// Added to the variance.
        eps: f32,
    },
    /// `x W^T + b` on `[C]`.
    Linear {
        /// `[O, C]`
        weight: String,
        /// `[O]`
        bias: Option<String>,
    },
    /// An elementwise function.
    Activation(Activation),
    /// The largest value of each window; padding never wins.
    MaxPool {
        /// `[kH, kW]`
        kernel: [usize; 2],
        /// `[vertical, horizontal]`
        stride: [usize; 2],
        /// Ignored pixels around the input.
        padding: Padding,
        /// Whether a last, partial window counts.
        ceil_mode: bool,
    },
    /// The mean of each window.
    AveragePool {
        /// `[kH, kW]`
        kernel: [usize; 2],
        /// `[vertical, horizontal]`
        stride: [usize; 2],
        /// Zeros around the input.
        padding: Padding,
        /// Whether a last, partial window counts.
        ceil_mode: bool,
        /// Whether padding counts in the divisor.
        count_include_pad: bool,
    },
    /// `[C, H, W]` to `[C]`: the mean over all pixels.
    GlobalAveragePool,
    /// `[C, H, W]` to `[C * H * W]`, in that order.
    Flatten,
    /// The sum of two values of one shape.
    Add,
    /// The product of `[C, H, W]` and `[C, H, W]`, or of `[C, H, W]` and `[C]` (squeeze-excite).
    Multiply,
    /// Inputs one after the other along the channels.
    Concat,
    /// Channels of zeros before and behind those of the input.
    PadChannels {
        /// Channels before.
        before: usize,
        /// Channels behind.
        after: usize,
    },
}

impl Op {
    /// A short name for tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "Conv",
            Self::BatchNorm { .. } => "BatchNorm",
            Self::Linear { .. } => "Linear",
            Self::Activation(activation) => match activation {
                Activation::Relu => "ReLU",
                Activation::Relu6 => "ReLU6",
                Activation::Sigmoid => "Sigmoid",
                Activation::Silu => "SiLU",
                Activation::HardSigmoid => "HardSigmoid",
                Activation::HardSwish => "HardSwish",
                Activation::Gelu => "GELU",
            },
            Self::MaxPool { .. } => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::Flatten => "Flatten",
            Self::Add => "Add",
            Self::Multiply => "Multiply",
            Self::Concat => "Concat",
            Self::PadChannels { .. } => "PadChannels",
        }
    }

    /// The names of the weights it reads; learned ones and statistics.
    pub fn weights(&self) -> Vec<&str> {
        match self {
            Self::Conv { weight, bias, .. } | Self::Linear { weight, bias } => {
                std::iter::once(weight).chain(bias).map(String::as_str).collect()
            }
            Self::BatchNorm { weight, bias, mean, var, .. } => vec![weight, bias, mean, var],
            _ => Vec::new(),
        }
    }

    /// The names of the weights it reads that training moves by gradients.
    pub fn parameters(&self) -> Vec<&str> {
        let count = if matches!(self, Self::BatchNorm { .. }) { 2 } else { usize::MAX };
        self.weights().into_iter().take(count).collect()
    }
}

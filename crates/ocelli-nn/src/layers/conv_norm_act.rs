//! Convolution, batch norm and activation: the brick of a CNN.

use super::{BatchNorm, Conv2d, ConvConfig};
use crate::{Activation, Block, Feature, Pass, Result, Scope};

/// `act(norm(conv(x)) [+ residual])`.
#[derive(Debug)]
pub struct ConvNormAct {
    conv: Conv2d,
    norm: BatchNorm,
    activation: Activation,
}

impl ConvNormAct {
    /// Creates a convolution named `names[0]` and a batch norm named `names[1]` under `scope`; they are
    /// siblings, as in timm's networks (`conv1` and `bn1`).
    ///
    /// # Errors
    /// Where the names are taken or the channels do not fit.
    pub fn new(
        scope: &Scope,
        names: [&str; 2],
        config: ConvConfig,
        activation: Activation,
    ) -> Result<Self> {
        Ok(Self {
            conv: Conv2d::new(&scope.pp(names[0]), config)?,
            norm: BatchNorm::new(&scope.pp(names[1]), config.out_channels)?,
            activation,
        })
    }

    /// Starts the norm's scale at zero: a residual block that ends so starts as the identity (Goyal et al.
    /// 2017, arXiv:1706.02677).
    ///
    /// # Errors
    /// Where the device does not allow it.
    pub fn zero_norm(&self) -> Result<()> {
        self.norm.weight().update(|scale| scale.fill(0.0))
    }

    /// The same with another number added to the variance.
    pub fn eps(self, eps: f32) -> Self {
        Self { norm: self.norm.eps(eps), ..self }
    }

    /// `act(norm(conv(x)) + residual)`: the end of a residual block.
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn forward_add(&self, x: &Feature, residual: &Feature, pass: &mut Pass) -> Result<Feature> {
        let y = self.conv.forward(x, pass)?;
        self.norm.forward_act(&y, Some(residual), self.activation, pass)
    }
}

impl Block for ConvNormAct {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let y = self.conv.forward(x, pass)?;
        self.norm.forward_act(&y, None, self.activation, pass)
    }
}

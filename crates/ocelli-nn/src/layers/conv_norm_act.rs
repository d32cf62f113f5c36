//! Convolution, batch norm and activation: the brick of a CNN.

use super::{BatchNorm, Conv2d, ConvConfig};
use crate::ops::{Folding, activation, conv_norm_act};
use crate::{Activation, Block, Feature, Pass, Result, Scope};

/// `act(norm(conv(x)) [+ residual])`.
#[derive(Debug)]
pub struct ConvNormAct {
    conv: Conv2d,
    norm: BatchNorm,
    activation: Activation,
    folding: Folding,
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
            folding: Folding::default(),
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
        self.run(x, Some(residual), pass)
    }

    fn run(&self, x: &Feature, residual: Option<&Feature>, pass: &mut Pass) -> Result<Feature> {
        if let Some(y) = self.answer(x, residual, pass)? {
            return Ok(y);
        }
        let y = match self.norm.learns(pass) {
            true => self.conv.forward_summed(x, pass)?,
            false => self.conv.forward(x, pass)?,
        };
        self.norm.forward_act(&y, residual, self.activation, pass)
    }

    /// Everything in one step, where nothing learns and nobody records.
    fn answer(
        &self,
        x: &Feature,
        residual: Option<&Feature>,
        pass: &mut Pass,
    ) -> Result<Option<Feature>> {
        let (path, filters) = self.conv.filters();
        let tracked = [Some(x), residual].into_iter().flatten().any(|x| pass.tracks(x));
        let learns = filters.params().into_iter().any(|param| pass.learns(param));
        let Some(norm) = self.norm.fixed(pass) else { return Ok(None) };
        if tracked || learns || pass.records() {
            return Ok(None);
        }
        let clamps = self.activation.bounds().is_some();
        let act = if clamps { self.activation } else { Activation::Identity };
        let (features, weights) = ((x, residual), (filters, &norm, &self.folding));
        let y = conv_norm_act(path, features, weights, self.conv.shape(x)?, act, pass)?;
        let y = if clamps { y } else { activation(&y, self.activation, pass)? };
        pass.ended(path, || "Conv, BatchNorm");
        Ok(Some(y))
    }
}

impl Block for ConvNormAct {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.run(x, None, pass)
    }
}

//! Fully connected layer.

use std::sync::Arc;

use ocelli_graph::Op;
use ocelli_kernels::{ConvShape, Padding};

use crate::ops::{PackCache, conv};
use crate::{Block, Error, Feature, Init, Kind, Layout, Param, Pass, Result, Scope};

/// `x W^T + b`: `[N, C]` to `[N, O]`, with `weight` `[O, C]`.
#[derive(Debug)]
pub struct Linear {
    path: String,
    weight: Param,
    bias: Option<Param>,
    packed: Arc<PackCache>,
}

impl Linear {
    /// Creates `weight` and `bias` under `scope`, both uniform within `1 / sqrt(in_features)` as PyTorch.
    ///
    /// # Errors
    /// Where the names are taken.
    pub fn new(scope: &Scope, in_features: usize, out_features: usize) -> Result<Self> {
        Self::with_init(
            scope,
            in_features,
            out_features,
            Init::linear(in_features),
            Init::linear(in_features),
        )
    }

    /// [`new`](Self::new) with other initial values.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_init(
        scope: &Scope,
        in_features: usize,
        out_features: usize,
        weight: Init,
        bias: Init,
    ) -> Result<Self> {
        Ok(Self {
            path: scope.path().to_string(),
            weight: scope.param(
                "weight",
                &[out_features, in_features],
                weight,
                Kind::Weight,
                Layout::Plain,
            )?,
            bias: Some(scope.param("bias", &[out_features], bias, Kind::Bias, Layout::Plain)?),
            packed: Arc::default(),
        })
    }
}

impl Block for Linear {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let weight = pass.weight(&self.weight);
        let (out_channels, in_channels) = weight.dims2()?;
        let &[batch, features] = x.dims() else {
            return Err(Error::shape(&self.path, format!("wants [N, C], not {:?}", x.dims())));
        };
        if features != in_channels {
            return Err(Error::shape(
                &self.path,
                format!("wants {in_channels} features, not {features}"),
            ));
        }
        // A convolution of one pixel.
        let shape = ConvShape {
            batch,
            height: 1,
            width: 1,
            in_channels,
            out_channels,
            kernel: [1; 2],
            stride: [1; 2],
            padding: Padding::default(),
            dilation: [1; 2],
            groups: 1,
        };
        let bias = self.bias.as_ref().map(|bias| pass.weight(bias));
        let y = conv(
            x.tensor(),
            &weight,
            bias.as_ref(),
            shape,
            self.packed.clone(),
            self.weight.version(),
        )?;
        let y = y.reshape((batch, out_channels))?;
        let weights: Vec<&Param> = std::iter::once(&self.weight).chain(&self.bias).collect();
        pass.emit(&self.path, &[x], &weights, y, || Op::Linear {
            weight: self.weight.name().to_string(),
            bias: self.bias.as_ref().map(|bias| bias.name().to_string()),
        })
    }
}

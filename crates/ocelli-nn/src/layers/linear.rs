//! Fully connected layer.

use ocelli_graph::Op;
use ocelli_kernels::ConvShape;

use crate::ops::{End, Filters, conv};
use crate::{Block, Error, Feature, Init, Kind, Layout, Pass, Result, Scope};

/// `x W^T + b`: `[N, C]` to `[N, O]`, with `weight` `[O, C]`.
#[derive(Debug)]
pub struct Linear {
    path: String,
    in_features: usize,
    out_features: usize,
    filters: Filters,
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
        let shape = [out_features, in_features];
        let weight = scope.param("weight", &shape, weight, Kind::Weight, Layout::Plain)?;
        let bias = scope.param("bias", &shape[..1], bias, Kind::Bias, Layout::Plain)?;
        let (path, filters) = (scope.path().to_string(), Filters::new(weight, Some(bias)));
        Ok(Self { path, in_features, out_features, filters })
    }
}

impl Block for Linear {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let Self { path, in_features, out_features, filters } = self;
        let &[batch, features] = x.dims() else {
            return Err(Error::shape(path, format!("wants [N, C], not {:?}", x.dims())));
        };
        if features != *in_features {
            return Err(Error::shape(
                path,
                format!("wants {in_features} features, not {features}"),
            ));
        }
        // A convolution of one pixel.
        let shape = ConvShape::pixel(batch, *in_features, *out_features);
        let y = conv(path, x, filters, shape, End::PLAIN, pass)?;
        let y = y.reshaped(&[batch, *out_features]);
        pass.emit(path, &[x], &filters.params(), y, || Op::Linear {
            weight: filters.weight.name().to_string(),
            bias: filters.bias.as_ref().map(|bias| bias.name().to_string()),
        })
    }
}

//! 2-D convolution.

use ocelli_graph::Op;
use ocelli_kernels::{ConvShape, Padding};

use crate::ops::{End, Filters, conv};
use crate::{
    Activation, Block, Error, Feature, Init, Kind, Layout, Pass, Result, Scope, functional,
};

/// How the border of a feature map is padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// Rows above and below, columns left and right.
    Symmetric([usize; 2]),
    /// TensorFlow's: as much as makes the output `ceil(size / stride)`, the odd pixel below and to the
    /// right.
    Same,
}

/// What a convolution is. The default is 1 x 1, stride 1, no padding, no bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvConfig {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// `[height, width]` of the filters.
    pub kernel: [usize; 2],
    /// `[vertical, horizontal]`
    pub stride: [usize; 2],
    /// What is added around the input.
    pub pad: Pad,
    /// `[vertical, horizontal]`
    pub dilation: [usize; 2],
    /// Number of groups that channels are divided into; as many as channels makes it depthwise.
    pub groups: usize,
    /// Whether each output channel has a shift.
    pub bias: bool,
}

impl ConvConfig {
    /// A square filter with stride 1 that keeps the size of the map (for odd kernels).
    pub fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            pad: Pad::Symmetric([kernel / 2; 2]),
            dilation: [1; 2],
            groups: 1,
            bias: false,
        }
    }

    /// The same with a stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with a padding.
    pub fn pad(self, pad: Pad) -> Self {
        Self { pad, ..self }
    }

    /// The same with one group per channel.
    pub fn depthwise(self) -> Self {
        Self { groups: self.in_channels, ..self }
    }

    /// The same with a bias.
    pub fn bias(self) -> Self {
        Self { bias: true, ..self }
    }
}

/// Cross-correlation of `[N, H, W, C]` with `weight` `[O, kH, kW, C / groups]`, plus `bias` `[O]`.
#[derive(Debug)]
pub struct Conv2d {
    path: String,
    config: ConvConfig,
    filters: Filters,
}

impl Conv2d {
    /// Creates `weight` (Kaiming normal, fan out) and, if wanted, `bias` (zero) under `scope`.
    ///
    /// # Errors
    /// Where the names are taken or the channels do not divide into the groups.
    pub fn new(scope: &Scope, config: ConvConfig) -> Result<Self> {
        let fan_out =
            config.out_channels * config.kernel[0] * config.kernel[1] / config.groups.max(1);
        Self::with_init(scope, config, Init::kaiming_fan_out(fan_out))
    }

    /// [`new`](Self::new) with other initial weights.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_init(scope: &Scope, config: ConvConfig, init: Init) -> Result<Self> {
        let ConvConfig { in_channels, out_channels, kernel: [rows, columns], groups, .. } = config;
        if groups == 0
            || !in_channels.is_multiple_of(groups)
            || !out_channels.is_multiple_of(groups)
        {
            return Err(Error::shape(
                scope.path(),
                format!(
                    "{in_channels} to {out_channels} channels do not divide into {groups} groups"
                ),
            ));
        }
        let shape = [out_channels, rows, columns, in_channels / groups];
        let weight = scope.param("weight", &shape, init, Kind::Weight, Layout::Filter)?;
        let bias = match config.bias {
            true => Some(scope.param(
                "bias",
                &[out_channels],
                Init::Constant(0.0),
                Kind::Bias,
                Layout::Plain,
            )?),
            false => None,
        };
        Ok(Self { path: scope.path().to_string(), config, filters: Filters::new(weight, bias) })
    }

    /// What it is.
    pub fn config(&self) -> &ConvConfig {
        &self.config
    }

    fn padding(&self, size: [usize; 2]) -> Padding {
        let ConvConfig { kernel, stride, dilation, pad, .. } = self.config;
        match pad {
            Pad::Symmetric([rows, columns]) => Padding::symmetric(rows, columns),
            Pad::Same => Padding::same(size, kernel, stride, dilation),
        }
    }

    /// Runs it, and a function of each value, which is named `path`. A clamp costs nothing so: it is applied
    /// while the sums are in registers, and what lies before it is not kept.
    ///
    /// # Errors
    /// Where the feature does not fit.
    pub fn forward_act(
        &self,
        x: &Feature,
        act: Activation,
        path: &str,
        pass: &mut Pass,
    ) -> Result<Feature> {
        if act.bounds().is_none() {
            return functional::activation(path, &self.forward(x, pass)?, act, pass);
        }
        let y = self.run(x, End { act, ..End::PLAIN }, pass)?;
        match functional::graph_activation(act) {
            Some(op) => pass.emit(path, &[&y], &[], y.clone(), || Op::Activation(op)),
            None => Ok(y),
        }
    }

    /// Runs it for a batch norm that wants to know the moments of the result.
    pub(super) fn forward_summed(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.run(x, End { summed: true, ..End::PLAIN }, pass)
    }

    fn run(&self, x: &Feature, end: End, pass: &mut Pass) -> Result<Feature> {
        let shape = self.shape(x)?;
        let y = conv(&self.path, x, &self.filters, shape, end, pass)?;
        let Filters { weight, bias, .. } = &self.filters;
        pass.emit(&self.path, &[x], &self.filters.params(), y, || Op::Conv {
            weight: weight.name().to_string(),
            bias: bias.as_ref().map(|bias| bias.name().to_string()),
            kernel: shape.kernel,
            stride: shape.stride,
            padding: functional::graph_padding(shape.padding),
            dilation: shape.dilation,
            groups: shape.groups,
        })
    }

    /// Its path and its weights.
    pub(super) fn filters(&self) -> (&str, &Filters) {
        (&self.path, &self.filters)
    }

    pub(super) fn shape(&self, x: &Feature) -> Result<ConvShape> {
        let &[batch, height, width, channels] = x.dims() else {
            return Err(Error::shape(
                &self.path,
                format!("wants [N, H, W, C], not {:?}", x.dims()),
            ));
        };
        let ConvConfig { in_channels, out_channels, kernel, stride, dilation, groups, .. } =
            self.config;
        if channels != in_channels {
            return Err(Error::shape(
                &self.path,
                format!("wants {in_channels} channels, not {channels}"),
            ));
        }
        let padding = self.padding([height, width]);
        let shape = ConvShape {
            batch,
            height,
            width,
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            dilation,
            groups,
        };
        shape.check().map_err(|error| Error::shape(&self.path, error.to_string()))?;
        Ok(shape)
    }
}

impl Block for Conv2d {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.run(x, End::PLAIN, pass)
    }
}

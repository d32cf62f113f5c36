//! Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167).

use ocelli_graph::Op;

use crate::functional::graph_activation;
use crate::ops::{Norm, NormAct, norm_act};
use crate::pass::Statistics;
use crate::{
    Activation, Block, Error, Feature, Init, Kind, Layout, Mode, Param, Pass, Result, Scope,
};

/// `(x - mean) / sqrt(var + eps) * weight + bias`, per channel, with what usually follows it.
///
/// In training, mean and variance are the batch's; the running ones move by `momentum` toward them when
/// the step is done ([`Pass::update_statistics`]). In evaluation, and always in a frozen stage, they are
/// the running ones.
#[derive(Debug)]
pub struct BatchNorm {
    path: String,
    weight: Param,
    bias: Param,
    mean: Param,
    var: Param,
    eps: f32,
    momentum: f32,
}

impl BatchNorm {
    /// PyTorch's default, added to the variance.
    pub const EPS: f32 = 1e-5;
    /// PyTorch's default share of the batch in the running statistics.
    pub const MOMENTUM: f32 = 0.1;

    /// Creates `weight` (one), `bias` (zero), `running_mean` and `running_var` under `scope`.
    ///
    /// # Errors
    /// Where the names are taken.
    pub fn new(scope: &Scope, channels: usize) -> Result<Self> {
        let param = |name: &str, value: f32, kind: Kind| {
            scope.param(name, &[channels], Init::Constant(value), kind, Layout::Plain)
        };
        Ok(Self {
            path: scope.path().to_string(),
            weight: param("weight", 1.0, Kind::Norm)?,
            bias: param("bias", 0.0, Kind::Norm)?,
            mean: param("running_mean", 0.0, Kind::Buffer)?,
            var: param("running_var", 1.0, Kind::Buffer)?,
            eps: Self::EPS,
            momentum: Self::MOMENTUM,
        })
    }

    /// The same with another number added to the variance: TensorFlow's networks have 1e-3.
    pub fn eps(self, eps: f32) -> Self {
        Self { eps, ..self }
    }

    /// The scale, `[C]`.
    pub fn weight(&self) -> &Param {
        &self.weight
    }

    /// Its parameters, if this pass only uses them: it normalises by the running statistics, and nothing learns.
    pub(super) fn fixed(&self, pass: &Pass) -> Option<Norm<'_>> {
        let Self { weight, bias, mean, var, eps, .. } = self;
        let learns = self.learns(pass) || pass.learns(weight) || pass.learns(bias);
        (!learns).then_some(Norm { weight, bias, mean, var, eps: *eps })
    }

    /// Whether statistics are the batch's.
    pub(super) fn learns(&self, pass: &Pass) -> bool {
        pass.mode() == Mode::Train && !self.mean.is_frozen()
    }

    /// `act(norm(x) [+ residual])`, in one step.
    ///
    /// # Errors
    /// Where the channels or the residual's shape do not fit.
    pub fn forward_act(
        &self,
        x: &Feature,
        residual: Option<&Feature>,
        activation: Activation,
        pass: &mut Pass,
    ) -> Result<Feature> {
        let channels = self.weight.len();
        if x.channels() != channels {
            return Err(Error::shape(
                &self.path,
                format!("wants {channels} channels, not {:?}", x.dims()),
            ));
        }
        if let Some(residual) = residual.filter(|residual| residual.dims() != x.dims()) {
            let reason = format!("cannot add {:?} to {:?}", residual.dims(), x.dims());
            return Err(Error::shape(&self.path, reason));
        }
        let learns = self.learns(pass);
        let fused =
            matches!(activation, Activation::Identity | Activation::Relu | Activation::Relu6);
        let config = NormAct {
            gamma: &self.weight,
            beta: &self.bias,
            eps: self.eps,
            activation: if fused { activation } else { Activation::Identity },
            statistics: if learns { None } else { Some([&self.mean, &self.var]) },
        };
        let (mut y, norm) = norm_act(x, residual, &config, pass)?;
        if learns {
            let rows = (x.len() / channels) as f32;
            let unbiased = if rows > 1.0 { rows / (rows - 1.0) } else { 1.0 };
            pass.observe(Statistics {
                mean: self.mean.clone(),
                var: self.var.clone(),
                batch_mean: norm.mean().to_vec(),
                batch_var: norm.var().iter().map(|var| var * unbiased).collect(),
                momentum: self.momentum,
            });
        }
        if !fused {
            y = crate::ops::activation(&y, activation, pass)?;
        }
        self.record(x, residual, activation, y, pass)
    }

    /// One fused step is up to three nodes.
    fn record(
        &self,
        x: &Feature,
        residual: Option<&Feature>,
        activation: Activation,
        y: Feature,
        pass: &mut Pass,
    ) -> Result<Feature> {
        let weights = [&self.weight, &self.bias, &self.mean, &self.var];
        let mut out = pass.emit(&self.path, &[x], &weights, y.clone(), || Op::BatchNorm {
            weight: self.weight.name().to_string(),
            bias: self.bias.name().to_string(),
            mean: self.mean.name().to_string(),
            var: self.var.name().to_string(),
            eps: self.eps,
        })?;
        if let Some(residual) = residual {
            out = pass.emit(&self.path, &[&out, residual], &[], y.clone(), || Op::Add)?;
        }
        match graph_activation(activation) {
            Some(activation) => {
                pass.emit(&self.path, &[&out], &[], y, || Op::Activation(activation))
            }
            None => Ok(out),
        }
    }
}

impl Block for BatchNorm {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        self.forward_act(x, None, Activation::Identity, pass)
    }
}

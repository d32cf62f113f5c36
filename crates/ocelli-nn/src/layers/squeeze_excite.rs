//! Squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507).

use ocelli_graph::Op;

use super::Linear;
use crate::{Activation, Block, Feature, Pass, Result, Scope, functional, ops};

/// Scales each channel by what the means of all channels say about it:
/// `x * gate(expand(act(reduce(mean(x)))))`.
#[derive(Debug)]
pub struct SqueezeExcite {
    path: String,
    reduce: Linear,
    expand: Linear,
    activation: Activation,
    gate: Activation,
}

impl SqueezeExcite {
    /// Creates linear layers `fc1` (`channels` to `reduced`) and `fc2` (back) under `scope`, with ReLU
    /// between and a sigmoid gate.
    ///
    /// # Errors
    /// Where the names are taken.
    pub fn new(scope: &Scope, channels: usize, reduced: usize) -> Result<Self> {
        Ok(Self {
            path: scope.path().to_string(),
            reduce: Linear::new(&scope.pp("fc1"), channels, reduced)?,
            expand: Linear::new(&scope.pp("fc2"), reduced, channels)?,
            activation: Activation::Relu,
            gate: Activation::Sigmoid,
        })
    }

    /// The same with other functions between the layers and behind them.
    pub fn activations(self, activation: Activation, gate: Activation) -> Self {
        Self { activation, gate, ..self }
    }
}

impl Block for SqueezeExcite {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let mean = functional::global_average_pool(&self.path, x, pass)?;
        let reduced = self.reduce.forward(&mean, pass)?;
        let reduced = functional::activation(&self.path, &reduced, self.activation, pass)?;
        let gate = self.expand.forward(&reduced, pass)?;
        let gate = functional::activation(&self.path, &gate, self.gate, pass)?;
        let y = ops::gate(x, &gate, pass)?;
        pass.emit(&self.path, &[x, &gate], &[], y, || Op::Multiply)
    }
}

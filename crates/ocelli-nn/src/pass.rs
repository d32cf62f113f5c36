//! One way through a network.

use std::sync::Arc;

use candle_core::Tensor;
use indexmap::IndexMap;
use ocelli_core::random::{Purpose, Stream, key_of};
use ocelli_graph::Op;
use ocelli_kernels::Precision;

use crate::clock::{Clock, OpTime};
use crate::feature::Origin;
use crate::memory::Buffer;
use crate::record::Recorder;
use crate::tape::{Backward, Gradients, Tape};
use crate::values::Values;
use crate::{Error, Feature, Param, ParamGradients, Result};

/// Whether a network learns or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, dropout and drop-path are active in stages that are not frozen.
    Train,
    /// Running statistics; nothing is random.
    Eval,
}

/// One way through a network: the second argument of every layer.
#[derive(Debug)]
pub struct Pass {
    mode: Mode,
    precision: Precision,
    seed: u64,
    step: u64,
    tape: Tape,
    clock: Option<Clock>,
    statistics: Vec<Statistics>,
    taps: Option<IndexMap<String, Feature>>,
    pub(crate) recorder: Option<Recorder>,
}

/// What a batch norm saw, to move its running statistics by once the step is done.
#[derive(Debug)]
pub(crate) struct Statistics {
    pub(crate) mean: Param,
    pub(crate) var: Param,
    pub(crate) batch_mean: Vec<f32>,
    /// Unbiased, as PyTorch's running variance.
    pub(crate) batch_var: Vec<f32>,
    pub(crate) momentum: f32,
}

impl Pass {
    /// A pass that answers.
    pub fn eval() -> Self {
        Self {
            mode: Mode::Eval,
            precision: Precision::default(),
            seed: 0,
            step: 0,
            tape: Tape::default(),
            clock: None,
            statistics: Vec::new(),
            taps: None,
            recorder: None,
        }
    }

    /// A pass that learns. Dropout is keyed by (`seed`, `step`, layer path).
    pub fn train(seed: u64, step: u64) -> Self {
        Self { mode: Mode::Train, seed, step, ..Self::eval() }
    }

    /// The same with another precision.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// How its arithmetic is done.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Keeps the features that the network names on its way, for [`take_taps`](Self::take_taps).
    pub fn with_taps(self) -> Self {
        Self { taps: Some(IndexMap::new()), ..self }
    }

    /// Takes the time of every operation from now on, for [`times`](Self::times).
    pub fn timed(self) -> Self {
        Self { clock: Some(Clock::start()), ..self }
    }

    /// What each operation took so far, in order; empty unless asked for by [`timed`](Self::timed).
    pub fn times(&self) -> Vec<OpTime> {
        self.clock.as_ref().map(Clock::times).unwrap_or_default()
    }

    pub(crate) fn recording(recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..Self::eval() }
    }

    /// Whether the network learns or answers.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A parameter's value for this pass: tracked by autograd where the pass learns and the parameter is
    /// trainable, and only there.
    pub fn weight(&self, param: &Param) -> Tensor {
        match self.mode {
            Mode::Train => param.tensor(),
            Mode::Eval => param.detached(),
        }
    }

    /// Offers a feature under a name (`layer1`, `features.12`), for whoever wants to see it.
    pub fn tap(&mut self, name: &str, feature: &Feature) {
        if let Some(taps) = &mut self.taps {
            taps.insert(name.to_string(), feature.clone());
        }
    }

    /// The features that were offered, in order; empty unless asked for by [`with_taps`](Self::with_taps).
    pub fn take_taps(&mut self) -> IndexMap<String, Feature> {
        self.taps.take().unwrap_or_default()
    }

    /// The random numbers of the layer at `path` in this step.
    pub fn stream(&self, path: &str) -> Stream {
        Stream::new(self.seed, Purpose::Layer, self.step, key_of(path))
    }

    pub(crate) fn observe(&mut self, statistics: Statistics) {
        self.statistics.push(statistics);
    }

    /// Moves the running statistics of the batch norms by what they saw in this pass. To be called once a
    /// step, after the forward pass.
    ///
    /// # Errors
    /// Where the device does not allow it.
    pub fn update_statistics(&mut self) -> Result<()> {
        for seen in self.statistics.drain(..) {
            let toward = |values: &mut [f32], batch: &[f32]| {
                for (value, batch) in values.iter_mut().zip(batch) {
                    *value += seen.momentum * (batch - *value);
                }
            };
            seen.mean.update(|values| toward(values, &seen.batch_mean))?;
            seen.var.update(|values| toward(values, &seen.batch_var))?;
        }
        Ok(())
    }

    /// The gradients of a loss with respect to all parameters that learn. The loss is a scalar that candle
    /// computed from [tensors](Feature::tensor) of this pass; to be called once, as it uses the pass up.
    ///
    /// # Errors
    /// Where the loss is no scalar, or an operation of candle on the way has no gradient.
    pub fn backward(&mut self, loss: &Tensor) -> Result<ParamGradients> {
        self.tape.backward(loss.backward()?, self.clock.as_mut())
    }

    /// An operation has ended, for the clock.
    pub(crate) fn ended(&mut self, path: &str, op: impl FnOnce() -> &'static str) {
        if let Some(clock) = &mut self.clock {
            clock.forward(path, op(), self.tape.len());
        }
    }

    /// Whether it is recorded: then shapes matter, and values do not.
    pub(crate) fn records(&self) -> bool {
        self.recorder.is_some()
    }

    /// Whether a gradient flows into a feature.
    pub(crate) fn tracks(&self, x: &Feature) -> bool {
        self.mode == Mode::Train && !matches!(x.origin, Origin::Constant)
    }

    /// Whether the pass computes a gradient for a parameter.
    pub(crate) fn learns(&self, param: &Param) -> bool {
        self.mode == Mode::Train && param.is_trainable()
    }

    /// The number of a feature on the tape, if a gradient flows into it.
    pub(crate) fn node(&mut self, x: &Feature) -> Result<Option<usize>> {
        if self.mode == Mode::Eval {
            return Ok(None);
        }
        let node = match &x.origin {
            Origin::Constant => return Ok(None),
            Origin::Node(node) => node.clone(),
            Origin::Candle(tensor) => self.tape.push_island(tensor.clone()),
        };
        match self.tape.index_of(&node) {
            Some(index) => Ok(Some(index)),
            None => Err(Error::shape("feature", "comes from another pass that learns")),
        }
    }

    /// A way back, boxed: spares each operation the types.
    pub(crate) fn backward_of(
        &self,
        way: impl FnOnce(&Arc<Buffer>, &mut Gradients) -> Result<()> + Send + 'static,
    ) -> Backward {
        Box::new(|dy, gradients| way(&dy.written().wide(), gradients))
    }

    /// The same for one that can compute the gradient that it reads, or read bf16.
    pub(crate) fn backward_from(
        &self,
        way: impl FnOnce(&Values, &mut Gradients) -> Result<()> + Send + 'static,
    ) -> Backward {
        Box::new(way)
    }

    /// Whether features of this shape are bf16: maps are, vectors and maps of one pixel are not.
    pub(crate) fn narrows(&self, dims: &[usize]) -> bool {
        matches!(*dims, [_, height, width, _] if self.precision.narrows(height, width))
    }

    /// What an operation computed, with its way back if a gradient is to flow. What was computed in another width
    /// than features of this shape have is converted.
    pub(crate) fn output(
        &mut self,
        dims: &[usize],
        values: impl Into<Values>,
        backward: Option<Backward>,
    ) -> Feature {
        let narrow = self.narrows(dims);
        let origin = match backward {
            Some(backward) => Origin::Node(self.tape.push(backward, narrow)),
            None => Origin::Constant,
        };
        Feature::made(dims, values.into().like(narrow), origin)
    }

    /// The result of an operation; where the pass records, with the node that made it.
    ///
    /// `weights` are the parameters it read. Functions that compute on tensors themselves call this to
    /// stay visible to the other readers of a network.
    ///
    /// # Errors
    /// Where an input went around the pass, or the node does not fit the recorded graph.
    pub fn emit(
        &mut self,
        path: &str,
        inputs: &[&Feature],
        weights: &[&Param],
        output: Feature,
        op: impl FnOnce() -> Op,
    ) -> Result<Feature> {
        let Some(recorder) = &mut self.recorder else {
            self.ended(path, || op().name());
            return Ok(output);
        };
        let values = inputs
            .iter()
            .map(|input| recorder.value_of(path, input))
            .collect::<Result<Vec<_>>>()?;
        let value = recorder.push(path, op(), &values, weights)?;
        recorder.check(path, value, &output)?;
        Ok(output.recorded(Some(value)))
    }
}

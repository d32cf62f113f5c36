//! Optimizers: SGD, Adam and AdamW, with PyTorch's update rules.

mod config;
mod rules;

use std::collections::BTreeMap;

use ocelli_nn::{DiskTensor, Kind, Param, ParamGradients};

pub use self::config::{Adam, AdamW, OptimizerConfig, Sgd};
use self::rules::{AdamStep, SgdStep};
use crate::TrainError;

/// Changes weights by their gradients, and keeps what it must remember of each, by the weight's name.
#[derive(Clone, Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    slots: BTreeMap<String, Slot>,
    /// Whether the slots were loaded: then each parameter must have one.
    resumed: bool,
}

/// What is remembered of a parameter: momentum, or Adam's two means and how many steps they are made of.
#[derive(Clone, Debug, Default)]
struct Slot {
    steps: u64,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Optimizer {
    /// An optimizer that remembers nothing yet.
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, slots: BTreeMap::new(), resumed: false }
    }

    /// What it was made from.
    pub fn config(&self) -> &OptimizerConfig {
        &self.config
    }

    /// Takes a step: each parameter follows its gradient at its own rate. Parameters without a gradient stay
    /// as they are, state included.
    ///
    /// # Errors
    /// Where no parameter has a gradient, or a gradient or the loaded state does not have the parameter's size.
    pub fn step(
        &mut self,
        params: &[Param],
        gradients: &ParamGradients,
        rate: impl Fn(&Param) -> f64,
    ) -> Result<(), TrainError> {
        let mut stepped = false;
        for param in params {
            if let Some(gradient) = gradients.get(param) {
                self.step_one(param, gradient, rate(param))?;
                stepped = true;
            }
        }
        match params.first() {
            Some(param) if !stepped => Err(TrainError::Gradient {
                name: param.name().to_string(),
                what: "missing, as all others: they come from `Pass::backward`".to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn step_one(&mut self, param: &Param, gradient: &[f32], rate: f64) -> Result<(), TrainError> {
        let len = param.len();
        if gradient.len() != len {
            let what = format!("made of {} values, the parameter of {len}", gradient.len());
            return Err(TrainError::Gradient { name: param.name().to_string(), what });
        }
        let spared = param.kind() != Kind::Weight;
        match self.config.clone() {
            OptimizerConfig::Sgd(sgd) => {
                let step = SgdStep {
                    rate: rate as f32,
                    momentum: sgd.momentum as f32,
                    nesterov: sgd.nesterov,
                    decay: if spared { 0.0 } else { sgd.weight_decay as f32 },
                };
                if sgd.momentum == 0.0 {
                    return Ok(param.update(|weights| step.plain(weights, gradient))?);
                }
                let buffer = &mut self.slot(param, len)?.first;
                Ok(param.update(|weights| step.with_buffer(weights, gradient, buffer))?)
            }
            OptimizerConfig::Adam(Adam { beta1, beta2, eps, weight_decay }) => {
                let decay = if spared { 0.0 } else { weight_decay };
                let adam = |steps| adam_step((beta1, beta2, eps), rate, steps, (decay, 1.0));
                self.adam(param, gradient, adam)
            }
            OptimizerConfig::AdamW(AdamW { beta1, beta2, eps, weight_decay }) => {
                let keep = if spared { 1.0 } else { 1.0 - rate * weight_decay };
                let adam = |steps| adam_step((beta1, beta2, eps), rate, steps, (0.0, keep));
                self.adam(param, gradient, adam)
            }
        }
    }

    fn adam(
        &mut self,
        param: &Param,
        gradient: &[f32],
        step: impl Fn(u64) -> AdamStep,
    ) -> Result<(), TrainError> {
        let slot = self.slot(param, gradient.len())?;
        slot.steps += 1;
        let step = step(slot.steps);
        let (mean, square) = (&mut slot.first, &mut slot.second);
        Ok(param.update(|weights| step.run(weights, gradient, mean, square))?)
    }

    /// What is remembered of a parameter; zeros at first.
    fn slot(&mut self, param: &Param, len: usize) -> Result<&mut Slot, TrainError> {
        let name = param.name();
        let two = !matches!(self.config, OptimizerConfig::Sgd(_));
        if !self.slots.contains_key(name) {
            if self.resumed {
                return Err(mismatch(format!("the optimizer's saved state lacks `{name}`")));
            }
            let second = if two { vec![0.0; len] } else { Vec::new() };
            let slot = Slot { steps: 0, first: vec![0.0; len], second };
            self.slots.insert(name.to_string(), slot);
        }
        let slot = self.slots.entry(name.to_string()).or_default();
        for found in std::iter::once(slot.first.len()).chain(two.then_some(slot.second.len())) {
            if found != len {
                return Err(mismatch(format!(
                    "the optimizer's saved state of `{name}` has {found} values, the parameter {len}"
                )));
            }
        }
        Ok(slot)
    }

    /// What it remembers, by names such as `momentum/layer1.0.conv1.weight`; each a flat list in the order in
    /// which the parameter lies in memory. Adam's `steps` are one number each.
    pub fn state(&self) -> Vec<(String, DiskTensor)> {
        let flat = |values: Vec<f32>| DiskTensor { shape: vec![values.len()], values };
        let mut state = Vec::new();
        for (name, slot) in &self.slots {
            let [first, second, steps] = self.parts();
            state.push((format!("{first}/{name}"), flat(slot.first.clone())));
            if !second.is_empty() {
                state.push((format!("{second}/{name}"), flat(slot.second.clone())));
                // Exact up to 2^24 steps; long before that the bias corrections are 1 and it changes nothing.
                state.push((format!("{steps}/{name}"), flat(vec![slot.steps as f32])));
            }
        }
        state
    }

    /// Takes over what [`state`](Self::state) gave, in place of what it remembers. The steps after it are
    /// those that the optimizer which gave it would have taken.
    ///
    /// # Errors
    /// Where the state is another optimizer's, or a part of it is missing or damaged.
    pub fn load_state(&mut self, state: &[(String, DiskTensor)]) -> Result<(), TrainError> {
        let [first, second, steps] = self.parts();
        let mut slots: BTreeMap<String, (Slot, usize)> = BTreeMap::new();
        for (key, tensor) in state {
            let (part, name) = key.split_once('/').unwrap_or((key, ""));
            if part.is_empty() || ![first, second, steps].contains(&part) || name.is_empty() {
                let optimizer = &self.config;
                return Err(mismatch(format!(
                    "the saved state `{key}` is not one of this optimizer, {optimizer:?}"
                )));
            }
            if let Some(bad) = tensor.values.iter().find(|value| !value.is_finite()) {
                return Err(mismatch(format!("the saved state `{key}` holds {bad}")));
            }
            let (slot, found) = slots.entry(name.to_string()).or_default();
            *found += 1;
            if part == first {
                slot.first.clone_from(&tensor.values);
            } else if part == second {
                slot.second.clone_from(&tensor.values);
            } else {
                slot.steps = match tensor.values[..] {
                    [steps] if steps >= 0.0 => steps as u64,
                    _ => {
                        return Err(mismatch(format!(
                            "the saved state `{key}` is no number of steps"
                        )));
                    }
                };
            }
        }
        let wanted = self.parts().iter().filter(|part| !part.is_empty()).count();
        if let Some((name, _)) = slots.iter().find(|(_, (_, found))| *found != wanted) {
            return Err(mismatch(format!("the optimizer's saved state of `{name}` is incomplete")));
        }
        self.resumed = !slots.is_empty();
        self.slots = slots.into_iter().map(|(name, (slot, _))| (name, slot)).collect();
        Ok(())
    }

    /// What the parts of a slot are called; empty where there is none.
    fn parts(&self) -> [&'static str; 3] {
        match self.config {
            OptimizerConfig::Sgd(_) => ["momentum", "", ""],
            _ => ["mean", "square", "steps"],
        }
    }
}

fn adam_step(
    (beta1, beta2, eps): (f64, f64, f64),
    rate: f64,
    steps: u64,
    (decay, keep): (f64, f64),
) -> AdamStep {
    let power = |beta: f64| beta.powf(steps as f64);
    AdamStep {
        beta1: beta1 as f32,
        beta2: beta2 as f32,
        rest1: (1.0 - beta1) as f32,
        rest2: (1.0 - beta2) as f32,
        size: (rate / (1.0 - power(beta1))) as f32,
        root: (1.0 / (1.0 - power(beta2)).sqrt()) as f32,
        eps: eps as f32,
        decay: decay as f32,
        keep: keep as f32,
    }
}

fn mismatch(reason: String) -> TrainError {
    TrainError::Mismatch(format!("{reason}; resume with the recipe of the run folder"))
}

#[cfg(test)]
mod tests;

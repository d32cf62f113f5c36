//! Optimizers as plain data.

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// How weights follow gradients.
///
/// In a recipe: `optimizer = { name = "sgd", momentum = 0.9 }`. Weight decay concerns weights alone: norms and
/// biases are spared, where PyTorch's optimizers decay whatever they are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// Gradient descent with momentum.
    Sgd(Sgd),
    /// Adam with L2 regularisation in the gradient (Kingma & Ba 2015, arXiv:1412.6980).
    Adam(Adam),
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
    #[serde(rename = "adamw")]
    AdamW(AdamW),
}

/// Stochastic gradient descent, PyTorch's variant: the buffer holds gradients, not steps, so a changed rate
/// acts at once; no dampening.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Share of the last direction that is kept, 0..1.
    pub momentum: f64,
    /// Looks one step ahead along the momentum (Sutskever et al. 2013).
    pub nesterov: bool,
    /// Share of a weight that is added to its gradient.
    pub weight_decay: f64,
}

/// Adam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Share of the last mean of the gradients that is kept, 0..1.
    pub beta1: f64,
    /// Share of the last mean of their squares that is kept, 0..1.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Share of a weight that is added to its gradient.
    pub weight_decay: f64,
}

/// Adam with decoupled weight decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Share of the last mean of the gradients that is kept, 0..1.
    pub beta1: f64,
    /// Share of the last mean of their squares that is kept, 0..1.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Share of a weight that is taken away in a step, times the rate.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: true, weight_decay: 1e-4 }
    }
}

impl Default for Adam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.05 }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::sgd()
    }
}

impl OptimizerConfig {
    /// Nesterov momentum 0.9, weight decay 1e-4.
    pub fn sgd() -> Self {
        Self::Sgd(Sgd::default())
    }

    /// Betas 0.9 and 0.999, no weight decay.
    pub fn adam() -> Self {
        Self::Adam(Adam::default())
    }

    /// Betas 0.9 and 0.999, weight decay 0.05.
    pub fn adamw() -> Self {
        Self::AdamW(AdamW::default())
    }

    /// The same with another weight decay.
    pub fn set_weight_decay(&mut self, decay: f64) {
        match self {
            Self::Sgd(sgd) => sgd.weight_decay = decay,
            Self::Adam(adam) => adam.weight_decay = decay,
            Self::AdamW(adam) => adam.weight_decay = decay,
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// Names the first one that makes no sense and says what would.
    pub fn check(&self) -> Result<(), TrainError> {
        match self {
            Self::Sgd(sgd) => {
                share("optimizer.momentum", sgd.momentum)?;
                if sgd.nesterov && sgd.momentum == 0.0 {
                    let wanted = "a momentum above 0 (set nesterov = false to go without)";
                    return Err(wrong("optimizer.momentum", 0.0, wanted));
                }
                not_negative("optimizer.weight_decay", sgd.weight_decay)
            }
            Self::Adam(Adam { beta1, beta2, eps, weight_decay })
            | Self::AdamW(AdamW { beta1, beta2, eps, weight_decay }) => {
                share("optimizer.beta1", *beta1)?;
                share("optimizer.beta2", *beta2)?;
                not_negative("optimizer.eps", *eps)?;
                not_negative("optimizer.weight_decay", *weight_decay)
            }
        }
    }
}

fn share(name: &'static str, value: f64) -> Result<(), TrainError> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(wrong(name, value, "a number from 0 to below 1"))
    }
}

fn not_negative(name: &'static str, value: f64) -> Result<(), TrainError> {
    let fine = value.is_finite() && value >= 0.0;
    if fine { Ok(()) } else { Err(wrong(name, value, "a finite number, 0 or above")) }
}

fn wrong(name: &'static str, value: f64, wanted: &'static str) -> TrainError {
    TrainError::Config { name, value: value.to_string(), wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_and_writes_recipes() {
        let read = |text: &str| serde_json::from_str::<OptimizerConfig>(text);
        assert_eq!(read(r#"{"name": "sgd"}"#).unwrap(), OptimizerConfig::sgd());
        assert_eq!(read(r#"{"name": "adamw"}"#).unwrap(), OptimizerConfig::adamw());
        let mut adam = OptimizerConfig::adam();
        adam.set_weight_decay(0.5);
        assert_eq!(read(r#"{"name": "adam", "weight_decay": 0.5}"#).unwrap(), adam);
        assert_eq!(read(&serde_json::to_string(&adam).unwrap()).unwrap(), adam);
        let error = read(r#"{"name": "sgd", "beta1": 0.5}"#).unwrap_err().to_string();
        assert!(error.contains("beta1") && error.contains("nesterov"), "{error}");
    }

    #[test]
    fn numbers_that_make_no_sense_are_named() {
        let sgd = Sgd::default();
        let adam = AdamW::default();
        for (config, name) in [
            (OptimizerConfig::Sgd(Sgd { momentum: f64::NAN, ..sgd.clone() }), "momentum"),
            (OptimizerConfig::Sgd(Sgd { momentum: 0.0, ..sgd.clone() }), "nesterov"),
            (OptimizerConfig::Sgd(Sgd { weight_decay: -1.0, ..sgd }), "weight_decay"),
            (OptimizerConfig::AdamW(AdamW { beta2: 1.0, ..adam.clone() }), "beta2"),
            (OptimizerConfig::AdamW(AdamW { eps: f64::INFINITY, ..adam }), "eps"),
        ] {
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        OptimizerConfig::sgd().check().unwrap();
        OptimizerConfig::adam().check().unwrap();
        OptimizerConfig::adamw().check().unwrap();
    }
}

//! What a training run is, as plain data.

use ocelli_nn::Precision;
use serde::{Deserialize, Serialize};

use crate::{OptimizerConfig, Schedule, TrainError};

/// Which part of a network learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The classifier alone; the backbone stays as it is, statistics and dropout included.
    Head,
    /// All layers.
    #[default]
    All,
    /// The stages from this one on; 0 is the stem.
    From(usize),
}

/// What a training run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Times the training images are seen.
    pub epochs: u64,
    /// Learning rate of the head at its highest.
    pub learning_rate: f64,
    /// Learning rate of the backbone as a share of the head's.
    pub backbone_rate: f64,
    /// How the rate moves.
    pub schedule: Schedule,
    /// How weights follow gradients.
    pub optimizer: OptimizerConfig,
    /// Which part learns.
    pub scope: Scope,
    /// Share of the target that is spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
    pub label_smoothing: f32,
    /// One weight per class in the loss; all equal where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    /// Largest global norm of the gradients; longer ones are shortened to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// How the arithmetic is done.
    pub precision: Precision,
    /// Seed of dropout and drop-path.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            learning_rate: 0.01,
            backbone_rate: 1.0,
            schedule: Schedule::default(),
            optimizer: OptimizerConfig::default(),
            scope: Scope::All,
            label_smoothing: 0.1,
            class_weights: None,
            clip_norm: None,
            precision: Precision::default(),
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// Names the first one that makes no sense and says what would.
    pub fn check(&self) -> Result<(), TrainError> {
        let wrong = |name: &'static str, value: String, wanted: &'static str| {
            Err(TrainError::Config { name, value, wanted })
        };
        if self.epochs == 0 {
            return wrong("epochs", "0".to_string(), "at least 1");
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong(
                "learning_rate",
                self.learning_rate.to_string(),
                "a finite number above 0",
            );
        }
        if !(self.backbone_rate.is_finite() && self.backbone_rate >= 0.0) {
            return wrong(
                "backbone_rate",
                self.backbone_rate.to_string(),
                "a finite number, 0 or above",
            );
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return wrong("label_smoothing", self.label_smoothing.to_string(), "a number in 0..1");
        }
        if let Some(norm) = self.clip_norm.filter(|norm| !(norm.is_finite() && *norm > 0.0)) {
            return wrong("clip_norm", norm.to_string(), "a finite number above 0");
        }
        if let Some(weight) =
            self.class_weights.iter().flatten().find(|w| !(w.is_finite() && **w >= 0.0))
        {
            return wrong("class_weights", weight.to_string(), "finite numbers, 0 or above");
        }
        self.optimizer.check()?;
        self.schedule.check()
    }
}

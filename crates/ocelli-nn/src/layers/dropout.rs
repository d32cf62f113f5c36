//! Dropout (Srivastava et al. 2014).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::Rng;

use crate::ops::scale_by;
use crate::param::Stage;
use crate::{Block, Feature, Mode, Pass, Result, Scope};

/// In training, each value is dropped with probability `p` and the others are divided by `1 - p`; in
/// evaluation and in a frozen stage nothing happens. The draw is keyed by (seed, step, layer path).
#[derive(Debug)]
pub struct Dropout {
    path: String,
    stage: Arc<Stage>,
    p: f32,
}

impl Dropout {
    /// Drops with probability `p`, which is brought into 0..1.
    pub fn new(scope: &Scope, p: f32) -> Self {
        Self { path: scope.path().to_string(), stage: scope.stage_handle(), p: p.clamp(0.0, 1.0) }
    }
}

impl Block for Dropout {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        if pass.mode() == Mode::Eval || self.p == 0.0 || self.stage.frozen.load(Ordering::Relaxed) {
            return Ok(x.clone());
        }
        let factors = keep_factors(pass, &self.path, x.values().len(), self.p);
        scale_by(x, factors, pass)
    }
}

/// `count` factors: 0 with probability `p`, else `1 / (1 - p)`.
pub(super) fn keep_factors(pass: &Pass, path: &str, count: usize, p: f32) -> Vec<f32> {
    let mut random = pass.stream(path);
    let kept = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
    (0..count).map(|_| if random.random::<f32>() < p { 0.0 } else { kept }).collect()
}

//! Stochastic depth (Huang et al. 2016, arXiv:1603.09382).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::dropout::keep_factors;
use crate::ops::scale_by;
use crate::param::Stage;
use crate::{Block, Feature, Mode, Pass, Result, Scope};

/// In training, the branch of each image is dropped whole with probability `p` and the others are divided
/// by `1 - p`; in evaluation and in a frozen stage nothing happens. The draw is keyed by (seed, step,
/// layer path).
#[derive(Debug)]
pub struct DropPath {
    path: String,
    stage: Arc<Stage>,
    p: f32,
}

impl DropPath {
    /// Drops with probability `p`, which is brought into 0..1.
    pub fn new(scope: &Scope, p: f32) -> Self {
        Self { path: scope.path().to_string(), stage: scope.stage_handle(), p: p.clamp(0.0, 1.0) }
    }
}

impl Block for DropPath {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        if pass.mode() == Mode::Eval || self.p == 0.0 || self.stage.frozen.load(Ordering::Relaxed) {
            return Ok(x.clone());
        }
        let factors = keep_factors(pass, &self.path, x.dims()[0], self.p);
        scale_by(x, factors, pass)
    }
}

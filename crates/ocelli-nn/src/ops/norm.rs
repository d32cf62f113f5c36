//! Batch normalisation with what follows it: `y = act(norm(x) * gamma + beta [+ residual])`.

use std::sync::Arc;

use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::{self, Grads, Saved};

use crate::memory::Buffer;
use crate::tape::Gradients;
use crate::{Feature, Param, Pass, Result};

/// What a [`norm_act`] does beyond its features.
pub(crate) struct NormAct<'a> {
    pub gamma: &'a Param,
    pub beta: &'a Param,
    pub eps: f32,
    pub activation: Activation,
    /// Running mean and variance to normalise by; the batch's own where there are none.
    pub statistics: Option<[&'a Param; 2]>,
}

/// Mean and biased variance of a batch, per channel.
pub(crate) struct Moments {
    pub mean: Vec<f32>,
    pub var: Vec<f32>,
}

/// `x` `[.., C]`, `residual` like it. Also gives the batch's statistics where it was normalised by them.
pub(crate) fn norm_act(
    x: &Feature,
    residual: Option<&Feature>,
    config: &NormAct<'_>,
    pass: &mut Pass,
) -> Result<(Feature, Option<Moments>)> {
    let x_node = pass.node(x)?;
    let residual_node = residual.map(|residual| pass.node(residual)).transpose()?.flatten();
    let learns = [config.gamma, config.beta].map(|param| pass.learns(param));
    let tracked = x_node.is_some() || residual_node.is_some() || learns.contains(&true);
    let mut y = Buffer::new(x.values().len());
    let saved = forward(x, residual, config, tracked, &mut y)?;
    let moments = match (&saved, config.statistics) {
        (Some(saved), None) => Some(Moments { mean: saved.mean.clone(), var: saved.var.clone() }),
        _ => None,
    };
    let backward = saved.filter(|_| tracked).map(|saved| {
        let way = Way {
            x: x.shared(),
            saved,
            gamma: config.gamma.clone(),
            beta: config.beta.clone(),
            of_batch: config.statistics.is_none(),
            x_node,
            residual_node,
            learns,
        };
        pass.backward_of(move |dy, gradients| way.back(dy, gradients))
    });
    Ok((pass.output(x.dims(), y, backward), moments))
}

/// Writes y, and gives what the way back needs, if there may be one.
fn forward(
    x: &Feature,
    residual: Option<&Feature>,
    config: &NormAct<'_>,
    tracked: bool,
    y: &mut [f32],
) -> Result<Option<Saved>> {
    let (x, residual) = (x.values(), residual.map(Feature::values));
    let NormAct { gamma, beta, eps, activation, statistics } = *config;
    gamma.with(|gamma| {
        beta.with(|beta| {
            let Some([mean, var]) = statistics else {
                let saved = norm::forward_train(x, gamma, beta, residual, activation, eps, y);
                return Ok(Some(saved));
            };
            mean.with(|mean| {
                var.with(|var| {
                    if tracked {
                        let saved = norm::forward_eval_saved(
                            x, gamma, beta, mean, var, residual, activation, eps, y,
                        );
                        return Some(saved);
                    }
                    norm::forward_eval(x, gamma, beta, mean, var, residual, activation, eps, y);
                    None
                })
            })?
        })
    })??
}

/// What the way back needs.
struct Way {
    x: Arc<Buffer>,
    saved: Saved,
    gamma: Param,
    beta: Param,
    /// Whether it was normalised by the batch's own statistics, which depend on x.
    of_batch: bool,
    x_node: Option<usize>,
    residual_node: Option<usize>,
    learns: [bool; 2],
}

impl Way {
    fn back(self, dy: &[f32], gradients: &mut Gradients) -> Result<()> {
        let buffer = |node: Option<usize>| node.map(|_| Buffer::new(dy.len()));
        let (mut dx, mut d_residual) = (buffer(self.x_node), buffer(self.residual_node));
        let [mut d_gamma, mut d_beta] =
            self.learns.map(|learns| learns.then(|| vec![0.0; self.gamma.len()]));
        let grads = Grads {
            x: dx.as_deref_mut(),
            gamma: d_gamma.as_deref_mut(),
            beta: d_beta.as_deref_mut(),
            residual: d_residual.as_deref_mut(),
        };
        let run = if self.of_batch { norm::backward_train } else { norm::backward_eval };
        self.gamma.with(|gamma| run(dy, &self.x, gamma, &self.saved, grads))?;
        for (node, gradient) in [(self.x_node, dx), (self.residual_node, d_residual)] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                gradients.add_shared(node, &Arc::new(gradient));
            }
        }
        for (param, gradient) in [(&self.gamma, d_gamma), (&self.beta, d_beta)] {
            if let Some(gradient) = gradient {
                gradients.add_param(param, |slot| slot.copy_from_slice(&gradient));
            }
        }
        Ok(())
    }
}

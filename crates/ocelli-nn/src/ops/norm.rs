//! Batch normalisation with what follows it: `y = act(norm(x) * gamma + beta [+ residual])`.

use std::sync::{Arc, OnceLock};

use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::{Mask, Norm, NormSums};

use crate::numbers::{Fresh, Numbers};
use crate::tape::Gradients;
use crate::values::{Sum, Values};
use crate::{Feature, Param, Pass, Result};

/// Sums with a residual that take so many bytes are computed again on the way back. Smaller ones are kept, as reading
/// and writing them once more costs more time than they are worth in memory. Tests see both.
const LARGE: usize = if cfg!(debug_assertions) { 1 << 12 } else { 10_000_000 };

/// What a [`norm_act`] does beyond its features.
pub(crate) struct NormAct<'a> {
    pub gamma: &'a Param,
    pub beta: &'a Param,
    pub eps: f32,
    pub activation: Activation,
    /// Running mean and variance to normalise by; the batch's own where there are none.
    pub statistics: Option<[&'a Param; 2]>,
}

/// `x` `[.., C]`, `residual` like it. Also gives the norm, which knows the statistics.
///
/// Without a residual nothing is computed yet but these: whoever reads the result computes it.
pub(crate) fn norm_act(
    x: &Feature,
    residual: Option<&Feature>,
    config: &NormAct<'_>,
    pass: &mut Pass,
) -> Result<(Feature, Arc<Norm>)> {
    let x_node = pass.node(x)?;
    let residual_node = residual.map(|residual| pass.node(residual)).transpose()?.flatten();
    let learns = [config.gamma, config.beta].map(|param| pass.learns(param));
    let tracked = x_node.is_some() || residual_node.is_some() || learns.contains(&true);
    let norm = Arc::new(norm_of(x, config)?);
    let (values, written, mask) = match residual {
        None => {
            let (x, norm) = (x.numbers().clone(), norm.clone());
            (Values::Normed { x, norm }, None, Mask::default())
        }
        Some(residual) => {
            let (y, mask) = Sum::of(x.numbers(), &norm, residual.numbers());
            if tracked && y.bytes() >= LARGE && y.is_narrow() == pass.narrows(x.dims()) {
                let (x, norm, residual) = (x.numbers().clone(), norm.clone(), residual.kept());
                let sum = Sum { x, norm, residual, written: OnceLock::new() };
                (Values::Sum(Arc::new(sum)), Some(y), mask)
            } else {
                (y.into(), None, mask)
            }
        }
    };
    let backward = tracked.then(|| {
        let way = Way {
            x: x.numbers().clone(),
            norm: norm.clone(),
            mask,
            gamma: config.gamma.clone(),
            beta: config.beta.clone(),
            x_node,
            residual_node,
            learns,
        };
        pass.backward_from(move |dy, gradients| way.back(dy, gradients))
    });
    let y = pass.output(x.dims(), values, backward);
    let y = match written {
        Some(written) => y.with_written(written),
        None => y,
    };
    Ok((y, norm))
}

fn norm_of(x: &Feature, config: &NormAct<'_>) -> Result<Norm> {
    let NormAct { gamma, beta, eps, activation, statistics } = *config;
    gamma.with(|gamma| {
        beta.with(|beta| {
            let Some([mean, var]) = statistics else {
                return Ok(Norm::of_batch(&x.moments(), gamma, beta, activation, eps));
            };
            mean.with(|mean| var.with(|var| Norm::given(mean, var, gamma, beta, activation, eps)))?
        })
    })??
}

/// What the way back needs.
struct Way {
    x: Numbers,
    norm: Arc<Norm>,
    /// Where the activation let the sum with a residual through.
    mask: Mask,
    gamma: Param,
    beta: Param,
    x_node: Option<usize>,
    residual_node: Option<usize>,
    learns: [bool; 2],
}

impl Way {
    fn back(self, dy: &Values, gradients: &mut Gradients) -> Result<()> {
        let Self { x, norm, mask, .. } = self;
        let masked = !mask.is_empty();
        let (g, sums) = match dy {
            Values::Summed { dy, sums } if !masked && dy.is_narrow() == x.is_narrow() => {
                (dy.clone(), sums.clone())
            }
            dy if masked => {
                let dy = dy.written().like(x.is_narrow());
                let mut g = Fresh::new(x.len(), x.is_narrow());
                let sums = norm.sums_gated(dy.get(), x.get(), &mask, g.get());
                (g.into(), Arc::new(sums))
            }
            dy => {
                let dy = dy.written().like(x.is_narrow());
                let needed = norm.is_of_batch() || self.learns.contains(&true);
                let sums = if needed { norm.sums(dy.get(), x.get()) } else { NormSums::default() };
                (dy, Arc::new(sums))
            }
        };
        let [mut d_gamma, mut d_beta] =
            self.learns.map(|learns| learns.then(|| vec![0.0; norm.channels()]));
        norm.parameter_gradients(&sums, [d_gamma.as_deref_mut(), d_beta.as_deref_mut()]);
        if let Some(node) = self.residual_node {
            // Without a mask, it was added behind no activation.
            gradients.add_values(node, g.clone().into());
        }
        if let Some(node) = self.x_node {
            let gradient = Arc::new(norm.gradient(x.len() / norm.channels(), &sums, masked));
            gradients.add_values(node, Values::Gradient { g, x, gradient });
        }
        for (param, gradient) in [(&self.gamma, d_gamma), (&self.beta, d_beta)] {
            if let Some(gradient) = gradient {
                gradients.add_param(param, |slot| slot.copy_from_slice(&gradient));
            }
        }
        Ok(())
    }
}

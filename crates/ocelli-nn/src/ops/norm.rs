//! Batch normalisation with what follows it: `y = act(norm(x) * gamma + beta [+ residual])`.

use std::sync::Arc;

use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::{Mask, Norm, NormSums};

use crate::memory::Buffer;
use crate::tape::Gradients;
use crate::values::Values;
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
    let (values, mask) = match residual {
        Some(residual) => {
            let mut y = Buffer::new(x.len());
            let mask = norm.forward(x.values(), Some(residual.values()), &mut y);
            (Values::from(y), mask)
        }
        None => (Values::Normed { x: x.shared(), norm: norm.clone() }, Mask::default()),
    };
    let backward = tracked.then(|| {
        let way = Way {
            x: x.shared(),
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
    Ok((pass.output(x.dims(), values, backward), norm))
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
    x: Arc<Buffer>,
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
            Values::Summed { dy, sums } if !masked => (dy.clone(), sums.clone()),
            dy if masked => {
                let mut g = Buffer::new(x.len());
                let sums = norm.sums_gated(&dy.written(), &x, &mask, &mut g);
                (Arc::new(g), Arc::new(sums))
            }
            dy => {
                let dy = dy.written();
                let needed = norm.is_of_batch() || self.learns.contains(&true);
                let sums = if needed { norm.sums(&dy, &x) } else { NormSums::default() };
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

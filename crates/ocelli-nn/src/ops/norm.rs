//! Batch normalisation with what follows it: `y = act(norm(x) * gamma + beta [+ residual])`.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::{self, Grads, Saved};

use super::{like, slice, with};

/// What a [`norm_act`] does beyond its tensors.
pub(crate) struct NormAct {
    pub(crate) eps: f32,
    pub(crate) activation: Activation,
    /// Running mean and variance to normalise by; the batch's own where there are none.
    pub(crate) statistics: Option<(Vec<f32>, Vec<f32>)>,
}

struct NormOp {
    config: NormAct,
    saved: Arc<OnceLock<Saved>>,
    /// Whether a backward may follow.
    tracked: bool,
}

/// `x` `[.., C]`, `scale_shift` `[2 * C]` (gamma, then beta), `residual` like `x`. Also gives the batch's
/// statistics where it was normalised by them.
pub(crate) fn norm_act(
    x: &Tensor,
    scale_shift: &Tensor,
    residual: Option<&Tensor>,
    config: NormAct,
) -> Result<(Tensor, Arc<OnceLock<Saved>>)> {
    let saved = Arc::new(OnceLock::new());
    let tracked = x.track_op() || scale_shift.track_op() || residual.is_some_and(Tensor::track_op);
    let op = NormOp { config, saved: saved.clone(), tracked };
    let x = x.contiguous()?;
    let y = match residual {
        Some(residual) => x.apply_op3(scale_shift, &residual.contiguous()?, op)?,
        None => x.apply_op2(scale_shift, op)?,
    };
    Ok((y, saved))
}

impl NormOp {
    fn forward(&self, x: &[f32], scale_shift: &[f32], residual: Option<&[f32]>) -> Vec<f32> {
        let (gamma, beta) = scale_shift.split_at(scale_shift.len() / 2);
        let NormAct { eps, activation, statistics } = &self.config;
        let mut y = vec![0.0; x.len()];
        match statistics {
            None => {
                let saved =
                    norm::forward_train(x, gamma, beta, residual, *activation, *eps, &mut y);
                // A second forward of one op does not happen; were it to, the first state is as good.
                let _ = self.saved.set(saved);
            }
            Some((mean, var)) if self.tracked => {
                let saved = norm::forward_eval_saved(
                    x,
                    gamma,
                    beta,
                    mean,
                    var,
                    residual,
                    *activation,
                    *eps,
                    &mut y,
                );
                let _ = self.saved.set(saved);
            }
            Some((mean, var)) => {
                norm::forward_eval(x, gamma, beta, mean, var, residual, *activation, *eps, &mut y);
            }
        }
        y
    }

    /// Gradients of `x`, `scale_shift` and `residual`.
    fn backward(
        &self,
        x: &Tensor,
        scale_shift: &Tensor,
        residual: Option<&Tensor>,
        dy: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let Some(saved) = self.saved.get() else { bail!("norm-act: no forward state") };
        let buffer = |tensor: &Tensor| tensor.track_op().then(|| vec![0.0; tensor.elem_count()]);
        let mut dx = buffer(x);
        let mut d_scale_shift = buffer(scale_shift);
        let mut d_residual = residual.and_then(buffer);
        let (gamma, beta) = match &mut d_scale_shift {
            Some(both) => {
                let (gamma, beta) = both.split_at_mut(scale_shift.elem_count() / 2);
                (Some(gamma), Some(beta))
            }
            None => (None, None),
        };
        let grads =
            Grads { x: dx.as_deref_mut(), gamma, beta, residual: d_residual.as_deref_mut() };
        with(x, |x| {
            with(scale_shift, |scale_shift| {
                with(dy, |dy| {
                    let gamma = &scale_shift[..scale_shift.len() / 2];
                    match self.config.statistics {
                        None => norm::backward_train(dy, x, gamma, saved, grads),
                        Some(_) => norm::backward_eval(dy, x, gamma, saved, grads),
                    }
                    Ok(())
                })
            })
        })?;
        let wrap =
            |values: Option<Vec<f32>>, tensor: &Tensor| values.map(|v| like(v, tensor)).transpose();
        Ok([
            wrap(dx, x)?,
            wrap(d_scale_shift, scale_shift)?,
            match residual {
                Some(residual) => wrap(d_residual, residual)?,
                None => None,
            },
        ])
    }
}

impl CustomOp2 for NormOp {
    fn name(&self) -> &'static str {
        "norm-act"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        s: &CpuStorage,
        ls: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(slice(x, lx)?, slice(s, ls)?, None);
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        s: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, ds, _] = self.backward(x, s, None, dy)?;
        Ok((dx, ds))
    }
}

impl CustomOp3 for NormOp {
    fn name(&self) -> &'static str {
        "norm-add-act"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        s: &CpuStorage,
        ls: &Layout,
        r: &CpuStorage,
        lr: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = self.forward(slice(x, lx)?, slice(s, ls)?, Some(slice(r, lr)?));
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        s: &Tensor,
        r: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, ds, dr] = self.backward(x, s, Some(r), dy)?;
        Ok((dx, ds, dr))
    }
}

//! Elementwise functions.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use ocelli_kernels::activation::{self, Activation};

use super::{like, slice, with};

/// `act(x)`, elementwise.
pub(crate) fn activation(x: &Tensor, act: Activation) -> Result<Tensor> {
    if act == Activation::Identity {
        Ok(x.clone())
    } else {
        x.contiguous()?.apply_op1(ActivationOp(act))
    }
}

struct ActivationOp(Activation);

impl CustomOp1 for ActivationOp {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, lx)?;
        let mut y = vec![0.0; x.len()];
        activation::forward(self.0, x, &mut y);
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; x.elem_count()];
        with(x, |x| {
            with(dy, |dy| {
                activation::backward(self.0, x, dy, &mut dx);
                Ok(())
            })
        })?;
        Ok(Some(like(dx, x)?))
    }
}

//! Multiplication by numbers that are drawn, not learned: dropout and drop-path.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{like, slice, with};

/// `x` times `factors`: one factor for each element, or one for each row of `x` along its first axis.
pub(crate) fn scale_by(x: &Tensor, factors: Vec<f32>) -> Result<Tensor> {
    let run = x.elem_count() / factors.len().max(1);
    x.contiguous()?.apply_op1(ScaleOp { factors, run })
}

struct ScaleOp {
    factors: Vec<f32>,
    /// Elements that share a factor.
    run: usize,
}

impl ScaleOp {
    fn scale(&self, x: &[f32]) -> Vec<f32> {
        let runs = x.chunks_exact(self.run.max(1)).zip(&self.factors);
        runs.flat_map(|(run, factor)| run.iter().map(move |value| value * factor)).collect()
    }
}

impl CustomOp1 for ScaleOp {
    fn name(&self) -> &'static str {
        "scale-by"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.scale(slice(x, lx)?)), lx.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(like(with(dy, |dy| Ok(self.scale(dy)))?, x)?))
    }
}

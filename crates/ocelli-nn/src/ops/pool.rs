//! Pooling, channels last.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use ocelli_kernels::pool::{self, Divisor, PoolShape};

use super::{like, slice, with};

fn output(shape: &PoolShape) -> Shape {
    let [height, width] = shape.output();
    Shape::from((shape.batch, height, width, shape.channels))
}

/// The largest value of each window.
pub(crate) fn max_pool(x: &Tensor, shape: PoolShape) -> Result<Tensor> {
    shape.check().map_err(candle_core::Error::wrap)?;
    x.contiguous()?.apply_op1(MaxOp { shape, tracked: x.track_op(), taps: Arc::default() })
}

struct MaxOp {
    shape: PoolShape,
    tracked: bool,
    taps: Arc<OnceLock<Vec<u32>>>,
}

impl CustomOp1 for MaxOp {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = output(&self.shape);
        let mut y = vec![0.0; shape.elem_count()];
        let mut taps = if self.tracked { vec![0; y.len()] } else { Vec::new() };
        pool::max_forward(
            &self.shape,
            slice(x, lx)?,
            &mut y,
            self.tracked.then_some(&mut taps[..]),
        );
        // Set once: an op runs forward once.
        let _ = self.taps.set(taps);
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let Some(taps) = self.taps.get() else { bail!("max-pool: no forward state") };
        let mut dx = vec![0.0; x.elem_count()];
        with(dy, |dy| {
            pool::max_backward(&self.shape, dy, taps, &mut dx);
            Ok(())
        })?;
        Ok(Some(like(dx, x)?))
    }
}

/// The mean of each window.
pub(crate) fn average_pool(x: &Tensor, shape: PoolShape, divisor: Divisor) -> Result<Tensor> {
    shape.check().map_err(candle_core::Error::wrap)?;
    x.contiguous()?.apply_op1(AverageOp { shape, divisor })
}

struct AverageOp {
    shape: PoolShape,
    divisor: Divisor,
}

impl CustomOp1 for AverageOp {
    fn name(&self) -> &'static str {
        "average-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = output(&self.shape);
        let mut y = vec![0.0; shape.elem_count()];
        pool::average_forward(&self.shape, self.divisor, slice(x, lx)?, &mut y);
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; x.elem_count()];
        with(dy, |dy| {
            pool::average_backward(&self.shape, self.divisor, dy, &mut dx);
            Ok(())
        })?;
        Ok(Some(like(dx, x)?))
    }
}

/// `[N, H, W, C]` to `[N, C]`: the mean over all pixels.
pub(crate) fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    let (batch, height, width, channels) = x.dims4()?;
    x.contiguous()?.apply_op1(GlobalOp { batch, pixels: height * width, channels })
}

struct GlobalOp {
    batch: usize,
    pixels: usize,
    channels: usize,
}

impl CustomOp1 for GlobalOp {
    fn name(&self) -> &'static str {
        "global-average-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = vec![0.0; self.batch * self.channels];
        pool::global_average_forward(self.batch, self.pixels, self.channels, slice(x, lx)?, &mut y);
        Ok((CpuStorage::F32(y), Shape::from((self.batch, self.channels))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = vec![0.0; x.elem_count()];
        with(dy, |dy| {
            pool::global_average_backward(self.batch, self.pixels, self.channels, dy, &mut dx);
            Ok(())
        })?;
        Ok(Some(like(dx, x)?))
    }
}

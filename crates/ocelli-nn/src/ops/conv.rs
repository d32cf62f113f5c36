//! Convolution `y = x * w (+ b)`, channels last; a linear layer is one with a single pixel.

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use ocelli_kernels::{Conv, ConvShape, Form, Packed, sum_rows};

use super::{like, slice, with, with_scratch};

/// The packed forms of one weight. They hold for one version of it: a frozen weight packs once, a
/// trained one once a step.
#[derive(Debug, Default)]
pub(crate) struct PackCache(Mutex<Forms>);

#[derive(Debug, Default)]
struct Forms {
    version: u64,
    packed: Vec<Arc<Packed>>,
}

impl PackCache {
    /// The weight `w` packed for a plan, from the cache if `version` is still the same.
    fn get(&self, plan: &Conv, form: Form, version: u64, w: &[f32]) -> Arc<Packed> {
        let mut forms = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if forms.version != version {
            *forms = Forms { version, packed: Vec::new() };
        }
        if let Some(packed) =
            forms.packed.iter().find(|packed| packed.form() == form && plan.accepts(packed))
        {
            return packed.clone();
        }
        let packed = Arc::new(plan.pack(form, w));
        forms.packed.push(packed.clone());
        packed
    }
}

struct ConvOp {
    plan: Conv,
    output: Shape,
    cache: Arc<PackCache>,
    version: u64,
}

/// `x` `[N, H, W, C]`, `w` `[O, kH, kW, C / groups]` at `version`, `bias` `[O]`; gives `[N, oH, oW, O]`.
pub(crate) fn conv(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    shape: ConvShape,
    cache: Arc<PackCache>,
    version: u64,
) -> Result<Tensor> {
    let plan = Conv::plan(shape).map_err(candle_core::Error::wrap)?;
    let [height, width] = shape.output();
    let output = Shape::from((shape.batch, height, width, shape.out_channels));
    let op = ConvOp { plan, output, cache, version };
    let x = x.contiguous()?;
    match bias {
        Some(bias) => x.apply_op3(w, bias, op),
        None => x.apply_op2(w, op),
    }
}

impl ConvOp {
    fn forward(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let packed = self.cache.get(&self.plan, Form::Forward, self.version, w);
        let mut y = vec![0.0; self.output.elem_count()];
        with_scratch(|scratch| self.plan.forward(x, &packed, bias, &mut y, scratch));
        (CpuStorage::F32(y), self.output.clone())
    }

    fn backward(
        &self,
        x: &Tensor,
        w: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        with(dy, |dy| {
            let dx = x.track_op().then(|| self.backward_input(x, w, dy)).transpose()?;
            let dw = w.track_op().then(|| self.backward_weight(x, w, dy)).transpose()?;
            Ok((dx, dw))
        })
    }

    fn backward_input(&self, x: &Tensor, w: &Tensor, dy: &[f32]) -> Result<Tensor> {
        let packed =
            with(w, |w| Ok(self.cache.get(&self.plan, Form::BackwardInput, self.version, w)))?;
        let mut dx = vec![0.0; x.elem_count()];
        with_scratch(|scratch| self.plan.backward_input(dy, &packed, &mut dx, scratch));
        like(dx, x)
    }

    fn backward_weight(&self, x: &Tensor, w: &Tensor, dy: &[f32]) -> Result<Tensor> {
        let mut dw = vec![0.0; w.elem_count()];
        with(x, |x| {
            with_scratch(|scratch| self.plan.backward_weight(x, dy, &mut dw, scratch));
            Ok(())
        })?;
        like(dw, w)
    }
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(slice(x, lx)?, slice(w, lw)?, None))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, w, dy)
    }
}

impl CustomOp3 for ConvOp {
    fn name(&self) -> &'static str {
        "conv-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(slice(x, lx)?, slice(w, lw)?, Some(slice(b, lb)?)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw) = self.backward(x, w, dy)?;
        let db = bias.track_op().then(|| {
            let mut db = vec![0.0; bias.elem_count()];
            with(dy, |dy| {
                sum_rows(dy, db.len(), &mut db);
                Ok(())
            })?;
            like(db, bias)
        });
        Ok((dx, dw, db.transpose()?))
    }
}

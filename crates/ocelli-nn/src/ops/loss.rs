//! Softmax cross-entropy.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, bail};
use ocelli_core::Targets;
use ocelli_kernels::loss::{self, CrossEntropy};

/// The mean cross-entropy of `logits` `[N, classes]` against `targets`, as PyTorch's `cross_entropy`:
/// a scalar in nats. `class_weights` is `[classes]`.
///
/// # Errors
/// Where a target is not one of the classes, or the numbers of rows differ.
pub fn cross_entropy(
    logits: &Tensor,
    targets: &Targets,
    label_smoothing: f32,
    class_weights: Option<&[f32]>,
) -> crate::Result<Tensor> {
    let (_, classes) = logits.dims2()?;
    let op = LossOp {
        targets: targets.clone(),
        classes,
        label_smoothing,
        class_weights: class_weights.map(<[f32]>::to_vec),
        gradient: Arc::default(),
    };
    Ok(logits.contiguous()?.apply_op1(op)?)
}

struct LossOp {
    targets: Targets,
    classes: usize,
    label_smoothing: f32,
    class_weights: Option<Vec<f32>>,
    gradient: Arc<OnceLock<Vec<f32>>>,
}

impl CustomOp1 for LossOp {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(logits), Some((start, end))) = (logits, layout.contiguous_offsets())
        else {
            bail!("cross-entropy: contiguous f32 logits are required")
        };
        let logits = &logits[start..end];
        let targets = match &self.targets {
            Targets::Classes(classes) => loss::Targets::Classes(classes),
            Targets::Soft { probabilities, .. } => loss::Targets::Soft(probabilities),
        };
        let options = CrossEntropy {
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights.as_deref(),
        };
        let mut gradient = vec![0.0; logits.len()];
        let value =
            loss::cross_entropy(logits, self.classes, targets, &options, Some(&mut gradient))
                .map_err(candle_core::Error::wrap)?;
        // Set once: an op runs forward once.
        let _ = self.gradient.set(gradient);
        Ok((CpuStorage::F32(vec![value]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let Some(gradient) = self.gradient.get() else { bail!("cross-entropy: no forward state") };
        let scale = dy.to_scalar::<f32>()?;
        let gradient: Vec<f32> = gradient.iter().map(|g| g * scale).collect();
        Ok(Some(Tensor::from_vec(gradient, logits.shape(), logits.device())?))
    }
}

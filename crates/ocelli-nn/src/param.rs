//! One weight of a network.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use candle_core::{CpuStorage, Device, InplaceOp1, Storage, Tensor, Var};
use ocelli_kernels::layout;

use crate::{DiskTensor, Error, Result};

/// What a parameter is, which decides how it is trained: weight decay concerns weights alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Filters and matrices.
    Weight,
    /// Shifts of convolutions and linear layers.
    Bias,
    /// Scale and shift of a normalisation.
    Norm,
    /// Statistics: part of the model, moved by no gradient.
    Buffer,
}

/// How a parameter's axes lie in memory, and on disk where PyTorch's order differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The same in memory and on disk.
    Plain,
    /// A convolution: `[O, kH, kW, I]` in memory, `[O, I, kH, kW]` on disk.
    Filter,
    /// A linear layer behind a flattened `[H, W, C]` map: `[O, H * W * C]` in memory, `[O, C * H * W]`
    /// on disk.
    Flattened {
        /// Pixels of the map, `H * W`.
        pixels: usize,
    },
}

/// A stage of a network, which is frozen or trained as a whole.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) frozen: AtomicBool,
}

/// One weight of a network: a handle, cheap to clone, to a value in the [`ParamStore`](crate::ParamStore).
#[derive(Clone)]
pub struct Param(Arc<Inner>);

struct Inner {
    name: String,
    kind: Kind,
    layout: Layout,
    stage_index: usize,
    stage: Arc<Stage>,
    value: Value,
    version: AtomicU64,
}

/// Buffers are never Vars: no gradient is ever computed for them.
enum Value {
    Learned(Var),
    Buffer(RwLock<Tensor>),
}

impl Param {
    pub(crate) fn new(
        name: String,
        kind: Kind,
        layout: Layout,
        stage: (usize, Arc<Stage>),
        value: Tensor,
    ) -> Result<Self> {
        let value = match kind {
            Kind::Buffer => Value::Buffer(RwLock::new(value)),
            _ => Value::Learned(Var::from_tensor(&value)?),
        };
        let (stage_index, stage) = stage;
        Ok(Self(Arc::new(Inner {
            name,
            kind,
            layout,
            stage_index,
            stage,
            value,
            version: AtomicU64::new(0),
        })))
    }

    /// The path of the parameter in the published checkpoint: `layer1.0.conv1.weight`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stage it belongs to: 0 is the stem, the last one the head.
    pub fn stage(&self) -> usize {
        self.0.stage_index
    }

    /// Whether its stage is frozen.
    pub fn is_frozen(&self) -> bool {
        self.0.stage.frozen.load(Ordering::Relaxed)
    }

    /// Whether a gradient should be computed for it.
    pub fn is_trainable(&self) -> bool {
        self.0.kind != Kind::Buffer && !self.is_frozen()
    }

    /// Goes up with every change of the value; packed forms of a weight are keyed by it.
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// The value for a forward pass that learns: tracked by autograd where it is trainable, and only there.
    pub fn tensor(&self) -> Tensor {
        match &self.0.value {
            Value::Learned(var) if self.is_trainable() => var.as_tensor().clone(),
            _ => self.detached(),
        }
    }

    /// The value, not tracked by autograd.
    pub fn detached(&self) -> Tensor {
        match &self.0.value {
            Value::Learned(var) => var.as_detached_tensor(),
            Value::Buffer(tensor) => read(tensor).clone(),
        }
    }

    /// The tensor that a gradient store knows the parameter by; none for a buffer.
    pub fn tracked(&self) -> Option<&Tensor> {
        match &self.0.value {
            Value::Learned(var) => Some(var.as_tensor()),
            Value::Buffer(_) => None,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.detached().elem_count()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in memory order.
    ///
    /// # Errors
    /// Where the device does not hand them out.
    pub fn values(&self) -> Result<Vec<f32>> {
        Ok(self.detached().flatten_all()?.to_vec1()?)
    }

    /// Lends the values in memory order.
    ///
    /// # Errors
    /// Where they do not lie in this computer's memory.
    pub fn with<R>(&self, read: impl FnOnce(&[f32]) -> R) -> Result<R> {
        let tensor = self.detached();
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
                Ok(read(&values[start..end]))
            }
            _ => Err(Error::Weight {
                name: self.name().to_string(),
                reason: "is not made of f32 values in memory".to_string(),
            }),
        }
    }

    /// Changes the values in place, in memory order. The only way a value changes: it bumps the version.
    ///
    /// # Errors
    /// Where the device does not allow it.
    pub fn update(&self, change: impl FnMut(&mut [f32]) + Send) -> Result<()> {
        match &self.0.value {
            Value::Learned(var) => {
                var.as_detached_tensor().inplace_op1(&Change(Mutex::new(change)))?;
            }
            Value::Buffer(tensor) => {
                let mut slot = tensor.write().unwrap_or_else(|poisoned| poisoned.into_inner());
                let mut values = slot.flatten_all()?.to_vec1::<f32>()?;
                let mut change = change;
                change(&mut values);
                *slot = Tensor::from_vec(values, slot.shape(), slot.device())?;
            }
        }
        self.0.version.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// The shape on disk: PyTorch's.
    pub fn disk_shape(&self) -> Vec<usize> {
        let shape = self.detached().dims().to_vec();
        match (self.0.layout, shape.as_slice()) {
            (Layout::Filter, &[out, rows, columns, input]) => vec![out, input, rows, columns],
            _ => shape,
        }
    }

    /// The values in PyTorch's order.
    ///
    /// # Errors
    /// Where the device does not hand them out.
    pub fn to_disk(&self) -> Result<DiskTensor> {
        let values = self.values()?;
        let shape = self.disk_shape();
        let values = match self.0.layout {
            Layout::Plain => values,
            Layout::Filter => {
                layout::ohwi_to_oihw(&values, [shape[0], shape[1], shape[2], shape[3]])
            }
            Layout::Flattened { pixels } => {
                layout::linear_to_chw(&values, [shape[0], shape[1] / pixels, pixels, 1])
            }
        };
        Ok(DiskTensor { shape, values })
    }

    /// Takes values in PyTorch's order.
    ///
    /// # Errors
    /// Where the shape is not [`disk_shape`](Self::disk_shape) or a value is not finite.
    pub fn set_from_disk(&self, tensor: &DiskTensor) -> Result<()> {
        let shape = self.disk_shape();
        let wrong = |reason: String| Error::Weight { name: self.name().to_string(), reason };
        if tensor.shape != shape || tensor.values.len() != shape.iter().product::<usize>() {
            return Err(wrong(format!(
                "has the shape {:?}, the network wants {shape:?}",
                tensor.shape
            )));
        }
        if let Some(bad) = tensor.values.iter().find(|value| !value.is_finite()) {
            return Err(wrong(format!("holds {bad}, which is not a finite number")));
        }
        let values = match self.0.layout {
            Layout::Plain => tensor.values.clone(),
            Layout::Filter => {
                layout::oihw_to_ohwi(&tensor.values, [shape[0], shape[1], shape[2], shape[3]])
            }
            Layout::Flattened { pixels } => {
                layout::linear_from_chw(&tensor.values, [shape[0], shape[1] / pixels, pixels, 1])
            }
        };
        self.update(|slot| slot.copy_from_slice(&values))
    }

    /// The device that holds it.
    pub fn device(&self) -> Device {
        self.detached().device().clone()
    }
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {:?} stage {}",
            self.name(),
            self.detached().dims(),
            self.kind(),
            self.stage()
        )
    }
}

fn read(lock: &RwLock<Tensor>) -> std::sync::RwLockReadGuard<'_, Tensor> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs a closure on a tensor's values in place.
struct Change<F>(Mutex<F>);

impl<F: FnMut(&mut [f32]) + Send> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(
        &self,
        storage: &mut CpuStorage,
        layout: &candle_core::Layout,
    ) -> candle_core::Result<()> {
        let CpuStorage::F32(values) = storage else { candle_core::bail!("parameters are f32") };
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("parameters are contiguous")
        };
        let mut change = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        (*change)(&mut values[start..end]);
        Ok(())
    }
}

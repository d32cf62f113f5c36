//! All weights of a network in one ordered place.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use candle_core::{Device, Tensor};
use indexmap::IndexMap;

use crate::param::Stage;
use crate::{DiskTensor, Error, Init, Kind, Layout, Param, Result};

/// All weights of a network, in the order the layers created them.
///
/// Stages divide a network for freezing: 0 is the stem, the last is the head.
#[derive(Clone, Debug)]
pub struct ParamStore {
    seed: u64,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    params: IndexMap<String, Param>,
    stages: Vec<Arc<Stage>>,
}

/// Where a checkpoint's tensor has another shape than the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The parameter's name.
    pub name: String,
    /// The shape in the checkpoint.
    pub found: Vec<usize>,
    /// The shape in the network.
    pub wanted: Vec<usize>,
}

/// What became of a checkpoint's tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Taken over.
    pub loaded: Vec<String>,
    /// In the network only: they keep their initial values.
    pub missing: Vec<String>,
    /// In the checkpoint only.
    pub unexpected: Vec<String>,
    /// In both with different shapes: they keep their initial values.
    pub reshaped: Vec<Mismatch>,
}

impl ParamStore {
    /// An empty store whose initial values are drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, shared: Arc::default() }
    }

    /// The root under which a network creates its parameters.
    pub fn root(&self) -> Scope {
        Scope { store: self.clone(), path: String::new(), stage: 0 }
    }

    /// All parameters and buffers in the order of their creation.
    pub fn all(&self) -> Vec<Param> {
        self.lock().params.values().cloned().collect()
    }

    /// The parameters that gradients move now.
    pub fn trainable(&self) -> Vec<Param> {
        self.all().into_iter().filter(Param::is_trainable).collect()
    }

    /// A parameter by its name.
    pub fn get(&self, name: &str) -> Option<Param> {
        self.lock().params.get(name).cloned()
    }

    /// Number of stages, the head's included.
    pub fn stages(&self) -> usize {
        self.lock().stages.len()
    }

    /// Freezes the stages below `stage` and trains the others. 0 trains all; `stages() - 1` the head alone.
    /// Frozen means frozen: weights, statistics and dropout of such a stage stay as they are.
    pub fn freeze_below(&self, stage: usize) {
        for (index, other) in self.lock().stages.iter().enumerate() {
            other.frozen.store(index < stage, Ordering::Relaxed);
        }
    }

    /// Number of learned values, buffers not counted.
    pub fn parameter_count(&self) -> usize {
        self.all().iter().filter(|param| param.kind() != Kind::Buffer).map(Param::len).sum()
    }

    /// Takes over the tensors of a checkpoint by name and says what became of each.
    /// Batch norm's `num_batches_tracked`, which nothing reads, is passed over in silence.
    ///
    /// # Errors
    /// Where a tensor that fits holds a value that is not finite.
    pub fn load<'a>(
        &self,
        tensors: impl IntoIterator<Item = (&'a str, &'a DiskTensor)>,
    ) -> Result<LoadReport> {
        let mut report = LoadReport::default();
        let mut seen = std::collections::HashSet::new();
        for (name, tensor) in tensors {
            if name.ends_with("num_batches_tracked") {
                continue;
            }
            let Some(param) = self.get(name) else {
                report.unexpected.push(name.to_string());
                continue;
            };
            seen.insert(name.to_string());
            let wanted = param.disk_shape();
            if tensor.shape == wanted {
                param.set_from_disk(tensor)?;
                report.loaded.push(name.to_string());
            } else {
                report.reshaped.push(Mismatch {
                    name: name.to_string(),
                    found: tensor.shape.clone(),
                    wanted,
                });
            }
        }
        let unseen = self.all().into_iter().map(|param| param.name().to_string());
        report.missing = unseen.filter(|name| !seen.contains(name)).collect();
        Ok(report)
    }

    /// All values by name, in PyTorch's order.
    ///
    /// # Errors
    /// Where the device does not hand them out.
    pub fn to_disk(&self) -> Result<Vec<(String, DiskTensor)>> {
        self.all().iter().map(|param| Ok((param.name().to_string(), param.to_disk()?))).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The path under which a layer creates its parameters, as candle's `VarBuilder` and its `pp`.
#[derive(Clone, Debug)]
pub struct Scope {
    store: ParamStore,
    path: String,
    stage: usize,
}

impl Scope {
    /// The scope of a part: `layer1` under the root, `layer1.0` under that.
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        Self { path: self.join(&name.to_string()), ..self.clone() }
    }

    /// The same path in another stage.
    pub fn stage(&self, stage: usize) -> Self {
        Self { stage, ..self.clone() }
    }

    /// The path itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Creates a parameter of this scope.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn param(
        &self,
        name: &str,
        shape: &[usize],
        init: Init,
        kind: Kind,
        layout: Layout,
    ) -> Result<Param> {
        let name = self.join(name);
        let values = init.values(shape.iter().product(), self.store.seed, &name);
        let mut shared = self.store.lock();
        if shared.params.contains_key(&name) {
            return Err(Error::Weight { name, reason: "is created twice".to_string() });
        }
        while shared.stages.len() <= self.stage {
            shared.stages.push(Arc::default());
        }
        let stage = (self.stage, shared.stages[self.stage].clone());
        let value = Tensor::from_vec(values, shape, &Device::Cpu)?;
        let param = Param::new(name.clone(), kind, layout, stage, value)?;
        shared.params.insert(name, param.clone());
        Ok(param)
    }

    /// Whether this scope's stage is frozen; layers without parameters ask.
    pub(crate) fn stage_handle(&self) -> Arc<Stage> {
        let mut shared = self.store.lock();
        while shared.stages.len() <= self.stage {
            shared.stages.push(Arc::default());
        }
        shared.stages[self.stage].clone()
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) }
    }
}

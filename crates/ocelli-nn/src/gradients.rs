//! What a backward pass gives.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, TensorId};

use crate::memory::Buffer;
use crate::{Param, Result};

/// The gradients of a loss with respect to the parameters that learn, each in the order in which the parameter
/// lies in memory.
#[derive(Debug, Default)]
pub struct ParamGradients {
    // By the tensor that candle knows a parameter by: it finds some of them.
    buffers: HashMap<TensorId, Buffer>,
}

impl ParamGradients {
    /// What candle found, by its own `backward`.
    ///
    /// # Errors
    /// Where a gradient is not f32 on the CPU.
    pub fn from_candle(found: &GradStore) -> Result<Self> {
        let mut gradients = Self::default();
        gradients.absorb(found)?;
        Ok(gradients)
    }

    /// The gradient of a parameter, if it has one.
    pub fn get(&self, param: &Param) -> Option<&[f32]> {
        self.of(param.tracked()?)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, param: &Param) -> Option<&mut [f32]> {
        Some(&mut *self.buffers.get_mut(&param.tracked()?.id())?)
    }

    /// The gradient of a variable of candle's that is no parameter.
    pub fn of(&self, tensor: &Tensor) -> Option<&[f32]> {
        Some(&**self.buffers.get(&tensor.id())?)
    }

    /// Adds to the gradient of a parameter: `write` overwrites all its values.
    pub(crate) fn add(&mut self, param: &Param, write: impl FnOnce(&mut [f32])) {
        if let Some(key) = param.tracked() {
            let mut gradient = Buffer::lasting(param.len());
            write(&mut gradient);
            self.add_buffer(key.id(), gradient);
        }
    }

    /// Takes over what candle found.
    pub(crate) fn absorb(&mut self, found: &GradStore) -> Result<()> {
        for id in found.get_ids() {
            if let Some(gradient) = found.get_id(*id) {
                let values = gradient.flatten_all()?.to_vec1()?;
                self.add_buffer(*id, Buffer::from_vec(values));
            }
        }
        Ok(())
    }

    fn add_buffer(&mut self, key: TensorId, gradient: Buffer) {
        match self.buffers.get_mut(&key) {
            Some(sum) => ocelli_kernels::arrange::add(&mut **sum, &*gradient),
            None => {
                self.buffers.insert(key, gradient);
            }
        }
    }
}

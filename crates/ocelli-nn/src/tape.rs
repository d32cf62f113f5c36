//! What a pass that learns remembers, to go back along it: the tape of reverse-mode differentiation.
//!
//! candle's own autograd would do, but it keeps every activation until the graph is dropped, and adds each
//! gradient to zeros first. A tape of closures frees what a step read as soon as its gradient is known, and
//! writes a first gradient where it stays.
//!
//! The two meet where someone wants a tensor: [`Feature::tensor`](crate::Feature::tensor) gives one that candle
//! tracks, a leaf; a feature made of a tensor that candle tracks is an island, whose gradient candle finds.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use ocelli_kernels::FloatsMut;

use crate::clock::Clock;
use crate::memory::Buffer;
use crate::numbers::Fresh;
use crate::values::Values;
use crate::{Param, ParamGradients, Result};

/// Given the gradient of what an operation made, adds to the gradients of what it read.
pub(crate) type Backward = Box<dyn FnOnce(&Values, &mut Gradients) -> Result<()> + Send>;

/// The operations of one pass, in order.
#[derive(Clone, Default)]
pub(crate) struct Tape(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    /// Entry i made node i, in bf16 if it says so.
    backwards: Vec<(Backward, bool)>,
    leaves: Vec<(usize, Var)>,
}

/// A feature that a gradient flows into: the tape that knows it, and its number there.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    tape: Tape,
    index: usize,
}

impl Tape {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how to go back over an operation; gives the node of its result. Its gradient is of the same width.
    pub fn push(&self, backward: Backward, narrow: bool) -> Node {
        let mut entries = self.entries();
        entries.backwards.push((backward, narrow));
        Node { tape: self.clone(), index: entries.backwards.len() - 1 }
    }

    /// Remembers what candle made, whose gradient candle is to find.
    pub fn push_island(&self, tensor: Tensor) -> Node {
        let back = move |dy: &Values, gradients: &mut Gradients| {
            let dy = dy.written().wide().to_vec();
            let dy = Tensor::from_vec(dy, tensor.shape(), tensor.device())?;
            let found = (tensor * dy)?.sum_all()?.backward()?;
            gradients.absorb(found)
        };
        self.push(Box::new(back), false)
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.entries().backwards.len()
    }

    /// The node's number, if it is of this tape.
    pub fn index_of(&self, node: &Node) -> Option<usize> {
        Arc::ptr_eq(&self.0, &node.tape.0).then_some(node.index)
    }

    /// Goes back over all that was remembered, from gradients that candle found; the tape is empty then.
    pub fn backward(
        &self,
        found: GradStore,
        mut clock: Option<&mut Clock>,
    ) -> Result<ParamGradients> {
        let Entries { backwards, leaves } = std::mem::take(&mut *self.entries());
        let slots = backwards.iter().map(|&(_, narrow)| Slot { narrow, sum: None }).collect();
        let mut gradients = Gradients { slots, leaves, params: ParamGradients::default() };
        gradients.absorb(found)?;
        for (index, (backward, _)) in backwards.into_iter().enumerate().rev() {
            // What no gradient reached did not contribute to the loss.
            if let Some(dy) = gradients.slots[index].sum.take() {
                let start = Instant::now();
                backward(&dy, &mut gradients)?;
                if let Some(clock) = &mut clock {
                    clock.backward(index, start.elapsed());
                }
            }
        }
        Ok(gradients.params)
    }
}

impl Node {
    /// Values of this node as a tensor that candle tracks, so that a gradient finds its way back.
    pub fn leaf(&self, tensor: &Tensor) -> Result<Tensor> {
        let leaf = Var::from_tensor(tensor)?;
        let tracked = leaf.as_tensor().clone();
        self.tape.entries().leaves.push((self.index, leaf));
        Ok(tracked)
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a tape of {} operations", self.entries().backwards.len())
    }
}

/// The gradient of a node, as far as it is known, and whether it is to be bf16.
struct Slot {
    narrow: bool,
    sum: Option<Values>,
}

/// The gradients known so far on the way back.
pub(crate) struct Gradients {
    slots: Vec<Slot>,
    leaves: Vec<(usize, Var)>,
    /// Those of parameters.
    params: ParamGradients,
}

impl Gradients {
    /// Adds to the gradient of a node: `write` overwrites all of `len` values.
    pub fn add(&mut self, index: usize, len: usize, write: impl FnOnce(&mut [f32])) {
        let mut gradient = Buffer::new(len);
        write(&mut gradient);
        self.add_values(index, gradient.into());
    }

    /// The same for one that can write in either width: it is asked for the node's.
    pub fn add_floats(&mut self, index: usize, len: usize, write: impl FnOnce(FloatsMut<'_>)) {
        let mut gradient = self.fresh(index, len);
        write(gradient.get());
        self.add_values(index, gradient.into());
    }

    /// Whether the gradient of a node is bf16.
    pub fn is_narrow(&self, index: usize) -> bool {
        self.slots[index].narrow
    }

    /// Memory for a gradient of a node.
    pub fn fresh(&self, index: usize, len: usize) -> Fresh {
        Fresh::new(len, self.slots[index].narrow)
    }

    /// Adds values that others may read too.
    pub fn add_values(&mut self, index: usize, gradient: Values) {
        let Slot { narrow, sum } = &mut self.slots[index];
        let gradient = gradient.like(*narrow);
        *sum = match sum.take() {
            Some(Values::Written(sum) | Values::Summed { dy: sum, .. }) => {
                Some(sum.plus(&gradient.written()).into())
            }
            Some(sum) => Some(sum.written().plus(&gradient.written()).into()),
            None => Some(gradient),
        };
    }

    /// Adds to the gradient of a parameter: `write` overwrites all its values.
    pub fn add_param(&mut self, param: &Param, write: impl FnOnce(&mut [f32])) {
        self.params.add(param, write);
    }

    /// Takes over what candle found: gradients of leaves are ours to follow, the others of parameters.
    fn absorb(&mut self, mut found: GradStore) -> Result<()> {
        let leaves = std::mem::take(&mut self.leaves);
        for (index, leaf) in &leaves {
            if let Some(gradient) = found.remove(leaf) {
                let values = gradient.flatten_all()?.to_vec1()?;
                self.add_values(*index, Buffer::from_vec(values).into());
            }
        }
        self.leaves = leaves;
        self.params.absorb(&found)
    }
}

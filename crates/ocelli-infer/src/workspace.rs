//! The memory of one caller.

use ocelli_kernels::Scratch;

/// What engines work in: activations and scratch memory. One for each caller that runs an engine at the same
/// time; kept, it grows to the largest need and allocates nothing from then on.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(crate) values: Scratch,
    pub(crate) scratch: Scratch,
}

impl Workspace {
    /// An empty one, which allocates when it is first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held at present.
    pub fn bytes(&self) -> usize {
        self.values.bytes() + self.scratch.bytes()
    }
}

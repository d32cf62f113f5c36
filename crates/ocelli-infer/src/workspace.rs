//! The memory of one caller.

use ocelli_kernels::{Floats, FloatsMut, Scratch};

/// What engines work in: activations and scratch memory. One for each caller that runs an engine at the same
/// time; kept, it grows to the largest need and allocates nothing from then on.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(crate) values: Scratch,
    /// One for each thread that has steps of its own.
    pub(crate) asides: Vec<Aside>,
}

/// Memory of a step.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// The kernels'.
    pub scratch: Scratch,
    /// For values that are converted first.
    wide: Scratch,
}

impl Workspace {
    /// An empty one, which allocates when it is first used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held at present.
    pub fn bytes(&self) -> usize {
        let aside = |aside: &Aside| aside.scratch.bytes() + aside.wide.bytes();
        self.values.bytes() + self.asides.iter().map(aside).sum::<usize>()
    }
}

impl Aside {
    /// Lends values as f32 and rounds what `compute` writes, as far as they are bf16.
    pub fn widened(
        &mut self,
        inputs: &[Floats<'_>],
        y: FloatsMut<'_>,
        compute: impl FnOnce(&[Floats<'_>], FloatsMut<'_>),
    ) {
        let needed = |values: Floats<'_>| if values.is_narrow() { values.len() } else { 0 };
        let len = inputs.iter().copied().chain([y.read()]).map(needed).sum();
        let mut memory = self.wide.take(len);
        let mut take = |len: usize| {
            let (part, rest) = std::mem::take(&mut memory).split_at_mut(len);
            memory = rest;
            part
        };
        let mut widened = |values: Floats<'_>| {
            let part = take(values.len());
            values.copy_to((&mut *part).into());
            &*part
        };
        let inputs: Vec<Floats<'_>> =
            inputs.iter().map(|&x| if x.is_narrow() { widened(x).into() } else { x }).collect();
        if !y.read().is_narrow() {
            return compute(&inputs, y);
        }
        let part = take(y.len());
        compute(&inputs, (&mut *part).into());
        Floats::from(&*part).copy_to(y);
    }
}

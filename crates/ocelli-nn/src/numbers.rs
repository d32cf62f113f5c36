//! Numbers in memory: f32, or bf16 in a pass of mixed precision.

use std::sync::Arc;

use ocelli_kernels::{Bf16, Floats, FloatsMut, arrange};

use crate::memory::{Buffer, Halves};

/// Numbers that several may read.
#[derive(Clone, Debug)]
pub(crate) enum Numbers {
    F32(Arc<Buffer>),
    Bf16(Arc<Halves>),
}

/// Numbers that somebody is to write first, all of them.
#[derive(Debug)]
pub(crate) enum Fresh {
    F32(Buffer),
    Bf16(Halves),
}

impl Fresh {
    /// So many, in bf16 if `narrow`.
    pub fn new(len: usize, narrow: bool) -> Self {
        if narrow { Self::Bf16(Halves::new(len)) } else { Self::F32(Buffer::new(len)) }
    }

    /// Zeros, for whoever wants a shape alone.
    pub fn clear(&mut self) {
        match self {
            Self::F32(values) => values.fill(0.0),
            Self::Bf16(values) => values.fill(Bf16::default()),
        }
    }

    /// To be written.
    pub fn get(&mut self) -> FloatsMut<'_> {
        match self {
            Self::F32(values) => FloatsMut::F32(values),
            Self::Bf16(values) => FloatsMut::Bf16(values),
        }
    }
}

impl Numbers {
    /// To be read.
    pub fn get(&self) -> Floats<'_> {
        match self {
            Self::F32(values) => Floats::F32(values),
            Self::Bf16(values) => Floats::Bf16(values),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.get().len()
    }

    /// Memory that they take.
    pub fn bytes(&self) -> usize {
        self.len() * if self.is_narrow() { size_of::<Bf16>() } else { size_of::<f32>() }
    }

    /// Whether they are bf16.
    pub fn is_narrow(&self) -> bool {
        matches!(self, Self::Bf16(_))
    }

    /// As bf16 if `narrow`, else as f32; copied if they are not.
    pub fn like(&self, narrow: bool) -> Self {
        if self.is_narrow() == narrow {
            return self.clone();
        }
        let mut copy = Fresh::new(self.len(), narrow);
        self.get().copy_to(copy.get());
        copy.into()
    }

    /// As f32; copied if they are not.
    pub fn wide(&self) -> Arc<Buffer> {
        match self.like(false) {
            Self::F32(values) => values,
            Self::Bf16(_) => unreachable!("asked for f32"),
        }
    }

    /// The sum with others, in this width, and in this memory unless someone else still reads it.
    pub fn plus(mut self, other: &Self) -> Self {
        let other = other.like(self.is_narrow());
        match self.get_mut() {
            Some(sum) => arrange::add(sum, other.get()),
            None => {
                let mut copy = Fresh::new(self.len(), self.is_narrow());
                self.get().copy_to(copy.get());
                arrange::add(copy.get(), other.get());
                return copy.into();
            }
        }
        self
    }

    /// To be changed, if nobody else reads them.
    fn get_mut(&mut self) -> Option<FloatsMut<'_>> {
        match self {
            Self::F32(values) => Arc::get_mut(values).map(|values| FloatsMut::F32(values)),
            Self::Bf16(values) => Arc::get_mut(values).map(|values| FloatsMut::Bf16(values)),
        }
    }
}

impl From<Buffer> for Numbers {
    fn from(values: Buffer) -> Self {
        Self::F32(Arc::new(values))
    }
}

impl From<Arc<Buffer>> for Numbers {
    fn from(values: Arc<Buffer>) -> Self {
        Self::F32(values)
    }
}

impl From<Fresh> for Numbers {
    fn from(values: Fresh) -> Self {
        match values {
            Fresh::F32(values) => Self::F32(Arc::new(values)),
            Fresh::Bf16(values) => Self::Bf16(Arc::new(values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_leaves_alone_what_others_read() {
        let numbers = |values: [f32; 2]| Numbers::from(Buffer::from_vec(values.to_vec()));
        for narrow in [false, true] {
            let a = numbers([1.0, 2.0]).like(narrow);
            let kept = a.clone();
            let sum = a.plus(&numbers([4.0, 0.5]));
            assert_eq!(sum.is_narrow(), narrow);
            assert_eq!(sum.wide()[..], [5.0, 2.5]);
            assert_eq!(kept.wide()[..], [1.0, 2.0]);
        }
    }
}

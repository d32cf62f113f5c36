//! What a feature or a gradient is made of: numbers in memory, or a norm that is computed by whoever reads it.

use std::sync::Arc;

use ocelli_kernels::Source;
use ocelli_kernels::norm::{Norm, NormGradient, NormSums};

use crate::memory::Buffer;

/// A [`Source`] that is kept.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// Numbers.
    Written(Arc<Buffer>),
    /// A gradient of a norm's result, with the sums that the norm will want of it.
    Summed { dy: Arc<Buffer>, sums: Arc<NormSums> },
    /// A norm of x.
    Normed { x: Arc<Buffer>, norm: Arc<Norm> },
    /// The gradient of a norm's input x.
    Gradient { g: Arc<Buffer>, x: Arc<Buffer>, gradient: Arc<NormGradient> },
}

impl Values {
    pub fn source(&self) -> Source<'_> {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => Source::Plain(values),
            Self::Normed { x, norm } => Source::Normed { x, norm },
            Self::Gradient { g, x, gradient } => Source::Gradient { g, x, gradient },
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => values.len(),
            Self::Normed { x, .. } | Self::Gradient { x, .. } => x.len(),
        }
    }

    /// The numbers, computed unless they stand in memory.
    pub fn written(&self) -> Arc<Buffer> {
        if let Self::Written(values) | Self::Summed { dy: values, .. } = self {
            return values.clone();
        }
        let mut values = Buffer::new(self.len());
        self.source().write(&mut values);
        Arc::new(values)
    }
}

impl From<Buffer> for Values {
    fn from(values: Buffer) -> Self {
        Self::Written(Arc::new(values))
    }
}

impl From<Arc<Buffer>> for Values {
    fn from(values: Arc<Buffer>) -> Self {
        Self::Written(values)
    }
}

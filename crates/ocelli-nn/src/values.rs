//! What a feature or a gradient is made of: numbers in memory, or a norm that is computed by whoever reads it.

use std::sync::Arc;

use ocelli_kernels::Source;
use ocelli_kernels::norm::{Norm, NormGradient, NormSums};

use crate::numbers::{Fresh, Numbers};

/// A [`Source`] that is kept.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// Numbers.
    Written(Numbers),
    /// A gradient of a norm's result, with the sums that the norm will want of it.
    Summed { dy: Numbers, sums: Arc<NormSums> },
    /// A norm of x.
    Normed { x: Numbers, norm: Arc<Norm> },
    /// The gradient of a norm's input x.
    Gradient { g: Numbers, x: Numbers, gradient: Arc<NormGradient> },
}

impl Values {
    pub fn source(&self) -> Source<'_> {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => Source::Plain(values.get()),
            Self::Normed { x, norm } => Source::Normed { x: x.get(), norm },
            Self::Gradient { g, x, gradient } => {
                Source::Gradient { g: g.get(), x: x.get(), gradient }
            }
        }
    }

    /// The norm that they are, if it is one of the batch: its way back will want sums of their gradient.
    pub fn norm(&self) -> Option<(Numbers, Arc<Norm>)> {
        match self {
            Self::Normed { x, norm } if norm.is_of_batch() => Some((x.clone(), norm.clone())),
            _ => None,
        }
    }

    /// A gradient with such sums, if there are any.
    pub fn gradient(dy: Fresh, sums: Option<NormSums>) -> Self {
        let dy = Numbers::from(dy);
        match sums.map(Arc::new) {
            Some(sums) => Self::Summed { dy, sums },
            None => Self::Written(dy),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => values.len(),
            Self::Normed { x, .. } | Self::Gradient { x, .. } => x.len(),
        }
    }

    /// Whether they are bf16, or computed from such.
    pub fn is_narrow(&self) -> bool {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => values.is_narrow(),
            Self::Normed { x, .. } | Self::Gradient { x, .. } => x.is_narrow(),
        }
    }

    /// The numbers, computed unless they stand in memory; in the width of what they are computed from.
    pub fn written(&self) -> Numbers {
        if let Self::Written(values) | Self::Summed { dy: values, .. } = self {
            return values.clone();
        }
        let mut values = Fresh::new(self.len(), self.is_narrow());
        self.source().write(values.get());
        values.into()
    }

    /// The same of a given width.
    pub fn like(self, narrow: bool) -> Self {
        if self.is_narrow() == narrow {
            return self;
        }
        let mut values = Fresh::new(self.len(), narrow);
        self.source().write(values.get());
        values.into()
    }
}

impl<T: Into<Numbers>> From<T> for Values {
    fn from(values: T) -> Self {
        Self::Written(values.into())
    }
}

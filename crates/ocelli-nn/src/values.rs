//! What a feature or a gradient is made of: numbers in memory, or a norm that is computed by whoever reads it.

use std::sync::{Arc, OnceLock};

use ocelli_kernels::Source;
use ocelli_kernels::norm::{Mask, Norm, NormGradient, NormSums};

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
    /// A norm with a residual.
    Sum(Arc<Sum>),
    /// The gradient of a norm's input x.
    Gradient { g: Numbers, x: Numbers, gradient: Arc<NormGradient> },
}

/// A norm of x with a residual that is computed again by the first who asks for it on the way back. Until then a
/// network keeps none of its sums.
#[derive(Debug)]
pub(crate) struct Sum {
    pub x: Numbers,
    pub norm: Arc<Norm>,
    pub residual: Values,
    pub written: OnceLock<Numbers>,
}

impl Sum {
    /// The numbers, and where the activation let them through.
    pub fn of(x: &Numbers, norm: &Norm, residual: &Numbers) -> (Numbers, Mask) {
        let mut y = Fresh::new(x.len(), x.is_narrow());
        let residual = residual.like(x.is_narrow());
        let mask = norm.forward(x.get(), Some(residual.get()), y.get());
        (y.into(), mask)
    }

    /// The numbers. A residual that is such a sum is computed again as well, and so on to the first of a stage.
    fn numbers(&self) -> &Numbers {
        self.written.get_or_init(|| Self::of(&self.x, &self.norm, &self.residual.written()).0)
    }
}

impl Values {
    pub fn source(&self) -> Source<'_> {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => Source::Plain(values.get()),
            Self::Normed { x, norm } => Source::Normed { x: x.get(), norm },
            Self::Sum(sum) => Source::Plain(sum.numbers().get()),
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
            Self::Sum(sum) => sum.x.len(),
        }
    }

    /// Whether they are bf16, or computed from such.
    pub fn is_narrow(&self) -> bool {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => values.is_narrow(),
            Self::Normed { x, .. } | Self::Gradient { x, .. } => x.is_narrow(),
            Self::Sum(sum) => sum.x.is_narrow(),
        }
    }

    /// The numbers, computed unless they stand in memory; in the width of what they are computed from.
    pub fn written(&self) -> Numbers {
        match self {
            Self::Written(values) | Self::Summed { dy: values, .. } => return values.clone(),
            Self::Sum(sum) => return sum.numbers().clone(),
            Self::Normed { .. } | Self::Gradient { .. } => {}
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

#[cfg(test)]
mod tests {
    use ocelli_kernels::activation::Activation;
    use ocelli_kernels::norm::Moments;

    use super::*;
    use crate::memory::Buffer;

    #[test]
    fn sums_of_sums_are_computed_again_as_they_were() {
        let numbers = |seed: usize| {
            let values = (0..96).map(|i| ((i * 37 + seed * 11) % 23) as f32 - 11.0).collect();
            Numbers::from(Buffer::from_vec(values))
        };
        let mut kept = Values::from(numbers(0));
        let mut first = kept.written();
        for block in 1..4 {
            let x = numbers(block);
            let moments = Moments::new(x.get(), 8);
            let norm = Norm::of_batch(&moments, &[0.7; 8], &[0.1; 8], Activation::Relu, 1e-5);
            first = Sum::of(&x, &norm, &first).0;
            let (norm, written) = (Arc::new(norm), OnceLock::new());
            kept = Values::Sum(Arc::new(Sum { x, norm, residual: kept, written }));
        }
        assert_eq!(kept.len(), 96);
        assert_eq!(kept.written().wide()[..], first.wide()[..]);
    }
}

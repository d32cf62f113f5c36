//! What a loader hands to a network: normalised pixels and what they should be called.

/// Images of one size with their targets, in plain buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Normalised pixels, `[n, height, width, channels]`.
    pub images: Vec<f32>,
    /// `[n, height, width, channels]`.
    pub shape: [usize; 4],
    /// What the images show.
    pub targets: Targets,
    /// Each image's index in its dataset.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.shape[0] == 0
    }
}

/// The wanted answer for each image of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class index per image, `[n]`.
    Classes(Vec<u32>),
    /// One distribution per image, `[n, classes]`; each row sums to one. Mixup and CutMix make these.
    Soft {
        /// Length of a row.
        classes: usize,
        /// All rows, one after the other.
        probabilities: Vec<f32>,
    },
}

impl Targets {
    /// The targets as distributions over `classes` classes, `[n, classes]`.
    ///
    /// # Panics
    /// Where a class index is not below `classes`.
    pub fn to_soft(&self, classes: usize) -> Vec<f32> {
        match self {
            Self::Soft { probabilities, .. } => probabilities.clone(),
            Self::Classes(indices) => {
                let mut rows = vec![0.0; indices.len() * classes];
                for (row, &class) in rows.chunks_exact_mut(classes.max(1)).zip(indices) {
                    row[class as usize] = 1.0;
                }
                rows
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_targets_become_one_hot_rows() {
        assert_eq!(Targets::Classes(vec![2, 0]).to_soft(3), [0., 0., 1., 1., 0., 0.]);
        assert!(Targets::Classes(vec![]).to_soft(0).is_empty());
    }
}

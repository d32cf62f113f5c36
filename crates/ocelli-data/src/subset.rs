//! Some images of a dataset.

use std::sync::Arc;

use ocelli_core::{ClassNames, Dataset, Image, SampleError};

use crate::DataError;

/// A view of some images of another dataset, with all its classes.
#[derive(Clone)]
pub struct Subset {
    whole: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

impl Subset {
    /// The images of `whole` at `indices`, in that order; one may stand there twice.
    ///
    /// # Errors
    /// Where an index is not below the number of images.
    pub fn new(whole: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self, DataError> {
        if let Some(index) = indices.iter().find(|&&index| index >= whole.len()) {
            let length = whole.len();
            return Err(DataError::Config(format!(
                "a subset cannot take image {index} of {length} images"
            )));
        }
        Ok(Self { whole, indices })
    }

    /// The images' indices in the dataset they are from.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn classes(&self) -> &ClassNames {
        self.whole.classes()
    }

    fn target(&self, index: usize) -> usize {
        self.whole.target(self.indices[index])
    }

    fn image(&self, index: usize) -> Result<Image, SampleError> {
        self.whole.image(self.indices[index])
    }

    fn describe(&self, index: usize) -> String {
        self.whole.describe(self.indices[index])
    }
}

impl std::fmt::Debug for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subset({} of {} images)", self.indices.len(), self.whole.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Numbers;

    #[test]
    fn a_subset_renumbers_and_stays_in_bounds() {
        let whole: Arc<dyn Dataset> = Arc::new(Numbers::new(5, 2));
        let part = Subset::new(whole.clone(), vec![4, 1]).unwrap();
        assert_eq!((part.len(), part.target(1), part.describe(0)), (2, 1, "sample 4".to_owned()));
        assert_eq!(part.image(0).unwrap().pixel(0, 0), [4; 3]);
        assert!(Subset::new(whole, vec![5]).is_err());
    }
}

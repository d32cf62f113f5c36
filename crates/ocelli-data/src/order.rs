//! In which order an epoch meets the images.

use ocelli_core::Dataset;
use ocelli_core::random::{Purpose, Stream};
use rand::RngCore;
use serde::{Deserialize, Serialize};

/// The order of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As the dataset has them.
    Sequential,
    /// Each once, shuffled anew each epoch.
    #[default]
    Shuffled,
    /// As many as there are, drawn with replacement so that each class comes equally often: each image
    /// weighs the inverse of the number of images in its class. For imbalanced training data.
    Balanced,
}

impl Order {
    /// The images' indices in the order of an epoch, one for each image of the dataset.
    ///
    /// The stream is (`seed`, [`Purpose::Order`], `epoch`, 0), so no epoch depends on another.
    pub fn indices(self, dataset: &dyn Dataset, seed: u64, epoch: u64) -> Vec<usize> {
        let mut random = Stream::new(seed, Purpose::Order, epoch, 0);
        let mut indices: Vec<usize> = (0..dataset.len()).collect();
        match self {
            Self::Sequential => indices,
            Self::Shuffled => {
                shuffle(&mut indices, &mut random);
                indices
            }
            Self::Balanced => {
                let members: Vec<_> =
                    by_class(dataset).into_iter().filter(|images| !images.is_empty()).collect();
                let mut draw = || {
                    let images = &members[below(members.len(), &mut random)];
                    images[below(images.len(), &mut random)]
                };
                indices.iter().map(|_| draw()).collect()
            }
        }
    }
}

/// The images of each class, in the dataset's order.
pub(crate) fn by_class(dataset: &dyn Dataset) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); dataset.classes().len()];
    for index in 0..dataset.len() {
        members[dataset.target(index)].push(index);
    }
    members
}

/// Fisher and Yates' shuffle. It is written out here because a library's may change, and with it every
/// run and every split.
pub(crate) fn shuffle<T>(items: &mut [T], random: &mut Stream) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, random));
    }
}

/// A number below `n`, by the high half of a 128-bit product: its bias is below n / 2^64.
fn below(n: usize, random: &mut Stream) -> usize {
    ((u128::from(random.next_u64()) * n as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Numbers;

    #[test]
    fn shuffles_are_permutations_keyed_by_seed_and_epoch() {
        let dataset = Numbers::new(100, 2);
        let order = |seed, epoch| Order::Shuffled.indices(&dataset, seed, epoch);
        let mut sorted = order(1, 2);
        assert_eq!(sorted, order(1, 2));
        assert_ne!(sorted, order(1, 3));
        assert_ne!(sorted, order(2, 2));
        sorted.sort_unstable();
        assert_eq!(sorted, Order::Sequential.indices(&dataset, 1, 2));
    }

    /// The values are pinned: a change would change every run.
    #[test]
    fn the_shuffle_is_pinned() {
        assert_eq!(Order::Shuffled.indices(&Numbers::new(8, 2), 0, 0), [4, 3, 7, 0, 1, 6, 2, 5]);
    }

    #[test]
    fn rare_classes_come_as_often_as_others() {
        let mut dataset = Numbers::new(1000, 3);
        dataset.targets = (0..1000).map(|index| usize::from(index >= 990)).collect();
        let drawn = Order::Balanced.indices(&dataset, 7, 0);
        let rare = drawn.iter().filter(|&&index| index >= 990).count();
        assert_eq!(drawn.len(), 1000);
        // 500 expected; the standard deviation is 16.
        assert!((420..580).contains(&rare), "{rare}");
    }
}

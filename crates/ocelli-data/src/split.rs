//! Dividing a dataset into training, validation and test images, class by class.

use std::sync::Arc;

use ocelli_core::Dataset;
use ocelli_core::random::{Purpose, Stream, key_of};
use serde::{Deserialize, Serialize};

use crate::order::{by_class, shuffle};
use crate::{DataError, Subset};

/// How much is split off, as shares of each class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fractions {
    /// Share for validation, at least 0.
    pub val: f64,
    /// Share for test, at least 0; below 1 together with `val`.
    pub test: f64,
}

impl Default for Fractions {
    /// 15 % each.
    fn default() -> Self {
        Self { val: 0.15, test: 0.15 }
    }
}

/// A dataset divided in three; those with a share of zero are empty.
#[derive(Clone, Debug)]
pub struct Parts {
    /// To train on.
    pub train: Subset,
    /// To choose by.
    pub val: Subset,
    /// To measure on once.
    pub test: Subset,
}

/// Divides a dataset, class by class, at random but reproducibly.
///
/// * Each class is shuffled by the stream (`seed`, [`Purpose::Split`], key of the class's name, 0), so a
///   class that comes or goes leaves the division of the others as it was. The first images go to
///   validation, the next to test, the rest to training: another share for test leaves validation as
///   it was.
/// * A class's images are divided by the largest remainder; where remainders are equal, training comes
///   before validation, and validation before test.
/// * Then a class of one image has it in training; of two, one each in training and validation; of
///   three or more, at least one in each part; of those parts with a share above zero. Such an image
///   comes from the part that has most to spare.
/// * Within a part, images stand in the dataset's order.
///
/// # Errors
/// Where the shares are not finite, are negative, or leave nothing to train on.
pub fn split(
    dataset: &Arc<dyn Dataset>,
    fractions: Fractions,
    seed: u64,
) -> Result<Parts, DataError> {
    let Fractions { val, test } = fractions;
    if !(val >= 0.0 && test >= 0.0 && val + test < 1.0) {
        return Err(DataError::Fractions { val, test });
    }
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for (class, mut images) in by_class(dataset.as_ref()).into_iter().enumerate() {
        let key = key_of(dataset.classes().name(class));
        shuffle(&mut images, &mut Stream::new(seed, Purpose::Split, key, 0));
        let [_, val, test] = counts(images.len(), fractions);
        let (val, rest) = images.split_at(val);
        let (test, train) = rest.split_at(test);
        for (part, images) in parts.iter_mut().zip([train, val, test]) {
            part.extend_from_slice(images);
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    let [train, val, test] = parts.map(|indices| Subset::new(dataset.clone(), indices));
    Ok(Parts { train: train?, val: val?, test: test? })
}

/// How many of a class's `n` images go to training, validation and test.
fn counts(n: usize, Fractions { val, test }: Fractions) -> [usize; 3] {
    let shares = [1.0 - val - test, val, test];
    let quotas = shares.map(|share| share * n as f64);
    let mut counts = quotas.map(|quota| quota.floor() as usize);
    let mut ranked: Vec<usize> = (0..3).filter(|&part| shares[part] > 0.0).collect();
    ranked.sort_by(|&a, &b| quotas[b].fract().total_cmp(&quotas[a].fract()));
    let left = n.saturating_sub(counts.iter().sum());
    ranked.iter().take(left).for_each(|&part| counts[part] += 1);

    // The first `n` of those wanted get one at least, from whichever has most to spare.
    let wanted: Vec<usize> = (0..3).filter(|&part| shares[part] > 0.0).take(n).collect();
    for &part in &wanted {
        let spare = |part: usize, counts: [usize; 3]| {
            counts[part] - usize::from(wanted.contains(&part)).min(counts[part])
        };
        if counts[part] == 0
            && let Some(giver) = (0..3).rev().max_by_key(|&giver| spare(giver, counts))
        {
            counts[giver] -= 1;
            counts[part] += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Numbers, names};

    fn dataset(sizes: &[usize]) -> Numbers {
        let targets = sizes.iter().enumerate().flat_map(|(class, &n)| vec![class; n]).collect();
        let mut numbers = Numbers::new(0, sizes.len());
        numbers.targets = targets;
        numbers
    }

    #[test]
    fn shares_are_met_by_the_largest_remainder() {
        let counts = |n, val, test| counts(n, Fractions { val, test });
        assert_eq!(counts(100, 0.15, 0.15), [70, 15, 15]);
        // Quotas 4.9, 1.05, 1.05: the one left over goes to training.
        assert_eq!(counts(7, 0.15, 0.15), [5, 1, 1]);
        // Quotas 1.5, 1.5: training first.
        assert_eq!(counts(3, 0.5, 0.0), [2, 1, 0]);
        assert_eq!(counts(1, 0.45, 0.45), [1, 0, 0]);
        assert_eq!(counts(2, 0.1, 0.1), [1, 1, 0]);
        assert_eq!(counts(2, 0.0, 0.1), [1, 0, 1]);
        assert_eq!(counts(2, 0.45, 0.45), [1, 1, 0]);
        assert_eq!(counts(3, 0.01, 0.01), [1, 1, 1]);
        assert_eq!(counts(4, 0.9, 0.05), [1, 2, 1]);
        assert_eq!(counts(0, 0.2, 0.2), [0, 0, 0]);
        assert_eq!(counts(9, 0.0, 0.0), [9, 0, 0]);
    }

    #[test]
    fn shares_that_leave_nothing_are_refused() {
        let whole: Arc<dyn Dataset> = Arc::new(dataset(&[4, 4]));
        for (val, test) in [(0.5, 0.5), (-0.1, 0.0), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert!(matches!(
                split(&whole, Fractions { val, test }, 0),
                Err(DataError::Fractions { .. })
            ));
        }
    }

    #[test]
    fn a_new_class_leaves_the_others_as_they_were() {
        let mut few = dataset(&[10, 20]);
        few.classes = names(&["b", "d"]);
        let mut many = dataset(&[5, 10, 20]);
        many.classes = names(&["a", "b", "d"]);
        let [few, many]: [Arc<dyn Dataset>; 2] = [Arc::new(few), Arc::new(many)];
        let [few, many] = [few, many].map(|whole| split(&whole, Fractions::default(), 3).unwrap());
        let moved: Vec<usize> = few.val.indices().iter().map(|index| index + 5).collect();
        assert_eq!(moved, many.val.indices()[many.val.len() - moved.len()..]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn parts_are_a_division_near_the_shares(
            sizes in prop::collection::vec(0usize..40, 1..6), val in 0.0..0.5, test in 0.0..0.49, seed: u64,
        ) {
            let whole: Arc<dyn Dataset> = Arc::new(dataset(&sizes));
            let parts = split(&whole, Fractions { val, test }, seed).unwrap();
            let three = [&parts.train, &parts.val, &parts.test];
            let mut all: Vec<usize> = three.iter().flat_map(|part| part.indices().to_vec()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..whole.len()).collect::<Vec<_>>());
            for (class, &n) in sizes.iter().enumerate() {
                for (part, share) in three.iter().zip([1.0 - val - test, val, test]) {
                    let count = (0..part.len()).filter(|&index| part.target(index) == class).count() as f64;
                    // One from rounding, and up to two given to or taken for parts that had none.
                    prop_assert!((count - share * n as f64).abs() < 3.0);
                    prop_assert!(count >= 1.0 || n < 3 || share == 0.0);
                }
            }
            let again = split(&whole, Fractions { val, test }, seed).unwrap();
            prop_assert_eq!(again.train.indices(), parts.train.indices());
        }
    }
}

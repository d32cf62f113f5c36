//! Pixels and targets are mixed by the same share.

use ocelli_core::{Batch, BatchTransform, Targets};
use proptest::prelude::*;

use super::*;
use crate::testing::{batch, stream};

/// Image i is full of i, its class is i: whatever the mix, the mean pixel is the mean class.
fn numbered(n: usize, height: usize, width: usize) -> Batch {
    batch(n, height, width, |image| image as f32)
}

fn rows(batch: &Batch) -> Vec<Vec<f32>> {
    match &batch.targets {
        Targets::Soft { classes, probabilities } => {
            probabilities.chunks(*classes).map(<[f32]>::to_vec).collect()
        }
        Targets::Classes(_) => panic!("not mixed"),
    }
}

fn check_shares(mixed: &Batch) {
    let length = mixed.shape[1] * mixed.shape[2] * mixed.shape[3];
    for (image, row) in mixed.images.chunks(length).zip(rows(mixed)) {
        let pixels = image.iter().sum::<f32>() / length as f32;
        let class: f32 = row.iter().enumerate().map(|(class, share)| class as f32 * share).sum();
        assert!((pixels - class).abs() < 1e-3, "{pixels} {class}");
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!(row.iter().all(|&share| share >= 0.0));
    }
}

#[test]
fn a_share_of_three_quarters_by_hand() {
    let mut mixed = numbered(3, 1, 2);
    mixup::mix(&mut mixed, 3, 0.75);
    assert_eq!(mixed.images, [[0.5; 6], [1.0; 6], [1.5; 6]].concat());
    assert_eq!(rows(&mixed), [[0.75, 0.0, 0.25], [0.0, 1.0, 0.0], [0.25, 0.0, 0.75]]);
}

/// Half of each side of 8 x 6 is 4 x 3; clipped at the border it is less, and the targets know.
#[test]
fn a_cut_rectangle_counts_by_its_clipped_area() {
    let mut seen_clipped = false;
    for i in 0..50 {
        let mut mixed = numbered(2, 8, 6);
        cutmix::mix(&mut mixed, 2, 0.75, &mut stream(i));
        let cut = mixed.images[..8 * 6 * 3].iter().filter(|&&value| value == 1.0).count() / 3;
        assert!((1..=12).contains(&cut), "{cut}");
        assert!((rows(&mixed)[0][1] - cut as f32 / 48.0).abs() < 1e-6);
        seen_clipped |= cut < 12;
        check_shares(&mixed);
    }
    assert!(seen_clipped);
}

#[test]
fn soft_targets_are_mixed_again() {
    let mut mixed = numbered(4, 2, 3);
    mixup::mix(&mut mixed, 4, 0.5);
    cutmix::mix(&mut mixed, 4, 0.5, &mut stream(1));
    assert_eq!(rows(&mixed)[0].len(), 4);
    assert!(rows(&mixed).iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
}

#[test]
fn a_batch_that_is_not_drawn_stays() {
    let mut same = numbered(4, 2, 3);
    Mixup { p: 0.0, ..Mixup::new(4) }.apply(&mut same, &mut stream(1));
    CutMix { p: 0.0, ..CutMix::new(4) }.apply(&mut same, &mut stream(1));
    MixupOrCutMix { mixup_alpha: 0.0, cutmix_alpha: 0.0, ..MixupOrCutMix::new(4) }
        .apply(&mut same, &mut stream(1));
    assert_eq!(same, numbered(4, 2, 3));
}

/// Mixed pixels lie between whole numbers, cut ones do not; 400 batches, five standard deviations are 46.
#[test]
fn cutmix_is_drawn_as_often_as_asked() {
    let count = |mix: MixupOrCutMix| {
        let cut = |i| {
            let mut mixed = numbered(2, 5, 4);
            mix.apply(&mut mixed, &mut stream(i));
            check_shares(&mixed);
            mixed.images.iter().all(|value| value.fract() == 0.0)
        };
        (0..400).filter(|&i| cut(i)).count()
    };
    let both = count(MixupOrCutMix { switch_p: 0.3, ..MixupOrCutMix::new(2) });
    assert!((74..=166).contains(&both), "{both}");
    assert_eq!(count(MixupOrCutMix { mixup_alpha: 0.0, ..MixupOrCutMix::new(2) }), 400);
    assert!(count(MixupOrCutMix { cutmix_alpha: 0.0, ..MixupOrCutMix::new(2) }) <= 2);
}

#[test]
fn nonsense_is_refused() {
    assert_eq!(MixupOrCutMix::new(10).check(), Ok(()));
    assert!(Mixup { alpha: 0.0, ..Mixup::new(2) }.check().is_err());
    assert!(CutMix { p: 1.5, ..CutMix::new(2) }.check().is_err());
    assert!(MixupOrCutMix::new(0).check().is_err());
    assert!(
        MixupOrCutMix { mixup_alpha: 0.0, cutmix_alpha: 0.0, ..MixupOrCutMix::new(2) }
            .check()
            .is_err()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn shares_agree_for_any_shape(
        n in 0..6_usize, height in 1..7_usize, width in 1..7_usize, key: u64,
        alpha in prop_oneof![Just(1e-9), 0.1..4.0_f64], switch_p in 0.0..=1.0_f64,
    ) {
        let mix = MixupOrCutMix { mixup_alpha: alpha, cutmix_alpha: alpha, switch_p, ..MixupOrCutMix::new(6) };
        let mut mixed = numbered(n, height, width);
        mix.apply(&mut mixed, &mut stream(key));
        check_shares(&mixed);
        let mut again = numbered(n, height, width);
        mix.apply(&mut again, &mut stream(key));
        prop_assert_eq!(mixed, again);
    }
}

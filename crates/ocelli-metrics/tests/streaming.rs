//! Figures do not depend on how the rows were cut into batches, shards and runs.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use ocelli_metrics::Classification;
use proptest::prelude::*;

/// Logits with ties, infinities and NaN among them, and a target per row.
fn rows() -> impl Strategy<Value = (usize, Vec<f32>, Vec<u32>)> {
    let logit = prop_oneof![
        8 => (-40i32..40).prop_map(|v| v as f32 / 4.0),
        1 => Just(f32::INFINITY),
        1 => Just(f32::NAN),
    ];
    (1usize..7, 0usize..30).prop_flat_map(move |(classes, rows)| {
        let logits = proptest::collection::vec(logit.clone(), rows * classes);
        let targets = proptest::collection::vec(0..classes as u32, rows);
        (Just(classes), logits, targets)
    })
}

fn counted(classes: usize, logits: &[f32], targets: &[u32], batch: usize) -> Classification {
    let mut metrics = Classification::new(classes);
    for (logits, targets) in logits.chunks(batch * classes).zip(targets.chunks(batch)) {
        metrics.add_logits(logits, targets).unwrap();
    }
    metrics
}

proptest! {
    #[test]
    fn the_batch_size_changes_nothing((classes, logits, targets) in rows(), batch in 1usize..12) {
        let whole = counted(classes, &logits, &targets, 1000);
        prop_assert_eq!(&counted(classes, &logits, &targets, batch), &whole);
        prop_assert_eq!(counted(classes, &logits, &targets, batch).summary(), whole.summary());
    }

    #[test]
    fn shards_merge_to_the_whole_in_any_order((classes, logits, targets) in rows(), cut in 0usize..30) {
        let cut = cut.min(targets.len());
        let (first, second) = (
            counted(classes, &logits[..cut * classes], &targets[..cut], 3),
            counted(classes, &logits[cut * classes..], &targets[cut..], 5),
        );
        let (mut forward, mut backward) = (first.clone(), second.clone());
        forward.merge(&second).unwrap();
        backward.merge(&first).unwrap();
        prop_assert_eq!(&forward, &counted(classes, &logits, &targets, 1000));
        prop_assert_eq!(forward, backward);
    }

    #[test]
    fn a_saved_state_goes_on_as_if_never_stopped((classes, logits, targets) in rows()) {
        let metrics = counted(classes, &logits, &targets, 4);
        let text = serde_json::to_string(&metrics).unwrap();
        prop_assert_eq!(serde_json::from_str::<Classification>(&text).unwrap(), metrics.clone());
        let summary = metrics.summary();
        let text = serde_json::to_string(&summary).unwrap();
        prop_assert_eq!(serde_json::from_str::<ocelli_metrics::Summary>(&text).unwrap(), summary);
    }
}

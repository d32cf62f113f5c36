//! How do I measure a classifier that something else trained? Hand its logits over in batches of any size,
//! on any number of shards: counts are summed and divided once, so the figures are exact.

use ocelli_metrics::{Classification, MetricsError};

const CLASSES: [&str; 3] = ["cat", "dog", "owl"];

/// Logits `[N, 3]` with the true classes, as a network would give them.
const FIRST: (&[f32], &[u32]) = (&[2.0, 0.5, -1.0, 0.1, 1.3, 0.2, 0.4, 1.1, 0.3], &[0, 1, 0]);
const SECOND: (&[f32], &[u32]) = (&[-1.0, 0.0, 4.0, 0.2, 0.1, 0.9], &[2, 2]);

fn main() -> Result<(), MetricsError> {
    let (mut one, mut other) = (Classification::new(3), Classification::new(3));
    one.add_logits(FIRST.0, FIRST.1)?;
    other.add_logits(SECOND.0, SECOND.1)?;
    one.merge(&other)?;

    let summary = one.summary();
    println!("{} of {} right, log loss {:.3}", summary.correct, summary.count, summary.log_loss);
    for (name, scores) in CLASSES.iter().zip(&summary.classes) {
        println!(
            "{name}: precision {:.2}, recall {:.2}, F1 {:.2}",
            scores.precision, scores.recall, scores.f1
        );
    }
    println!("macro F1 {:.3}", summary.macro_average.f1);
    println!("cats taken for dogs: {}", one.confusion().count(0, 1));
    Ok(())
}

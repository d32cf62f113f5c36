//! Every figure against scikit-learn's (tests/golden/metrics.py).

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use ocelli_metrics::{Classification, Scores};
use serde_json::Value;

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_close(got: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((got - expected).abs() <= tolerance, "{what}: {got}, scikit-learn says {expected}");
}

#[track_caller]
fn assert_scores(got: Scores, case: &Value, name: &str) {
    let expected = floats(&case[name]);
    for (got, expected) in [got.precision, got.recall, got.f1].into_iter().zip(expected) {
        assert_close(got, expected, 1e-12, &format!("{} {name}", case["name"]));
    }
}

#[test]
fn every_case_agrees() {
    let golden: Value = serde_json::from_str(include_str!("golden/metrics.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let classes = case["classes"].as_u64().unwrap() as usize;
        let truth: Vec<u32> = floats(&case["truth"]).into_iter().map(|c| c as u32).collect();
        let logits: Vec<f32> = floats(&case["logits"]).into_iter().map(|v| v as f32).collect();
        let mut metrics = Classification::new(classes);
        metrics.add_logits(&logits, &truth).unwrap();

        let confusion: Vec<f64> = metrics.confusion().counts().iter().map(|&n| n as f64).collect();
        assert_eq!(confusion, floats(&case["confusion"]), "{name}");
        let summary = metrics.summary();
        assert_eq!(summary.count, truth.len() as u64, "{name}");
        assert_close(summary.top1, case["top1"].as_f64().unwrap(), 0.0, name);
        assert_close(summary.top5, case["top5"].as_f64().unwrap(), 0.0, name);
        // scikit-learn was given probabilities rounded to f32.
        if let Some(expected) = case["log_loss"].as_f64() {
            assert_close(summary.log_loss, expected, 1e-6 * expected.max(1.0), name);
        }
        assert_scores(summary.macro_average, case, "macro");
        assert_scores(summary.micro_average, case, "micro");
        assert_scores(summary.weighted_average, case, "weighted");
        let per_class: Vec<Vec<f64>> =
            case["per_class"].as_array().unwrap().iter().map(floats).collect();
        for (c, got) in summary.classes.iter().enumerate() {
            let got = [got.precision, got.recall, got.f1, got.support as f64];
            for (got, expected) in got.into_iter().zip(&per_class) {
                assert_close(got, expected[c], 1e-12, &format!("{name}, class {c}"));
            }
        }
    }
}

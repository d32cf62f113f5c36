//! Convolutions and their gradients as PyTorch computes them in f64 (tests/golden/conv.py).

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use ocelli_kernels::layout::{nchw_to_nhwc, oihw_to_ohwi};
use ocelli_kernels::testing::{relative_error, widen};
use ocelli_kernels::{Algorithm, Conv, ConvShape, Epilogue, Form, Padding, Scratch, sum_rows};
use serde_json::Value;

/// The script's formula.
fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 1013) % 2048) as f32 / 1024.0 - 1.0).collect()
}

fn numbers(case: &Value, key: &str) -> Vec<f32> {
    case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn sizes<const N: usize>(case: &Value, key: &str) -> [usize; N] {
    std::array::from_fn(|i| case[key][i].as_u64().unwrap() as usize)
}

fn shape(case: &Value) -> ConvShape {
    let size = |key: &str| case[key].as_u64().unwrap() as usize;
    let [top, bottom, left, right] = sizes(case, "padding");
    ConvShape {
        batch: size("n"),
        height: size("h"),
        width: size("w"),
        in_channels: size("c"),
        out_channels: size("o"),
        kernel: sizes(case, "kernel"),
        stride: sizes(case, "stride"),
        padding: Padding { top, bottom, left, right },
        dilation: sizes(case, "dilation"),
        groups: size("groups"),
    }
}

#[test]
fn every_case_has_pytorchs_values() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/conv.json")).unwrap();
    assert!(!cases.is_empty());
    for case in &cases {
        check(case);
    }
}

fn check(case: &Value) {
    let s = shape(case);
    let [rows, columns] = s.output();
    let images = [s.batch, s.in_channels, s.height, s.width];
    let outputs = [s.batch, s.out_channels, rows, columns];
    let kernels = [s.out_channels, s.in_channels / s.groups, s.kernel[0], s.kernel[1]];
    let x = nchw_to_nhwc(&values(s.x_len(), 1), images);
    let w = oihw_to_ohwi(&values(s.w_len(), 2), kernels);
    let dy = nchw_to_nhwc(&values(s.y_len(), 4), outputs);
    let conv = Conv::plan(s).unwrap();
    let scratch = &mut Scratch::new();
    let [mut y, mut dx, mut dw, mut db] =
        [s.y_len(), s.x_len(), s.w_len(), s.out_channels].map(|n| vec![0.0; n]);
    conv.forward(
        &x,
        &conv.pack(Form::Forward, &w),
        Epilogue::bias(Some(&values(s.out_channels, 3))),
        &mut y,
        scratch,
    );
    conv.backward_input(&dy, &conv.pack(Form::BackwardInput, &w), &mut dx, scratch);
    conv.backward_weight(&x, &dy, &mut dw, scratch);
    sum_rows(&dy, s.out_channels, &mut db);
    let expected = [
        ("y", y, nchw_to_nhwc(&numbers(case, "y"), outputs)),
        ("dx", dx, nchw_to_nhwc(&numbers(case, "dx"), images)),
        ("dw", dw, oihw_to_ohwi(&numbers(case, "dw"), kernels)),
        ("db", db, numbers(case, "db")),
    ];
    for (what, got, expected) in expected {
        let error = relative_error(&got, &widen(&expected));
        // Winograd's transforms lose some bits.
        let tolerance = match conv.algorithm() {
            Algorithm::Winograd | Algorithm::FoldedWinograd => 5e-5,
            Algorithm::MixedWinograd => 0.15,
            Algorithm::Direct | Algorithm::Depthwise | Algorithm::Mixed => 1e-5,
        };
        assert!(error < tolerance, "{}: {what}: error {error:e}", case["name"]);
    }
}

//! Convolutions of every kind against the definition in f64.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod definition;

use definition::{BASE, Data, Passes, run, wrong};
use ocelli_kernels::testing::{self, conv_backward_input, conv_forward, gradient_error, widen};
use ocelli_kernels::{
    Algorithm, Conv, ConvShape, Epilogue, Form, Padding, Scratch, ShapeError, sum_rows,
};
use proptest::prelude::*;

#[track_caller]
fn check(shape: ConvShape) {
    let wrong = wrong(shape);
    assert!(wrong.is_empty(), "{wrong:?} for {shape:?}");
}

#[test]
fn strides_paddings_and_dilations() {
    for kernel in [[1, 1], [3, 3], [2, 5]] {
        for stride in [[1, 1], [2, 1], [2, 2], [3, 4]] {
            for dilation in [[1, 1], [2, 1], [1, 2]] {
                for padding in [Padding::default(), Padding::symmetric(2, 1), BASE.padding] {
                    let shape = ConvShape { kernel, stride, dilation, padding, ..BASE };
                    // A window too tall or wide is the business of another test.
                    if shape.check().is_ok() {
                        check(shape);
                    }
                }
            }
        }
    }
}

#[test]
fn channel_counts_that_fill_no_vector() {
    for in_channels in [1, 3, 5, 16, 17, 33] {
        for out_channels in [1, 3, 5, 16, 17, 33] {
            check(ConvShape { in_channels, out_channels, ..BASE });
            check(ConvShape {
                in_channels,
                out_channels,
                kernel: [1, 1],
                padding: Padding::default(),
                ..BASE
            });
        }
    }
}

#[test]
fn groups() {
    for groups in [2, 3, 6] {
        for (inputs, outputs) in [(1, 2), (2, 1), (5, 3), (16, 16)] {
            let shape = ConvShape {
                groups,
                in_channels: groups * inputs,
                out_channels: groups * outputs,
                ..BASE
            };
            check(shape);
            check(ConvShape { stride: [2, 3], ..shape });
            check(ConvShape { kernel: [1, 1], padding: Padding::default(), ..shape });
        }
    }
}

#[test]
fn depthwise() {
    for channels in [2, 3, 5, 16, 17, 33, 40] {
        for kernel in [[1, 1], [2, 2], [3, 3], [5, 5], [7, 7], [3, 4]] {
            for stride in [[1, 1], [2, 2], [1, 3]] {
                let padding = Padding {
                    top: kernel[0] / 2,
                    bottom: 3,
                    left: kernel[1] / 2,
                    right: kernel[1],
                };
                let shape = ConvShape {
                    groups: channels,
                    in_channels: channels,
                    out_channels: channels,
                    width: 15,
                    kernel,
                    stride,
                    padding,
                    ..BASE
                };
                check(shape);
                check(ConvShape {
                    dilation: [1, 2],
                    padding: Padding { right: 6, ..padding },
                    ..shape
                });
                check(ConvShape { out_channels: 2 * channels, ..shape });
            }
        }
    }
}

/// As many channels in as out, each on its own.
fn depthwise_shape(channels: usize, kernel: usize, stride: usize) -> ConvShape {
    ConvShape {
        groups: channels,
        in_channels: channels,
        out_channels: channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: Padding::symmetric(kernel / 2, kernel / 2),
        ..BASE
    }
}

#[test]
fn depthwise_tiles_of_every_size() {
    for (kernel, stride) in [(2, 2), (3, 1), (3, 2), (4, 1), (5, 1), (5, 2), (7, 1), (7, 2), (9, 1)]
    {
        let layer = depthwise_shape(20, kernel, stride);
        for width in 1..=16 {
            for height in 1..=5 {
                let size = [height, width];
                let same = Padding::same(size, layer.kernel, layer.stride, layer.dilation);
                for padding in [layer.padding, same] {
                    check(ConvShape { batch: 1, height, width, padding, ..layer });
                }
            }
        }
    }
}

#[test]
fn where_a_depthwise_operand_begins_in_memory_changes_no_bit() {
    for (channels, kernel, stride) in [(32, 3, 1), (48, 3, 2), (64, 5, 1), (24, 3, 1), (48, 9, 1)] {
        let shape = depthwise_shape(channels, kernel, stride);
        let conv = Conv::plan(shape).unwrap();
        let Data { x, w, bias, dy, .. } = Data::new(&shape);
        let passes = |offset| {
            let moved = |data: &[f32]| [&vec![0.0; offset], data].concat();
            let (x, dy) = (moved(&x), moved(&dy));
            let [mut y, mut dx] = [vec![0.0; dy.len()], vec![0.0; x.len()]];
            let (mut dw, scratch) = (vec![0.0; w.len()], &mut Scratch::new());
            let (forward, backward) =
                (conv.pack(Form::Forward, &w), conv.pack(Form::BackwardInput, &w));
            let epilogue = Epilogue::bias(Some(&bias));
            conv.forward(&x[offset..], &forward, epilogue, &mut y[offset..], scratch);
            conv.backward_input(&dy[offset..], &backward, &mut dx[offset..], scratch);
            conv.backward_weight(&x[offset..], &dy[offset..], &mut dw, scratch);
            let [y, dx] = [y.split_off(offset), dx.split_off(offset)];
            Passes { y, finished: vec![], dx, dw }
        };
        let here = passes(0);
        for offset in 1..16 {
            assert!(here == passes(offset), "{offset}: {shape:?}");
        }
    }
}

#[test]
fn pixels_of_many_channels() {
    let pixels = ConvShape { kernel: [1, 1], padding: Padding::default(), ..BASE };
    let channels = [(130, 150), (129, 128), (17, 1000), (1000, 18)];
    for (in_channels, out_channels) in channels {
        for (batch, height, width) in [(1, 1, 1), (3, 7, 9), (0, 5, 5), (2, 8, 8)] {
            check(ConvShape { in_channels, out_channels, batch, height, width, ..pixels });
        }
    }
    // More than are brought into order at once.
    check(ConvShape { height: 67, width: 65, in_channels: 129, out_channels: 271, ..pixels });
}

#[test]
fn images_of_one_pixel_and_kernels_larger_than_the_image() {
    let pixel =
        ConvShape { height: 1, width: 1, kernel: [1, 1], padding: Padding::default(), ..BASE };
    check(pixel);
    check(ConvShape { kernel: [3, 3], padding: Padding::symmetric(1, 1), ..pixel });
    check(ConvShape { kernel: [5, 3], padding: Padding::symmetric(3, 3), stride: [2, 3], ..pixel });
    check(ConvShape { kernel: [1, 1], padding: Padding::symmetric(2, 2), ..pixel });
    check(ConvShape {
        height: 2,
        width: 3,
        kernel: [7, 7],
        padding: Padding::symmetric(4, 5),
        ..BASE
    });
    // Whole output rows that see nothing but padding.
    check(ConvShape { padding: Padding { top: 9, bottom: 8, left: 9, right: 8 }, ..BASE });
    check(ConvShape { stride: [9, 11], ..BASE });
    let aside = Padding { left: 4, ..Padding::default() };
    let sizes = ConvShape { width: 1, kernel: [1, 2], stride: [1, 3], dilation: [1, 2], ..BASE };
    check(ConvShape { padding: aside, ..sizes });
}

#[test]
fn linear_layers() {
    for (batch, in_channels, out_channels) in [(1, 512, 10), (7, 130, 33), (70, 64, 100)] {
        let shape = ConvShape {
            batch,
            in_channels,
            out_channels,
            height: 1,
            width: 1,
            kernel: [1, 1],
            ..BASE
        };
        check(ConvShape { padding: Padding::default(), ..shape });
    }
}

#[test]
fn more_than_one_block_of_everything() {
    // More pixels than a block, more taps than one gathering takes, several slices.
    check(ConvShape {
        batch: 3,
        height: 23,
        width: 31,
        in_channels: 40,
        out_channels: 20,
        kernel: [3, 3],
        ..BASE
    });
    check(ConvShape { batch: 1, height: 3, width: 900, stride: [1, 2], ..BASE });
    let wide =
        ConvShape { batch: 1, height: 9, width: 9, in_channels: 600, out_channels: 3, ..BASE };
    check(ConvShape { kernel: [3, 3], stride: [2, 2], ..wide });
}

#[test]
fn layers_of_a_residual_network() {
    for (channels, size) in [(64, 28), (128, 14), (256, 14), (512, 7)] {
        check(ConvShape {
            batch: 1,
            height: size,
            width: size,
            in_channels: channels,
            out_channels: channels,
            kernel: [3, 3],
            padding: Padding::symmetric(1, 1),
            ..BASE
        });
    }
}

#[test]
fn layers_of_stride_two() {
    let same = |size, kernel| Padding::same([size; 2], [kernel; 2], [2, 2], [1, 1]);
    for (channels, size, kernel, padding) in [
        ([3, 64], 37, 7, Padding::symmetric(3, 3)),
        ([3, 64], 36, 7, same(36, 7)),
        ([3, 40], 30, 8, Padding::symmetric(3, 4)),
        ([16, 24], 19, 6, Padding::symmetric(2, 3)),
        ([24, 40], 17, 5, Padding::symmetric(2, 2)),
        ([3, 32], 33, 3, same(33, 3)),
        ([64, 128], 28, 3, Padding::symmetric(1, 1)),
        ([64, 128], 28, 3, same(28, 3)),
        ([128, 256], 15, 3, Padding::symmetric(1, 1)),
        ([256, 512], 14, 3, Padding::symmetric(1, 1)),
    ] {
        check(ConvShape {
            batch: 1,
            height: size,
            width: size,
            in_channels: channels[0],
            out_channels: channels[1],
            kernel: [kernel; 2],
            stride: [2, 2],
            padding,
            ..BASE
        });
    }
}

#[test]
fn an_empty_batch_has_no_output_and_no_gradient() {
    for groups in [1, 4] {
        let shape = ConvShape { batch: 0, groups, out_channels: 4, ..BASE };
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.serves(&shape)) {
            let conv = Conv::plan_as(shape, algorithm).unwrap();
            let got = run(&conv, &Data::new(&shape), &mut Scratch::new());
            let dw = vec![0.0; shape.w_len()];
            assert_eq!(got, Passes { y: vec![], finished: vec![], dx: vec![], dw });
        }
    }
}

#[test]
fn the_gradients_are_those_of_finite_differences() {
    for groups in [1, 2, 4] {
        let shape = ConvShape { groups, out_channels: 4, stride: [2, 1], ..BASE };
        let conv = Conv::plan(shape).unwrap();
        let data = Data::new(&shape);
        let got = run(&conv, &data, &mut Scratch::new());
        let (x, w, dy) = (widen(&data.x), widen(&data.w), widen(&data.dy));
        // With loss = sum of y * dy, the gradient of the loss with respect to y is dy.
        let loss = |x: &[f64], w: &[f64]| {
            conv_forward(&shape, x, w).iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
        };
        assert!(gradient_error(&x, &got.dx, 40, |x| loss(x, &w)) < 1e-5);
        assert!(gradient_error(&w, &got.dw, 40, |w| loss(&x, w)) < 1e-5);
        let mut db = vec![0.0; shape.out_channels];
        sum_rows(&data.dy, shape.out_channels, &mut db);
        let y = widen(&got.y);
        let biased = |b: &[f64]| -> f64 {
            y.iter().zip(&dy).enumerate().map(|(i, (y, d))| (y + b[i % b.len()]) * d).sum()
        };
        assert!(gradient_error(&widen(&data.bias), &db, 4, biased) < 1e-5);
    }
}

#[test]
fn the_fastest_algorithm_is_chosen_by_shape() {
    let layer = ConvShape { batch: 16, kernel: [3, 3], in_channels: 64, out_channels: 64, ..BASE };
    let chosen = |shape| Conv::plan(shape).unwrap().algorithm();
    assert_eq!(chosen(layer), Algorithm::Winograd);
    assert_eq!(chosen(ConvShape { stride: [2, 2], ..layer }), Algorithm::FoldedWinograd);
    let stem = ConvShape { kernel: [7, 7], padding: Padding::symmetric(3, 3), ..layer };
    assert_eq!(chosen(stem), Algorithm::Direct);
    assert_eq!(chosen(ConvShape { stride: [2, 2], ..stem }), Algorithm::FoldedWinograd);
    assert_eq!(chosen(ConvShape { in_channels: 3, ..layer }), Algorithm::Direct);
    let stem = ConvShape { height: 224, width: 224, in_channels: 3, stride: [2, 2], ..layer };
    assert_eq!(chosen(ConvShape { batch: 1, ..stem }), Algorithm::Direct);
    assert_eq!(chosen(stem), Algorithm::FoldedWinograd);
    assert_eq!(chosen(ConvShape { groups: 64, ..layer }), Algorithm::Depthwise);
    // Few tiles are not worth transforming the weights for.
    let small = ConvShape { batch: 1, height: 7, width: 7, ..layer };
    assert_eq!(chosen(small), Algorithm::Direct);
    assert_eq!(chosen(ConvShape { batch: 2, ..small }), Algorithm::Winograd);
}

#[test]
fn packed_weights_serve_every_batch_and_image_size() {
    let cases = [[1, 1], [2, 2]]
        .map(|stride| [Algorithm::Direct, Algorithm::Mixed].map(|algorithm| (stride, algorithm)));
    for (stride, algorithm) in cases.into_iter().flatten() {
        let plan = |shape| Conv::plan_as(ConvShape { stride, ..shape }, algorithm).unwrap();
        let (small, large) =
            (plan(BASE), plan(ConvShape { batch: 7, height: 40, width: 31, ..BASE }));
        let data = Data::new(large.shape());
        for form in [Form::Forward, Form::BackwardInput] {
            assert!(large.accepts(&small.pack(form, &data.w)));
        }
        let mut y = [vec![0.0; data.dy.len()], vec![0.0; data.dy.len()]];
        for (conv, y) in [&small, &large].into_iter().zip(&mut y) {
            large.forward(
                &data.x,
                &conv.pack(Form::Forward, &data.w),
                Epilogue::default(),
                y,
                &mut Scratch::new(),
            );
        }
        assert_eq!(y[0], y[1]);
    }
}

#[test]
#[should_panic(expected = "weights packed for")]
fn weights_of_another_layer_are_refused() {
    let other = Conv::plan(ConvShape { out_channels: 6, ..BASE }).unwrap();
    let weights = other.pack(Form::Forward, &vec![0.0; other.shape().w_len()]);
    let data = Data::new(&BASE);
    Conv::plan(BASE).unwrap().forward(
        &data.x,
        &weights,
        Epilogue::default(),
        &mut [0.0_f32; 0],
        &mut Scratch::new(),
    );
}

#[test]
fn an_impossible_shape_is_an_error() {
    let algorithm = Algorithm::Depthwise;
    let error = Conv::plan_as(BASE, algorithm).unwrap_err();
    assert_eq!(error, ShapeError::Algorithm { algorithm });
    let zero = Conv::plan(ConvShape { stride: [0, 1], ..BASE }).unwrap_err();
    assert_eq!(zero, ShapeError::Zero { what: "stride" });
    let window = Conv::plan(ConvShape { kernel: [9, 1], ..BASE }).unwrap_err();
    let text = "a window of 9 (kernel 9, dilation included) does not fit into the height of the image: \
                7 with padding; use a larger image or more padding";
    assert_eq!(window.to_string(), text);
}

fn shapes() -> impl Strategy<Value = ConvShape> {
    let pair = |low: usize, high: usize| [low..=high, low..=high];
    let padding = [0..=4_usize, 0..=4_usize, 0..=4_usize, 0..=4_usize];
    let channels = (1..=4_usize, 1..=20_usize, 1..=20_usize, any::<bool>());
    (0..=3_usize, pair(1, 13), pair(1, 4), pair(1, 4), pair(1, 3), padding, channels)
        .prop_filter_map(
            "the window must fit",
            |(
                batch,
                [height, width],
                kernel,
                stride,
                dilation,
                [top, bottom, left, right],
                channels,
            )| {
                let (groups, inputs, outputs, depthwise) = channels;
                let groups = if depthwise { inputs } else { groups };
                let (inputs, outputs) = if depthwise { (1, 1) } else { (inputs, outputs) };
                let shape = ConvShape {
                    batch,
                    height,
                    width,
                    in_channels: groups * inputs,
                    out_channels: groups * outputs,
                    kernel,
                    stride,
                    padding: Padding { top, bottom, left, right },
                    dilation,
                    groups,
                };
                shape.check().is_ok().then_some(shape)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_shapes(shape in shapes()) {
        let wrong = wrong(shape);
        prop_assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn the_definition_by_hand() {
    // One row, kernel [1, 2] with weights 10 and 1: 2-digit numbers.
    let shape = ConvShape {
        batch: 1,
        height: 1,
        width: 4,
        in_channels: 1,
        out_channels: 1,
        kernel: [1, 2],
        padding: Padding::default(),
        ..BASE
    };
    let (x, w) = ([1.0, 2.0, 3.0, 4.0], [10.0, 1.0]);
    assert_eq!(conv_forward(&shape, &x, &w), [12.0, 23.0, 34.0]);
    assert_eq!(conv_backward_input(&shape, &[1.0, 0.0, 0.0], &w), [10.0, 1.0, 0.0, 0.0]);
    assert_eq!(testing::conv_backward_weight(&shape, &x, &[1.0, 0.0, 2.0]), [7.0, 10.0]);
}

//! Results that do not fit into a cache.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod definition;

use definition::{BASE, Data, run, wrong};
use ocelli_kernels::{Algorithm, Bf16, Conv, ConvShape, Epilogue, Form, Padding, Scratch};

const POINTWISE: ConvShape = ConvShape {
    batch: 8,
    height: 97,
    width: 101,
    in_channels: 8,
    out_channels: 112,
    kernel: [1, 1],
    padding: Padding { top: 0, bottom: 0, left: 0, right: 0 },
    ..BASE
};

#[test]
fn large_results_are_streamed_to_the_same_bits() {
    let shapes = [
        POINTWISE,
        // Most pixels of its input meet no weight.
        ConvShape { in_channels: 112, out_channels: 8, stride: [2, 2], ..POINTWISE },
        ConvShape {
            groups: 112,
            in_channels: 112,
            kernel: [3, 3],
            padding: Padding::symmetric(1, 1),
            ..POINTWISE
        },
        ConvShape { kernel: [3, 3], padding: Padding::symmetric(1, 1), ..POINTWISE },
    ];
    for shape in shapes {
        assert!(shape.x_len().max(shape.y_len()) > 8 << 20);
        let one = ConvShape { batch: 1, ..shape };
        assert_eq!(wrong(ConvShape { height: 9, width: 11, ..one }), []);
        let plan = Conv::plan(shape).unwrap();
        let single = Conv::plan_as(one, plan.algorithm()).unwrap();
        let data = Data::new(&shape);
        let scratch = &mut Scratch::new();
        let all = run(&plan, &data, scratch);
        for image in [0, 7] {
            let part = |values: &[f32]| {
                let len = values.len() / 8;
                values[image * len..(image + 1) * len].to_vec()
            };
            let [x, dy, residual] = [&data.x, &data.dy, &data.residual].map(|v| part(v));
            let (w, bias) = (data.w.clone(), data.bias.clone());
            let alone = run(&single, &Data { x, w, bias, residual, dy }, scratch);
            assert!(part(&all.y) == alone.y && part(&all.dx) == alone.dx, "{shape:?}");
        }
    }
}

#[test]
fn large_results_in_bf16_have_the_same_bits() {
    // Written beside their place first, and streamed.
    let streamed = ConvShape { width: 203, ..POINTWISE };
    assert!(POINTWISE.y_len() > 2 << 20 && POINTWISE.y_len() < 16 << 20);
    assert!(streamed.y_len() > 16 << 20);
    for shape in [POINTWISE, streamed] {
        let (data, scratch) = (Data::new(&shape), &mut Scratch::new());
        for plan in [Conv::plan(shape).unwrap(), Conv::plan_as(shape, Algorithm::Mixed).unwrap()] {
            let weights = plan.pack(Form::Forward, &data.w);
            let (mut y, mut narrow) =
                (vec![f32::NAN; shape.y_len()], vec![Bf16::new(f32::NAN); shape.y_len()]);
            plan.forward(&data.x, &weights, Epilogue::default(), &mut y, scratch);
            plan.forward(&data.x, &weights, Epilogue::default(), &mut narrow, scratch);
            assert!(y.iter().map(|&y| Bf16::new(y)).eq(narrow), "{:?}", plan.algorithm());
        }
    }
}

//! Convolutions by one thread and by several: the same bits.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod definition;

use definition::{BASE, Data, run, wrong};
use ocelli_kernels::testing::with_threads;
use ocelli_kernels::{Algorithm, Bf16, Conv, ConvShape, Epilogue, Floats, Form, Padding, Scratch};

#[test]
fn the_number_of_threads_changes_no_bit() {
    let dense =
        ConvShape { batch: 5, height: 20, width: 19, in_channels: 24, out_channels: 40, ..BASE };
    let small = ConvShape { batch: 1, height: 7, width: 6, kernel: [3, 3], ..BASE };
    let depthwise =
        ConvShape { height: 40, width: 33, in_channels: 48, out_channels: 48, groups: 48, ..BASE };
    let shapes = [
        dense,
        ConvShape { kernel: [3, 3], ..dense },
        ConvShape { stride: [2, 2], kernel: [3, 3], ..dense },
        ConvShape { stride: [2, 2], kernel: [7, 7], in_channels: 3, ..dense },
        ConvShape { stride: [2, 2], kernel: [3, 3], in_channels: 128, out_channels: 160, ..dense },
        ConvShape { kernel: [1, 1], padding: Padding::default(), ..dense },
        ConvShape { groups: 8, ..dense },
        ConvShape { groups: 24, out_channels: 24, kernel: [3, 3], ..dense },
        ConvShape { groups: 24, out_channels: 24, kernel: [3, 3], stride: [2, 2], ..dense },
        ConvShape {
            kernel: [5, 5],
            stride: [2, 2],
            padding: Padding::symmetric(2, 2),
            ..depthwise
        },
        ConvShape { kernel: [9, 9], padding: Padding::symmetric(4, 4), ..depthwise },
        ConvShape {
            kernel: [1, 1],
            padding: Padding::default(),
            in_channels: 210,
            out_channels: 150,
            ..dense
        },
        // Fewer blocks than threads, which share the weights then; also of two images.
        ConvShape { batch: 2, in_channels: 200, out_channels: 230, ..small },
        ConvShape { in_channels: 200, out_channels: 230, ..small },
        ConvShape { in_channels: 272, out_channels: 424, groups: 2, ..small },
        ConvShape { kernel: [1, 1], stride: [2, 2], in_channels: 1100, out_channels: 800, ..small },
    ];
    let fastest = shapes.map(|shape| Conv::plan(shape).unwrap());
    let mixed = [Algorithm::Mixed, Algorithm::MixedWinograd]
        .map(|algorithm| shapes.map(|shape| Conv::plan_as(shape, algorithm)));
    let mixed = mixed.into_iter().flatten().flatten();
    for conv in fastest.into_iter().chain(mixed) {
        let shape = *conv.shape();
        let data = Data::new(&shape);
        let all = || (run(&conv, &data, &mut Scratch::new()), narrow(&conv, &data));
        let one = with_threads(1, all);
        for threads in [2, 3, 8] {
            let same = one == with_threads(threads, all);
            assert!(same, "{threads}: {shape:?} by {:?}", conv.algorithm());
        }
    }
}

#[test]
fn weights_dealt_out_to_threads_are_all_met() {
    let small =
        ConvShape { batch: 1, height: 7, width: 6, in_channels: 200, out_channels: 230, ..BASE };
    let wrong = with_threads(3, || wrong(ConvShape { kernel: [3, 3], ..small }));
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// y in bf16 of an x in bf16, with residuals of either width, of which that in f32 is no bf16.
fn narrow(conv: &Conv, data: &Data) -> [Vec<u16>; 2] {
    let round = |values: &[f32]| values.iter().map(|&v| Bf16::new(v)).collect::<Vec<_>>();
    let (x, z) = (round(&data.x), round(&data.residual));
    let weights = conv.pack(Form::Forward, &data.w);
    [Floats::from(&z), Floats::from(&data.residual)].map(|residual| {
        let mut y = vec![Bf16::new(f32::NAN); z.len()];
        let epilogue = Epilogue { residual: Some(residual), ..Epilogue::bias(Some(&data.bias)) };
        conv.forward(&x, &weights, epilogue, &mut y, &mut Scratch::new());
        y.into_iter().map(Bf16::bits).collect()
    })
}

//! Convolution with every instruction set. A process of its own, because the limit holds for all of it.
//!
//! `OCELLI_MAX_ISA=avx2 cargo test -p ocelli-kernels` runs all other tests with one.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod definition;

use definition::{BASE, Data, Passes, run, wrong};
use ocelli_kernels::isa::{Isa, limit};
use ocelli_kernels::testing::{relative_error, widen};
use ocelli_kernels::{Algorithm, Conv, ConvShape, Padding, Precision, Scratch};

const SHAPE: ConvShape = ConvShape {
    height: 9,
    width: 11,
    in_channels: 45,
    out_channels: 37,
    kernel: [3, 3],
    padding: Padding::symmetric(1, 1),
    ..BASE
};

/// That products of bf16 are the same but for the order of their sums, whoever computes them.
#[track_caller]
fn agree(got: &Passes, other: &Passes) {
    for (got, other) in [(&got.y, &other.y), (&got.dx, &other.dx), (&got.dw, &other.dw)] {
        assert!(relative_error(got, &widen(other)) < 1e-5);
    }
}

/// That mixed precision takes the algorithms that are fast with an instruction set.
fn chooses_for_mixed_precision(isa: Isa) {
    let layer = ConvShape { batch: 16, in_channels: 64, out_channels: 64, ..SHAPE };
    let strided = ConvShape { stride: [2, 2], ..layer };
    let pixels = ConvShape { kernel: [1, 1], padding: Padding::default(), ..layer };
    let image = ConvShape { height: 224, width: 224, in_channels: 3, ..strided };
    let stem = ConvShape { kernel: [7, 7], padding: Padding::symmetric(3, 3), ..image };
    let each = ConvShape { groups: 64, ..layer };
    let chosen = [layer, strided, pixels, stem, each]
        .map(|shape| Conv::plan_in(shape, Precision::Mixed).unwrap().algorithm());
    use Algorithm::{Depthwise, Direct, FoldedWinograd, Mixed, MixedWinograd, Winograd};
    let expected = match isa {
        Isa::Amx => [Mixed, Mixed, Mixed, Mixed, Depthwise],
        Isa::Avx512Bf16 => [MixedWinograd, Mixed, Mixed, FoldedWinograd, Depthwise],
        _ => [Winograd, FoldedWinograd, Direct, FoldedWinograd, Depthwise],
    };
    assert_eq!(chosen, expected, "{isa:?}");
}

#[test]
fn every_instruction_set_follows_the_definition() {
    let mut before: Option<Vec<Passes>> = None;
    for isa in Isa::ALL {
        if limit(isa) != isa {
            eprintln!("skipped: this CPU has no {isa:?}");
            continue;
        }
        chooses_for_mixed_precision(isa);
        let mut mixed = vec![];
        for stride in [[1, 1], [2, 2]] {
            let shapes = [
                ConvShape { stride, ..SHAPE },
                ConvShape { stride, kernel: [1, 1], padding: Padding::default(), ..SHAPE },
                ConvShape { stride, in_channels: 3, kernel: [7, 7], ..SHAPE },
                ConvShape { stride, out_channels: 45, groups: 45, ..SHAPE },
                ConvShape { stride, in_channels: 40, out_channels: 72, groups: 2, ..SHAPE },
            ];
            for shape in shapes {
                let wrong = wrong(shape);
                assert!(wrong.is_empty(), "{isa:?}: {wrong:?} for {shape:?}");
                if let Ok(conv) = Conv::plan_as(shape, Algorithm::Mixed) {
                    mixed.push(run(&conv, &Data::new(&shape), &mut Scratch::new()));
                }
            }
        }
        for (got, other) in mixed.iter().zip(before.iter().flatten()) {
            agree(got, other);
        }
        before = Some(mixed);
    }
}

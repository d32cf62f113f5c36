//! Convolution with every instruction set. A process of its own, because the limit holds for all of it.
//!
//! `OCELLI_MAX_ISA=avx2 cargo test -p ocelli-kernels` runs all other tests with one.

mod definition;

use definition::wrong;
use ocelli_kernels::isa::{Isa, limit};
use ocelli_kernels::{ConvShape, Padding};

const SHAPE: ConvShape = ConvShape {
    batch: 2,
    height: 9,
    width: 11,
    in_channels: 45,
    out_channels: 37,
    kernel: [3, 3],
    stride: [1, 1],
    padding: Padding::symmetric(1, 1),
    dilation: [1, 1],
    groups: 1,
};

#[test]
fn every_instruction_set_follows_the_definition() {
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512] {
        if limit(isa) != isa {
            eprintln!("skipped: this CPU has no {isa:?}");
            continue;
        }
        for stride in [[1, 1], [2, 2]] {
            for shape in [
                ConvShape { stride, ..SHAPE },
                ConvShape { stride, kernel: [1, 1], padding: Padding::default(), ..SHAPE },
                ConvShape { stride, in_channels: 3, kernel: [7, 7], ..SHAPE },
                ConvShape { stride, out_channels: 45, groups: 45, ..SHAPE },
                ConvShape { stride, in_channels: 40, out_channels: 72, groups: 2, ..SHAPE },
            ] {
                let wrong = wrong(shape);
                assert!(wrong.is_empty(), "{isa:?}: {wrong:?} for {shape:?}");
            }
        }
    }
}

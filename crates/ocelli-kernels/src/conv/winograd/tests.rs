use super::forward::Schedule;
use super::weight;
use super::{Terms, WeightGradient, Winograd};
use crate::activation::Activation;
use crate::conv::Epilogue;
use crate::conv::dense::Operands;
use crate::isa::{Isa, detected};
use crate::norm::{Moments, Norm};
use crate::output::{Output, Summing};
use crate::testing::{
    conv_backward_input, conv_backward_weight, conv_forward, fill, relative_error, widen,
    with_threads,
};
use crate::{ConvShape, Padding, Scratch, Source};
use proptest::prelude::*;

const BASE: ConvShape = ConvShape {
    batch: 2,
    height: 7,
    width: 9,
    in_channels: 5,
    out_channels: 17,
    kernel: [3, 3],
    stride: [1, 1],
    padding: Padding { top: 1, bottom: 1, left: 1, right: 1 },
    dilation: [1, 1],
    groups: 1,
};

fn isas() -> impl Iterator<Item = Isa> + Clone {
    Isa::ALL.into_iter().filter(|&isa| isa <= detected())
}

/// y, dx and dw; asserts that they are the same from values that are computed while they are read.
fn passes(shape: &ConvShape, isa: Isa, schedule: Schedule, terms: Terms) -> [Vec<f32>; 3] {
    let [x, _, _, dy] = data(shape);
    let norm = |x: &[f32], channels: usize| {
        let (gamma, beta) = (fill(channels, 6), fill(channels, 7));
        Norm::of_batch(&Moments::new(x, channels), &gamma, &beta, Activation::Relu, 1e-3)
    };
    let [before, after] = [norm(&x, shape.in_channels), norm(&dy, shape.out_channels)];
    let rows = shape.y_len() / shape.out_channels;
    let gradient = after.gradient(rows, &after.sums(&dy, &dy), false);
    let computed = [
        Source::Normed { x: (&x).into(), norm: &before },
        Source::Gradient { g: (&dy).into(), x: (&dy).into(), gradient: &gradient },
    ];
    let written = computed.map(|source| {
        let mut values = vec![f32::NAN; source.len()];
        source.write(&mut values);
        values
    });
    let results = [computed, [Source::from(&written[0]), Source::from(&written[1])]]
        .map(|sources| passes_on(sources, shape, isa, schedule, terms));
    assert_eq!(results[0], results[1], "{shape:?} {isa:?} {schedule:?}");
    passes_on([Source::from(&x), Source::from(&dy)], shape, isa, schedule, terms)
}

/// y, dx and dw, written into memory full of NaN, so that an element left out is seen.
fn passes_on(
    [x, dy]: [Source<'_>; 2],
    shape: &ConvShape,
    isa: Isa,
    schedule: Schedule,
    terms: Terms,
) -> [Vec<f32>; 3] {
    let [_, w, bias, _] = data(shape);
    let [mut y, mut dx, mut dw] =
        [shape.y_len(), shape.x_len(), shape.w_len()].map(|len| vec![f32::NAN; len]);
    let mut scratch = Scratch::new();
    scratch.take(1 << 16).fill(f32::NAN);
    let forward = Winograd::forward(isa, shape, terms).with_schedule(schedule);
    let weights = packed(&forward, &w);
    let operands = Operands { source: x, weights: &weights, epilogue: Epilogue::bias(Some(&bias)) };
    forward.run(operands, &output(&mut y, shape.out_channels), &mut scratch);
    let backward = Winograd::backward_input(isa, shape, terms).with_schedule(schedule);
    let weights = packed(&backward, &w);
    backward.run(
        Operands { source: dy, weights: &weights, epilogue: Epilogue::default() },
        &output(&mut dx, shape.in_channels),
        &mut scratch,
    );
    let sums = match schedule {
        Schedule::Blocks => weight::Schedule::Slices,
        Schedule::Panels => weight::Schedule::Groups,
    };
    WeightGradient::scheduled(isa, shape, sums, terms).run(x, dy, &mut dw, &mut scratch);
    [y, dx, dw]
}

/// x, w, bias and dy.
fn data(shape: &ConvShape) -> [Vec<f32>; 4] {
    let lens = [shape.x_len(), shape.w_len(), shape.out_channels, shape.y_len()];
    std::array::from_fn(|i| fill(lens[i], i as u64))
}

/// The largest error of any pass; of products of bf16 the largest mean one.
fn errors(shape: &ConvShape, isas: impl Iterator<Item = Isa> + Clone, terms: Terms) -> f64 {
    let [x, w, bias, dy] = data(shape).map(|values| widen(&values));
    let mut y = conv_forward(shape, &x, &w);
    y.chunks_exact_mut(bias.len()).for_each(|y| y.iter_mut().zip(&bias).for_each(|(y, b)| *y += b));
    let expected = [y, conv_backward_input(shape, &dy, &w), conv_backward_weight(shape, &x, &dy)];
    let mut worst = 0.0;
    for schedule in [Schedule::Blocks, Schedule::Panels] {
        let mut before: Option<[Vec<f32>; 3]> = None;
        for isa in isas.clone() {
            let got = passes(shape, isa, schedule, terms);
            for (got, expected) in got.iter().zip(&expected) {
                let error = match terms {
                    Terms::F32 => relative_error(got, expected),
                    Terms::Bf16 => mean_error(got, expected),
                };
                worst = if error <= worst { worst } else { error };
            }
            // All round alike, but for values between two of bf16 by a bit of f32.
            for (got, other) in got.iter().zip(before.iter().flatten()) {
                assert!(mean_error(got, &widen(other)) < 2e-3, "{shape:?} {isa:?} {schedule:?}");
            }
            before = Some(got);
        }
    }
    worst
}

/// The root mean square of the differences, in units of that of the values.
fn mean_error(got: &[f32], expected: &[f64]) -> f64 {
    let square =
        |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let differences = square(&mut got.iter().zip(expected).map(|(&got, e)| f64::from(got) - e));
    (differences / square(&mut expected.iter().copied()).max(f64::MIN_POSITIVE)).sqrt()
}

#[track_caller]
fn check(shape: ConvShape) {
    if shape.check().is_ok() {
        check_terms(&shape, Terms::F32);
        if shape.stride == [1, 1] {
            check_terms(&shape, Terms::Bf16);
        }
    }
}

#[track_caller]
fn check_terms(shape: &ConvShape, terms: Terms) {
    let error = errors(shape, isas(), terms);
    assert!(error < most(terms), "error {error:e} of {terms:?} for {shape:?}");
}

/// More than any error.
fn most(terms: Terms) -> f64 {
    match terms {
        Terms::F32 => 5e-5,
        // A mean of 1.2e-2, but for few values.
        Terms::Bf16 => 2.5e-2,
    }
}

#[test]
fn every_size_of_image() {
    for height in 1..=14 {
        for width in [height, 15 - height, 5] {
            check(ConvShape { height, width, ..BASE });
        }
    }
}

#[test]
fn every_padding() {
    for (top, bottom) in [(0, 0), (0, 3), (1, 0), (2, 1), (3, 2), (7, 0)] {
        for (left, right) in [(0, 0), (0, 1), (3, 0), (1, 2), (2, 3), (0, 6)] {
            let padding = Padding { top, bottom, left, right };
            for (height, width) in [(1, 2), (3, 4), (6, 5)] {
                check(ConvShape { height, width, padding, batch: 1, ..BASE });
            }
        }
    }
}

#[test]
fn every_stride_kernel_and_padding() {
    for kernel in [3, 5, 7] {
        for (top, left) in [(0, 1), (1, 0), (2, 3), (3, 2), (8, 7)] {
            let padding = Padding { top, left, bottom: left, right: top + 1 };
            for (height, width) in [(1, 2), (6, 9), (11, 8), (15, 14)] {
                for in_channels in [3, 16, 17, 32] {
                    check(ConvShape {
                        height,
                        width,
                        padding,
                        in_channels,
                        kernel: [kernel; 2],
                        stride: [2, 2],
                        batch: 1,
                        ..BASE
                    });
                }
            }
        }
    }
}

#[test]
fn strides_with_many_channels() {
    let wide = ConvShape { in_channels: 80, out_channels: 70, stride: [2, 2], ..BASE };
    check(ConvShape { height: 19, width: 30, ..wide });
    check(ConvShape { height: 6, in_channels: 250, kernel: [5, 5], ..wide });
    // Enough blocks of sums to finish each at once.
    check(ConvShape { in_channels: 128, out_channels: 130, ..wide });
}

#[test]
fn every_number_of_channels() {
    let channels = [1, 3, 5, 16, 17, 33, 48, 64, 70];
    for (in_channels, out_channels) in channels.into_iter().flat_map(|i| channels.map(|o| (i, o))) {
        check(ConvShape { in_channels, out_channels, height: 6, width: 5, ..BASE });
    }
    // Enough blocks of sums to finish each at once.
    check(ConvShape { in_channels: 250, out_channels: 200, height: 5, width: 2, batch: 1, ..BASE });
    check(ConvShape { in_channels: 260, out_channels: 3, height: 4, ..BASE });
    check(ConvShape { in_channels: 7, out_channels: 258, width: 4, ..BASE });
}

#[test]
fn every_batch() {
    for batch in 0..=3 {
        check(ConvShape { batch, ..BASE });
    }
}

#[test]
fn many_blocks_and_groups() {
    // More tiles than a block, and than a group of the weight gradient.
    check(ConvShape { batch: 3, height: 41, width: 62, in_channels: 40, out_channels: 36, ..BASE });
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Slices, groups, and a group whose sums are finished at once.
    for (in_channels, out_channels, height) in [(16, 16, 19), (70, 130, 19), (250, 200, 4)] {
        let shape = ConvShape { batch: 5, height, width: 30, in_channels, out_channels, ..BASE };
        for schedule in [Schedule::Blocks, Schedule::Panels] {
            for terms in [Terms::F32, Terms::Bf16] {
                let run =
                    |threads| with_threads(threads, || passes(&shape, detected(), schedule, terms));
                let one = run(1);
                assert!(one == run(2) && one == run(3), "{shape:?}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_reaches_its_outputs() {
    let shape = ConvShape { batch: 1, ..BASE };
    for (bad, terms) in
        [f32::NAN, f32::INFINITY].map(|bad| [(bad, Terms::F32), (bad, Terms::Bf16)]).as_flattened()
    {
        let [mut x, w, ..] = data(&shape);
        x[0] = *bad;
        let plan = Winograd::forward(detected(), &shape, *terms);
        let mut y = vec![0.0_f32; shape.y_len()];
        let weights = packed(&plan, &w);
        let (source, epilogue) = (Source::from(&x), Epilogue::default());
        let operands = Operands { source, weights: &weights, epilogue };
        plan.run(operands, &output(&mut y, shape.out_channels), &mut Scratch::new());
        assert!(y[..2 * shape.out_channels].iter().all(|y| !y.is_finite()));
        assert!(y[y.len() - shape.out_channels..].iter().all(|y| y.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_shapes(
        (batch, height, width) in (0..=3_usize, 1..=20_usize, 1..=20_usize),
        (in_channels, out_channels) in (1..=40_usize, 1..=40_usize),
        [top, bottom, left, right] in [0..=4_usize, 0..=4_usize, 0..=4_usize, 0..=4_usize],
    ) {
        let padding = Padding { top, bottom, left, right };
        let shape = ConvShape { batch, height, width, in_channels, out_channels, padding, ..BASE };
        prop_assume!(shape.check().is_ok());
        for terms in [Terms::F32, Terms::Bf16] {
            let error = errors(&shape, std::iter::once(detected()), terms);
            prop_assert!(error < most(terms), "error {error:e} of {terms:?}");
        }
    }
}

fn packed(plan: &Winograd, w: &[f32]) -> Vec<f32> {
    let mut packed = vec![f32::NAN; plan.packed_len()];
    plan.pack(w, &mut packed);
    packed
}

fn output(values: &mut [f32], channels: usize) -> Output<'_> {
    Output::new(values.into(), channels, Summing::Nothing, &mut [])
}

//! Against the definition in f64, its finite differences, and the awkward shapes.

use super::*;
use crate::activation::Activation;
use crate::norm::{Moments, Norm, NormSums};
use crate::testing::{fill, gradient_error, relative_error, widen, with_threads};
use crate::{Bf16, Floats, Source};

fn shape(size: [usize; 2], channels: usize, kernel: [usize; 2], stride: [usize; 2]) -> PoolShape {
    let [height, width] = size;
    PoolShape {
        batch: 2,
        height,
        width,
        channels,
        kernel,
        stride,
        padding: Padding::default(),
        ceil_mode: false,
    }
}

fn shapes() -> Vec<PoolShape> {
    let asymmetric = Padding { top: 0, bottom: 1, left: 1, right: 0 };
    vec![
        PoolShape { padding: Padding::symmetric(1, 1), ..shape([8, 7], 17, [3, 3], [2, 2]) },
        PoolShape { padding: asymmetric, ..shape([6, 9], 24, [2, 3], [2, 1]) },
        PoolShape { ceil_mode: true, ..shape([6, 8], 1, [3, 3], [2, 2]) },
        PoolShape {
            ceil_mode: true,
            padding: Padding::symmetric(1, 0),
            ..shape([5, 4], 3, [2, 2], [3, 3])
        },
        // The window is larger than the image.
        PoolShape { padding: Padding::symmetric(2, 2), ..shape([1, 2], 5, [4, 5], [1, 2]) },
        shape([1, 1], 1, [1, 1], [1, 1]),
        // Gaps between windows.
        shape([7, 7], 8, [1, 2], [3, 3]),
    ]
}

/// Calls `visit(output index, input index or None for padding)` for every position of every window.
fn positions(s: &PoolShape, mut visit: impl FnMut(usize, Option<usize>)) {
    let [rows, columns] = s.output();
    for n in 0..s.batch {
        for (oy, ox, c) in (0..rows)
            .flat_map(|y| (0..columns).flat_map(move |x| (0..s.channels).map(move |c| (y, x, c))))
        {
            let y = ((n * rows + oy) * columns + ox) * s.channels + c;
            for (ky, kx) in (0..s.kernel[0]).flat_map(|y| (0..s.kernel[1]).map(move |x| (y, x))) {
                let (iy, ix) = (oy * s.stride[0] + ky, ox * s.stride[1] + kx);
                if iy >= s.height + s.padding.top + s.padding.bottom
                    || ix >= s.width + s.padding.left + s.padding.right
                {
                    continue;
                }
                let inside = iy.checked_sub(s.padding.top).zip(ix.checked_sub(s.padding.left));
                let inside = inside.filter(|&(iy, ix)| iy < s.height && ix < s.width);
                visit(
                    y,
                    inside.map(|(iy, ix)| ((n * s.height + iy) * s.width + ix) * s.channels + c),
                );
            }
        }
    }
}

fn exact_max(s: &PoolShape, x: &[f64]) -> Vec<f64> {
    let mut y = vec![f64::NEG_INFINITY; s.y_len()];
    positions(s, |o, i| y[o] = y[o].max(i.map_or(f64::NEG_INFINITY, |i| x[i])));
    y
}

fn exact_average(s: &PoolShape, divisor: Divisor, x: &[f64]) -> Vec<f64> {
    let (mut sum, mut count) = (vec![0.0; s.y_len()], vec![0.0; s.y_len()]);
    positions(s, |o, i| {
        sum[o] += i.map_or(0.0, |i| x[i]);
        count[o] += if divisor == Divisor::Padded || i.is_some() { 1.0 } else { 0.0 };
    });
    sum.iter().zip(count).map(|(s, c)| s / c).collect()
}

fn weighted(y: &[f64], weight: &[f32]) -> f64 {
    y.iter().zip(weight).map(|(y, &w)| y * f64::from(w)).sum()
}

/// Values at least 1e-2 apart, so that a finite difference never changes a winner.
fn distinct(len: usize) -> Vec<f32> {
    let mut order: Vec<usize> = (0..len).collect();
    let keys = fill(len, 8);
    order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    order.into_iter().map(|rank| rank as f32 * 1e-2).collect()
}

#[test]
fn max_pooling_matches_its_definition() {
    for s in shapes() {
        s.check().unwrap();
        let (x, dy) = (distinct(s.x_len()), fill(s.y_len(), 2));
        let (mut y, mut taps) = (vec![f32::NAN; s.y_len()], vec![u16::MAX; s.y_len()]);
        max_forward(&s, &x, &mut y, Some(&mut taps));
        let mut without = vec![f32::NAN; s.y_len()];
        max_forward(&s, &x, &mut without, None);
        assert_eq!(y, without);
        assert_eq!(widen(&y), exact_max(&s, &widen(&x)), "{s:?}");
        let mut dx = vec![f32::NAN; s.x_len()];
        max_backward(&s, &dy, &taps, None, &mut dx);
        let error = gradient_error(&widen(&x), &dx, 60, |x| weighted(&exact_max(&s, x), &dy));
        assert!(error < 1e-5, "{s:?}: {error:e}");
    }
}

#[test]
fn max_pooling_of_a_norm_is_that_of_what_it_writes() {
    let s = PoolShape {
        batch: 3,
        padding: Padding::symmetric(1, 1),
        ..shape([19, 23], 20, [3, 3], [2, 2])
    };
    let narrow = |values: &[f32]| values.iter().map(|&v| Bf16::new(v)).collect::<Vec<_>>();
    let (x, dy) = (narrow(&fill(s.x_len(), 1)), narrow(&fill(s.y_len(), 2)));
    let wide: Vec<f32> = x.iter().map(|x| x.to_f32()).collect();
    let moments = Moments::new(&x, s.channels);
    let (ones, zeros) = (vec![1.0; s.channels], vec![0.1; s.channels]);
    let norm = Norm::of_batch(&moments, &ones, &zeros, Activation::Relu, 1e-3);
    let mut written = vec![f32::NAN; s.x_len()];
    norm.forward(&x, None, &mut written);
    let run = |x: Source<'_>| {
        let (mut y, mut taps) = (vec![Bf16::default(); s.y_len()], vec![u16::MAX; s.y_len()]);
        max_forward(&s, x, &mut y, Some(&mut taps));
        (y, taps)
    };
    let (y, taps) = run((&written).into());
    for x in [Floats::from(&x), Floats::from(&wide)] {
        assert!(run(Source::Normed { x, norm: &norm }) == (y.clone(), taps.clone()));
    }
    let mut dx = vec![Bf16::default(); s.x_len()];
    let sums = max_backward(&s, &dy, &taps, Some((&norm, (&x).into())), &mut dx).unwrap();
    let mut full = vec![f32::NAN; s.x_len()];
    let wide_dy: Vec<f32> = dy.iter().map(|dy| dy.to_f32()).collect();
    assert!(max_backward(&s, &wide_dy, &taps, None, &mut full).is_none());
    assert_eq!(dx, narrow(&full));
    let gamma = |sums: &NormSums| {
        let mut gamma = vec![f32::NAN; s.channels];
        norm.parameter_gradients(sums, [Some(&mut gamma), None]);
        gamma
    };
    assert!(relative_error(&gamma(&sums), &widen(&gamma(&norm.sums(&dx, &x)))) < 1e-5);
}

#[test]
fn average_pooling_matches_its_definition() {
    for s in shapes() {
        for divisor in [Divisor::Padded, Divisor::Valid] {
            let (x, dy) = (fill(s.x_len(), 1), fill(s.y_len(), 2));
            let mut y = vec![f32::NAN; s.y_len()];
            average_forward(&s, divisor, &x, &mut y);
            assert!(relative_error(&y, &exact_average(&s, divisor, &widen(&x))) < 1e-6, "{s:?}");
            let mut dx = vec![f32::NAN; s.x_len()];
            average_backward(&s, divisor, &dy, &mut dx);
            let loss = |x: &[f64]| weighted(&exact_average(&s, divisor, x), &dy);
            let error = gradient_error(&widen(&x), &dx, 60, loss);
            assert!(error < 1e-5, "{s:?}: {error:e}");
        }
    }
}

#[test]
fn global_average_is_the_mean_and_shares_its_gradient() {
    let (batch, pixels, channels) = (2, 70, 9);
    let (x, dy) = (fill(batch * pixels * channels, 1), fill(batch * channels, 2));
    let (mut y, mut dx) = (vec![f32::NAN; batch * channels], vec![f32::NAN; x.len()]);
    global_average_forward(batch, pixels, channels, &x, &mut y);
    let exact: Vec<f64> = (0..batch * channels)
        .map(|i| {
            (0..pixels)
                .map(|p| f64::from(x[(i / channels * pixels + p) * channels + i % channels]))
                .sum::<f64>()
        })
        .map(|sum| sum / pixels as f64)
        .collect();
    assert!(relative_error(&y, &exact) < 1e-6);
    global_average_backward(batch, pixels, channels, &dy, &mut dx);
    for (i, dx) in dx.iter().enumerate() {
        let expected = dy[i / channels / pixels * channels + i % channels] / pixels as f32;
        assert!((dx - expected).abs() < 1e-8);
    }
}

#[test]
fn the_first_of_equal_values_wins_and_nan_beats_all() {
    let s = PoolShape { batch: 1, ..shape([2, 2], 1, [2, 2], [1, 1]) };
    let winner = |x: [f32; 4]| {
        let (mut y, mut taps) = ([0.0], [9]);
        max_forward(&s, &x, &mut y, Some(&mut taps));
        (y[0], taps[0])
    };
    assert_eq!(winner([1.0, 2.0, 2.0, 0.0]), (2.0, 1));
    assert_eq!(winner([f32::NEG_INFINITY; 4]), (f32::NEG_INFINITY, 0));
    let (y, tap) = winner([1.0, f32::NAN, 5.0, 0.0]);
    assert!(y.is_nan() && tap == 1);
}

#[test]
fn threads_do_not_change_a_bit() {
    let s = PoolShape {
        batch: 3,
        padding: Padding::symmetric(1, 1),
        ..shape([19, 23], 20, [3, 3], [2, 2])
    };
    let (x, dy) = (fill(s.x_len(), 1), fill(s.y_len(), 2));
    let run = || {
        let (mut y, mut taps) = (vec![0.0; s.y_len()], vec![0; s.y_len()]);
        max_forward(&s, &x, &mut y, Some(&mut taps));
        let (mut dx, mut mean) = (vec![0.0; s.x_len()], vec![0.0; s.y_len()]);
        max_backward(&s, &dy, &taps, None, &mut dx);
        average_forward(&s, Divisor::Padded, &x, &mut mean);
        (y, taps, dx, mean)
    };
    assert_eq!(with_threads(1, run), with_threads(3, run));
}

#[test]
fn impossible_shapes_are_refused() {
    let refused = |s: PoolShape| s.check().unwrap_err();
    assert_eq!(refused(shape([4, 4], 1, [0, 2], [1, 1])), ShapeError::Zero { what: "kernel" });
    assert_eq!(refused(shape([4, 4], 1, [2, 2], [0, 1])), ShapeError::Zero { what: "stride" });
    let too_wide =
        PoolShape { padding: Padding::symmetric(0, 2), ..shape([4, 4], 1, [2, 2], [1, 1]) };
    assert_eq!(refused(too_wide), ShapeError::PoolPadding { axis: "width", padding: 2, kernel: 2 });
    let large = refused(shape([4, 2], 1, [3, 3], [1, 1]));
    assert_eq!(large, ShapeError::Window { axis: "width", kernel: 3, extent: 3, size: 2 });
    let wide = refused(shape([400, 400], 1, [257, 256], [1, 1]));
    assert_eq!(wide, ShapeError::TooLarge { what: "the window" });
    assert!(matches!(
        refused(shape([usize::MAX, 2], 1, [1, 1], [1, 1])),
        ShapeError::TooLarge { .. }
    ));
    assert!(matches!(
        refused(shape([1 << 40, 1 << 30], 1, [1, 1], [1, 1])),
        ShapeError::TooLarge { .. }
    ));
    assert_eq!(shape([1, 1], 1, [3, 3], [0, 0]).output(), [0, 0]);
}

//! All passes of a convolution, by every algorithm that serves it, against the definition in f64.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::{Moments, Norm, NormSums};
use ocelli_kernels::testing::{
    conv_backward_input, conv_backward_weight, conv_forward, fill, relative_error, widen,
};
use ocelli_kernels::{
    Algorithm, Bf16, Conv, ConvShape, Epilogue, Form, Padding, Scratch, Source, isa,
};

/// A small image of nothing special, to vary.
pub const BASE: ConvShape = ConvShape {
    batch: 2,
    height: 6,
    width: 9,
    in_channels: 4,
    out_channels: 5,
    kernel: [3, 2],
    stride: [1, 1],
    padding: Padding { top: 1, bottom: 0, left: 0, right: 2 },
    dilation: [1, 1],
    groups: 1,
};

/// All results of one convolution.
#[derive(Debug, PartialEq)]
pub struct Passes {
    pub y: Vec<f32>,
    /// relu6(y + residual)
    pub finished: Vec<f32>,
    pub dx: Vec<f32>,
    pub dw: Vec<f32>,
}

pub struct Data {
    pub x: Vec<f32>,
    pub w: Vec<f32>,
    pub bias: Vec<f32>,
    pub residual: Vec<f32>,
    pub dy: Vec<f32>,
}

impl Data {
    pub fn new(shape: &ConvShape) -> Self {
        Self {
            x: fill(shape.x_len(), 1),
            w: fill(shape.w_len(), 2),
            bias: fill(shape.out_channels, 3),
            residual: fill(shape.y_len(), 5),
            dy: fill(shape.y_len(), 4),
        }
    }
}

/// Runs the passes into memory full of NaN, so that an element left out is seen.
pub fn run(conv: &Conv, data: &Data, scratch: &mut Scratch) -> Passes {
    run_on(conv, data, [Source::from(&data.x), Source::from(&data.dy)], scratch)
}

/// The same with x and dy from elsewhere.
fn run_on(conv: &Conv, data: &Data, [x, dy]: [Source<'_>; 2], scratch: &mut Scratch) -> Passes {
    let shape = conv.shape();
    let nan = |len| vec![f32::NAN; len];
    let mut passes = Passes {
        y: nan(shape.y_len()),
        finished: nan(shape.y_len()),
        dx: nan(shape.x_len()),
        dw: nan(shape.w_len()),
    };
    scratch.take(1000).fill(f32::NAN);
    let weights = conv.pack(Form::Forward, &data.w);
    let epilogue = Epilogue::bias(Some(&data.bias));
    conv.forward(x, &weights, epilogue, &mut passes.y, scratch);
    let epilogue =
        Epilogue { residual: Some((&data.residual).into()), act: Activation::Relu6, ..epilogue };
    conv.forward(x, &weights, epilogue, &mut passes.finished, scratch);
    conv.backward_input(dy, &conv.pack(Form::BackwardInput, &data.w), &mut passes.dx, scratch);
    conv.backward_weight(x, dy, &mut passes.dw, scratch);
    passes
}

/// Whether the passes are the same, bit for bit, from values that are computed while they are read and from such
/// as were written before.
fn computes_what_it_reads(conv: &Conv, data: &Data, scratch: &mut Scratch) -> bool {
    let shape = conv.shape();
    let norm = |x: &[f32], channels: usize, act: Activation| {
        let (gamma, beta) = (fill(channels, 6), fill(channels, 7));
        Norm::of_batch(&Moments::new(x, channels), &gamma, &beta, act, 1e-3)
    };
    let before = norm(&data.x, shape.in_channels, Activation::Relu6);
    let x = Source::Normed { x: (&data.x).into(), norm: &before };
    // A norm behind the convolution, whose input happens to be the residual.
    let after = norm(&data.residual, shape.out_channels, Activation::Relu);
    let rows = shape.y_len() / shape.out_channels;
    let gradient = after.gradient(rows, &after.sums(&data.dy, &data.residual), false);
    let dy =
        Source::Gradient { g: (&data.dy).into(), x: (&data.residual).into(), gradient: &gradient };
    let written = [x, dy].map(|source| {
        let len =
            if matches!(source, Source::Normed { .. }) { shape.x_len() } else { shape.y_len() };
        let mut values = vec![f32::NAN; len];
        source.write(&mut values);
        values
    });
    let stand = [&written[0], &written[1]].map(Source::from);
    run_on(conv, data, [x, dy], scratch) == run_on(conv, data, stand, scratch)
}

/// Whether what is summed up while results are written is what they say when they are read, and these are the same.
fn sums_what_it_writes(conv: &Conv, data: &Data, got: &Passes, scratch: &mut Scratch) -> bool {
    let shape = conv.shape();
    let rows = |len: usize, channels: usize| len / channels.max(1);
    let weights = conv.pack(Form::Forward, &data.w);
    let mut y = vec![f32::NAN; got.y.len()];
    let epilogue = Epilogue::bias(Some(&data.bias));
    let moments = conv.forward_moments(&data.x, &weights, epilogue, &mut y, scratch);
    let norm = |moments: &Moments| {
        let (ones, zeros) = (vec![1.0; shape.out_channels], vec![0.0; shape.out_channels]);
        Norm::of_batch(moments, &ones, &zeros, Activation::Identity, 1e-3)
    };
    let (found, wanted) = (norm(&moments), norm(&Moments::new(&y, shape.out_channels)));
    let moments = [found.mean(), found.var(), wanted.mean(), wanted.var()].map(widen);
    let close = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + b.abs()))
    };
    let [mean, var, wanted_mean, wanted_var] = &moments;

    let channels = shape.in_channels;
    let (gamma, beta) = (fill(channels, 8), fill(channels, 9));
    let before =
        Norm::of_batch(&Moments::new(&data.x, channels), &gamma, &beta, Activation::Relu, 1e-3);
    let weights = conv.pack(Form::BackwardInput, &data.w);
    let mut dx = vec![f32::NAN; got.dx.len()];
    let sums = conv.backward_input_sums(
        &data.dy,
        &weights,
        Some((&before, (&data.x).into())),
        &mut dx,
        scratch,
    );
    let sums = sums.unwrap();
    // Both gradients at once are the same bits.
    let [mut dx_too, mut dw_too] = [vec![f32::NAN; got.dx.len()], vec![f32::NAN; got.dw.len()]];
    let both = ((&mut dx_too).into(), &mut dw_too[..]);
    let sums_too = conv
        .backward(&data.x, &data.dy, &weights, Some((&before, (&data.x).into())), both, scratch)
        .unwrap();
    let mut plain = vec![f32::NAN; got.dx.len()];
    let both = ((&mut plain).into(), &mut vec![f32::NAN; got.dw.len()][..]);
    conv.backward(&data.x, &data.dy, &weights, None, both, scratch);

    let gradients = [sums, sums_too, before.sums(&dx, &data.x)].map(|sums| {
        let (mut gamma, mut beta) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
        before.parameter_gradients(&sums, [Some(&mut gamma), Some(&mut beta)]);
        let scale = (rows(dx.len(), channels) as f64).sqrt() * shape.w_len() as f64;
        [gamma, beta]
            .concat()
            .into_iter()
            .map(|g| f64::from(g) / scale.max(1.0))
            .collect::<Vec<_>>()
    });
    y == got.y
        && dx == got.dx
        && dx_too == got.dx
        && dw_too == got.dw
        && plain == got.dx
        && close(mean, wanted_mean)
        && close(var, wanted_var)
        && close(&gradients[0], &gradients[2])
        && close(&gradients[1], &gradients[2])
}

/// Whether the passes from and to bf16 are those from the same values in f32, rounded: bit for bit.
fn reads_and_writes_bf16(conv: &Conv, data: &Data, scratch: &mut Scratch) -> bool {
    let (shape, round) = (conv.shape(), |values: &[f32]| -> Vec<Bf16> {
        values.iter().map(|&value| Bf16::new(value)).collect()
    });
    let wide = |values: &[Bf16]| -> Vec<f32> { values.iter().map(|v| v.to_f32()).collect() };
    let (x, dy, z) = (round(&data.x), round(&data.dy), round(&data.residual));
    let (wide_x, wide_dy, wide_z) = (wide(&x), wide(&dy), wide(&z));
    let norm = |x: &[Bf16], channels: usize, act: Activation| {
        let (gamma, beta) = (fill(channels, 6), fill(channels, 7));
        Norm::of_batch(&Moments::new(x, channels), &gamma, &beta, act, 1e-3)
    };
    let before = norm(&x, shape.in_channels, Activation::Relu);
    let after = norm(&z, shape.out_channels, Activation::Relu6);
    let gradient = after.gradient(dy.len() / shape.out_channels, &after.sums(&dy, &z), false);
    let weights = [Form::Forward, Form::BackwardInput].map(|form| conv.pack(form, &data.w));
    // Values as they stand, and a norm and its gradient.
    let plain: [Source<'_>; 4] = [(&x).into(), (&dy).into(), (&wide_x).into(), (&wide_dy).into()];
    let computed = [
        Source::Normed { x: (&x).into(), norm: &before },
        Source::Gradient { g: (&dy).into(), x: (&z).into(), gradient: &gradient },
        Source::Normed { x: (&wide_x).into(), norm: &before },
        Source::Gradient { g: (&wide_dy).into(), x: (&wide_z).into(), gradient: &gradient },
    ];
    [plain, computed].into_iter().all(|[x_16, dy_16, x_32, dy_32]| {
        let lens = [dy.len(), x.len(), dy.len(), dy.len()];
        let mut narrow = lens.map(|len| vec![Bf16::new(f32::NAN); len]);
        let mut full = lens.map(|len| vec![f32::NAN; len]);
        let [mut dw_16, mut dw_32] = [(); 2].map(|()| vec![f32::NAN; data.w.len()]);
        let epilogue = Epilogue::bias(Some(&data.bias));
        let moments = conv.forward_moments(x_16, &weights[0], epilogue, &mut narrow[0], scratch);
        conv.forward(x_32, &weights[0], epilogue, &mut full[0], scratch);
        let with = |z| Epilogue { residual: Some(z), act: Activation::Relu6, ..epilogue };
        conv.forward(x_16, &weights[0], with((&z).into()), &mut narrow[2], scratch);
        conv.forward(x_32, &weights[0], with((&wide_z).into()), &mut full[2], scratch);
        // Residuals of the other width.
        conv.forward(x_16, &weights[0], with((&wide_z).into()), &mut narrow[3], scratch);
        conv.forward(x_32, &weights[0], with((&z).into()), &mut full[3], scratch);
        let into = ((&mut narrow[1]).into(), &mut dw_16[..]);
        let norm = Some((&before, (&x).into()));
        let sums = conv.backward(x_16, dy_16, &weights[1], norm, into, scratch).unwrap();
        conv.backward_input(dy_32, &weights[1], &mut full[1], scratch);
        conv.backward_weight(x_32, dy_32, &mut dw_32, scratch);
        // What is summed up is what was written.
        let statistics = |moments: &Moments| {
            let (ones, zeros) = (vec![1.0; shape.out_channels], vec![0.0; shape.out_channels]);
            let norm = Norm::of_batch(moments, &ones, &zeros, Activation::Identity, 1e-3);
            [norm.mean(), norm.var()].concat()
        };
        let gamma = |sums: &NormSums| {
            let mut gamma = vec![f32::NAN; shape.in_channels];
            before.parameter_gradients(sums, [Some(&mut gamma), None]);
            gamma
        };
        let close = |a: &[f32], b: &[f32]| {
            let scale = b.iter().fold(1e-2_f32, |most, value| most.max(value.abs()));
            a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * scale)
        };
        let written = Moments::new(&narrow[0], shape.out_channels);
        close(&statistics(&moments), &statistics(&written))
            && close(&gamma(&sums), &gamma(&before.sums(&narrow[1], &x)))
            && narrow == full.map(|values| round(&values))
            && dw_16 == dw_32
    })
}

/// The largest error of any pass of a plan against the definition.
pub fn error(conv: &Conv) -> f64 {
    let shape = *conv.shape();
    let mut data = Data::new(&shape);
    if conv.algorithm() == Algorithm::Mixed {
        // What it rounds anyway.
        let all = [&mut data.x, &mut data.w, &mut data.dy].into_iter().flatten();
        all.for_each(|value| *value = Bf16::new(*value).to_f32());
    }
    let scratch = &mut Scratch::new();
    let got = run(conv, &data, scratch);
    assert!(computes_what_it_reads(conv, &data, scratch), "{shape:?} by {:?}", conv.algorithm());
    assert!(reads_and_writes_bf16(conv, &data, scratch), "{shape:?} by {:?}", conv.algorithm());
    let sums = sums_what_it_writes(conv, &data, &got, scratch);
    assert!(sums, "{shape:?} by {:?}", conv.algorithm());
    let (x, w, dy) = (widen(&data.x), widen(&data.w), widen(&data.dy));
    let mut y = conv_forward(&shape, &x, &w);
    for pixel in y.chunks_exact_mut(shape.out_channels) {
        pixel.iter_mut().zip(&data.bias).for_each(|(y, &b)| *y += f64::from(b));
    }
    let finish = |(y, r): (&f64, &f32)| (y + f64::from(*r)).clamp(0.0, 6.0);
    let finished: Vec<f64> = y.iter().zip(&data.residual).map(finish).collect();
    let scale =
        |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    let errors = [
        relative_error(&got.y, &y),
        // The clamp makes the values small, and not their rounding.
        relative_error(&got.finished, &finished) * scale(&finished) / scale(&y),
        relative_error(&got.dx, &conv_backward_input(&shape, &dy, &w)),
        relative_error(&got.dw, &conv_backward_weight(&shape, &x, &dy)),
    ];
    errors.into_iter().fold(0.0, |worst, e| if e <= worst { worst } else { e })
}

/// The algorithms that serve a shape and miss the definition by more than their rounding, with their errors.
pub fn wrong(shape: ConvShape) -> Vec<(Algorithm, f64)> {
    let serving = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.serves(&shape));
    let errors = serving.map(|algorithm| {
        let conv = Conv::plan_as(shape, algorithm).unwrap();
        assert_eq!((conv.algorithm(), conv.isa()), (algorithm, isa::current()));
        (algorithm, error(&conv))
    });
    // Winograd's transforms lose some bits. A NaN is wrong, too.
    let tolerance = |algorithm| match algorithm {
        Algorithm::Winograd | Algorithm::FoldedWinograd => 5e-5,
        Algorithm::MixedWinograd => 0.15,
        _ => 2e-5,
    };
    errors.filter(|&(algorithm, error)| error.is_nan() || error >= tolerance(algorithm)).collect()
}

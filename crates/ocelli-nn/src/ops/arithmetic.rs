//! Additions, scalings and rearrangements of whole features.

use ocelli_kernels::activation::Activation;
use ocelli_kernels::arrange;
use ocelli_kernels::norm::add_act;

use crate::memory::Buffer;
use crate::numbers::{Fresh, Numbers};
use crate::{Feature, Pass, Result};

/// `a + b`, of one shape.
pub(crate) fn add(a: &Feature, b: &Feature, pass: &mut Pass) -> Result<Feature> {
    let mut y = Buffer::new(a.len());
    add_act(&a.numbers().wide(), &b.numbers().wide(), Activation::Identity, &mut y);
    let inputs = [pass.node(a)?, pass.node(b)?];
    let backward = inputs.iter().any(Option::is_some).then(|| {
        pass.backward_of(move |dy, gradients| {
            for input in inputs.into_iter().flatten() {
                gradients.add_values(input, dy.clone().into());
            }
            Ok(())
        })
    });
    Ok(pass.output(a.dims(), y, backward))
}

/// `x` times numbers that are drawn, not learned: one for each element, or one for each image.
pub(crate) fn scale_by(x: &Feature, factors: Vec<f32>, pass: &mut Pass) -> Result<Feature> {
    let mut y = Buffer::new(x.len());
    scale(&x.numbers().wide(), &factors, &mut y);
    let backward = pass.node(x)?.map(|input| {
        pass.backward_of(move |dy, gradients| {
            gradients.add(input, dy.len(), |dx| scale(dy, &factors, dx));
            Ok(())
        })
    });
    Ok(pass.output(x.dims(), y, backward))
}

/// Runs of x that share a factor, times it.
fn scale(x: &[f32], factors: &[f32], y: &mut [f32]) {
    let run = (x.len() / factors.len().max(1)).max(1);
    for ((x, y), factor) in x.chunks_exact(run).zip(y.chunks_exact_mut(run)).zip(factors) {
        x.iter().zip(y).for_each(|(x, y)| *y = x * factor);
    }
}

/// `x` `[N, H, W, C]` times `gate` `[N, C]`, the same for all pixels of an image.
pub(crate) fn gate(x: &Feature, gate: &Feature, pass: &mut Pass) -> Result<Feature> {
    let channels = x.channels();
    let mut y = Buffer::new(x.len());
    arrange::gate(&x.numbers().wide(), &gate.numbers().wide(), channels, &mut y);
    let inputs = [pass.node(x)?, pass.node(gate)?];
    let (x_values, gate_values) = (x.numbers().clone(), gate.numbers().wide());
    let backward = inputs.iter().any(Option::is_some).then(|| {
        pass.backward_of(move |dy, gradients| {
            let [x, gate] = inputs;
            if let Some(x) = x {
                gradients.add(x, dy.len(), |dx| arrange::gate(dy, &gate_values, channels, dx));
            }
            if let Some(gate) = gate {
                gradients.add(gate, gate_values.len(), |dg| {
                    arrange::sum_products(dy, &x_values.wide(), channels, dg);
                });
            }
            Ok(())
        })
    });
    Ok(pass.output(x.dims(), y, backward))
}

/// Features one after the other along their channels. They agree in all other axes.
pub(crate) fn concat(parts: &[&Feature], pass: &mut Pass) -> Result<Feature> {
    let widths: Vec<usize> = parts.iter().map(|part| part.channels()).collect();
    let total: usize = widths.iter().sum();
    let mut dims = parts[0].dims().to_vec();
    dims[parts[0].dims().len() - 1] = total;
    let narrow = pass.narrows(&dims);
    let mut y = Fresh::new(dims.iter().product(), narrow);
    let (mut inputs, mut start) = (Vec::new(), 0);
    let numbers: Vec<_> = parts.iter().map(|part| part.numbers().like(narrow)).collect();
    let values: Vec<_> = numbers.iter().map(Numbers::get).collect();
    arrange::concat(&values, &widths, y.get());
    for (part, &width) in parts.iter().zip(&widths) {
        if let Some(input) = pass.node(part)? {
            inputs.push((input, start..start + width));
        }
        start += width;
    }
    let backward = (!inputs.is_empty()).then(|| {
        pass.backward_from(move |dy, gradients| {
            let dy = dy.written();
            for (input, channels) in inputs {
                let (len, dy) =
                    (dy.len() / total * channels.len(), dy.like(gradients.is_narrow(input)));
                gradients
                    .add_floats(input, len, |dx| arrange::split(dy.get(), total, channels, dx));
            }
            Ok(())
        })
    });
    Ok(pass.output(&dims, y, backward))
}

/// `before` and `after` channels of zeros around those of `x`.
pub(crate) fn pad_channels(
    x: &Feature,
    before: usize,
    after: usize,
    pass: &mut Pass,
) -> Result<Feature> {
    let (channels, total) = (x.channels(), before + x.channels() + after);
    let mut dims = x.dims().to_vec();
    dims[x.dims().len() - 1] = total;
    let narrow = pass.narrows(&dims);
    let mut y = Fresh::new(dims.iter().product(), narrow);
    arrange::pad_channels(x.numbers().like(narrow).get(), [before, channels, after], y.get());
    let inner = before..before + channels;
    let len = x.len();
    let backward = pass.node(x)?.map(|input| {
        pass.backward_of(move |dy, gradients| {
            gradients.add(input, len, |dx| arrange::split(&dy[..], total, inner, dx));
            Ok(())
        })
    });
    Ok(pass.output(&dims, y, backward))
}

//! Additions, scalings and rearrangements of whole features.

use ocelli_kernels::activation::Activation;
use ocelli_kernels::norm::add_act;

use crate::memory::Buffer;
use crate::{Feature, Pass, Result};

/// `a + b`, of one shape.
pub(crate) fn add(a: &Feature, b: &Feature, pass: &mut Pass) -> Result<Feature> {
    let mut y = Buffer::new(a.values().len());
    add_act(a.values(), b.values(), Activation::Identity, &mut y);
    let inputs = [pass.node(a)?, pass.node(b)?];
    let backward = inputs.iter().any(Option::is_some).then(|| {
        pass.backward_of(move |dy, gradients| {
            for input in inputs.into_iter().flatten() {
                gradients.add_shared(input, dy);
            }
            Ok(())
        })
    });
    Ok(pass.output(a.dims(), y, backward))
}

/// `x` times numbers that are drawn, not learned: one for each element, or one for each image.
pub(crate) fn scale_by(x: &Feature, factors: Vec<f32>, pass: &mut Pass) -> Result<Feature> {
    let mut y = Buffer::new(x.values().len());
    scale(x.values(), &factors, &mut y);
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
    let mut y = Buffer::new(x.values().len());
    multiply(x.values(), gate.values(), channels, &mut y);
    let inputs = [pass.node(x)?, pass.node(gate)?];
    let (x_values, gate_values) = (x.shared(), gate.shared());
    let backward = inputs.iter().any(Option::is_some).then(|| {
        pass.backward_of(move |dy, gradients| {
            let [x, gate] = inputs;
            if let Some(x) = x {
                gradients.add(x, dy.len(), |dx| multiply(dy, &gate_values, channels, dx));
            }
            if let Some(gate) = gate {
                gradients.add(gate, gate_values.len(), |dg| {
                    sum_products(dy, &x_values, channels, dg);
                });
            }
            Ok(())
        })
    });
    Ok(pass.output(x.dims(), y, backward))
}

/// Pixels of each image, times the image's row of factors.
fn multiply(x: &[f32], factors: &[f32], channels: usize, y: &mut [f32]) {
    let image = image_len(x, factors, channels);
    let images = x.chunks_exact(image).zip(y.chunks_exact_mut(image));
    for ((x, y), factors) in images.zip(factors.chunks_exact(channels)) {
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            x.iter().zip(y).zip(factors).for_each(|((x, y), factor)| *y = x * factor);
        }
    }
}

/// Per image and channel, the sum of a b over all pixels.
fn sum_products(a: &[f32], b: &[f32], channels: usize, sums: &mut [f32]) {
    let image = image_len(a, sums, channels);
    sums.fill(0.0);
    let images = a.chunks_exact(image).zip(b.chunks_exact(image));
    for ((a, b), sums) in images.zip(sums.chunks_exact_mut(channels)) {
        for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
            a.iter().zip(b).zip(&mut *sums).for_each(|((a, b), sum)| *sum += a * b);
        }
    }
}

/// Values of one image of x, where each has a row of `rows`.
fn image_len(x: &[f32], rows: &[f32], channels: usize) -> usize {
    (x.len() / (rows.len() / channels.max(1)).max(1)).max(1)
}

/// Features one after the other along their channels. They agree in all other axes.
pub(crate) fn concat(parts: &[&Feature], pass: &mut Pass) -> Result<Feature> {
    let widths: Vec<usize> = parts.iter().map(|part| part.channels()).collect();
    let total: usize = widths.iter().sum();
    let mut dims = parts[0].dims().to_vec();
    dims[parts[0].dims().len() - 1] = total;
    let mut y = Buffer::new(dims.iter().product());
    let mut inputs = Vec::new();
    let mut start = 0;
    for (part, &width) in parts.iter().zip(&widths) {
        for (y, x) in y.chunks_exact_mut(total).zip(part.values().chunks_exact(width)) {
            y[start..start + width].copy_from_slice(x);
        }
        if let Some(input) = pass.node(part)? {
            inputs.push((input, start..start + width));
        }
        start += width;
    }
    let backward = (!inputs.is_empty()).then(|| {
        pass.backward_of(move |dy, gradients| {
            for (input, channels) in inputs {
                let len = dy.len() / total * channels.len();
                gradients.add(input, len, |dx| {
                    for (dx, dy) in dx.chunks_exact_mut(channels.len()).zip(dy.chunks_exact(total))
                    {
                        dx.copy_from_slice(&dy[channels.clone()]);
                    }
                });
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
    let mut y = Buffer::new(dims.iter().product());
    y.fill(0.0);
    let inner = before..before + channels;
    for (y, x) in y.chunks_exact_mut(total).zip(x.values().chunks_exact(channels)) {
        y[inner.clone()].copy_from_slice(x);
    }
    let len = x.values().len();
    let backward = pass.node(x)?.map(|input| {
        pass.backward_of(move |dy, gradients| {
            gradients.add(input, len, |dx| {
                for (dx, dy) in dx.chunks_exact_mut(channels).zip(dy.chunks_exact(total)) {
                    dx.copy_from_slice(&dy[inner.clone()]);
                }
            });
            Ok(())
        })
    });
    Ok(pass.output(&dims, y, backward))
}

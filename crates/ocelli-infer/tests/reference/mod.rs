//! A graph as it is defined: one image, `[C, H, W]`, in f64, node by node.

use std::collections::HashMap;

use ocelli_graph::{Activation, Graph, Op, Padding};

pub type Weights = HashMap<String, Vec<f32>>;

/// The output for one image `[C, H, W]`.
pub fn run(graph: &Graph, weights: &Weights, image: &[f64]) -> Vec<f64> {
    let mut values: HashMap<_, Vec<f64>> = HashMap::from([(graph.input(), image.to_vec())]);
    for node in graph.nodes() {
        let inputs: Vec<(&[f64], &[usize])> =
            node.inputs.iter().map(|input| (&values[input][..], graph.shape(*input))).collect();
        let y = compute(&node.op, weights, &inputs, graph.shape(node.output));
        assert_eq!(y.len(), graph.shape(node.output).iter().product::<usize>(), "{}", node.name);
        values.insert(node.output, y);
    }
    values.remove(&graph.output()).expect("an output")
}

fn compute(op: &Op, weights: &Weights, inputs: &[(&[f64], &[usize])], out: &[usize]) -> Vec<f64> {
    let weight = |name: &String| weights[name].iter().map(|&w| f64::from(w)).collect::<Vec<_>>();
    let bias = |name: &Option<String>, o: usize| name.as_ref().map_or(0.0, |name| weight(name)[o]);
    let (x, shape) = inputs[0];
    let per_channel = |channels: usize| x.len() / channels;
    match op {
        Op::Conv { weight: name, bias: b, kernel, stride, padding, dilation, groups } => {
            let w = weight(name);
            let (inside, outside) = (shape[0] / groups, out[0] / groups);
            map(out, |o, i, j| {
                let mut sum = bias(b, o);
                for c in 0..inside {
                    for (a, y) in taps(i, kernel[0], stride[0], padding.top, dilation[0], shape[1])
                    {
                        for (b, x_at) in
                            taps(j, kernel[1], stride[1], padding.left, dilation[1], shape[2])
                        {
                            let channel = o / outside * inside + c;
                            sum += x[(channel * shape[1] + y) * shape[2] + x_at]
                                * w[((o * inside + c) * kernel[0] + a) * kernel[1] + b];
                        }
                    }
                }
                sum
            })
        }
        Op::BatchNorm { weight: g, bias: b, mean, var, eps } => {
            let [g, b, mean, var] = [g, b, mean, var].map(weight);
            let size = per_channel(shape[0]);
            let norm = |(i, x): (usize, &f64)| {
                let c = i / size;
                (x - mean[c]) / (var[c] + f64::from(*eps)).sqrt() * g[c] + b[c]
            };
            x.iter().enumerate().map(norm).collect()
        }
        Op::Linear { weight: name, bias: b } => {
            let w = weight(name);
            let row = |o: usize| w[o * x.len()..(o + 1) * x.len()].iter().zip(x);
            (0..out[0]).map(|o| bias(b, o) + row(o).map(|(w, x)| w * x).sum::<f64>()).collect()
        }
        Op::Activation(act) => x.iter().map(|&x| activate(*act, x)).collect(),
        Op::MaxPool { kernel, stride, padding, .. } => {
            pool(x, shape, out, kernel, stride, padding, |w, _| {
                w.iter().copied().fold(f64::NEG_INFINITY, f64::max)
            })
        }
        Op::AveragePool { kernel, stride, padding, count_include_pad, .. } => {
            pool(x, shape, out, kernel, stride, padding, |w, padded| {
                w.iter().sum::<f64>() / if *count_include_pad { padded } else { w.len() } as f64
            })
        }
        Op::GlobalAveragePool => x
            .chunks(per_channel(shape[0]))
            .map(|c| c.iter().sum::<f64>() / c.len() as f64)
            .collect(),
        Op::Flatten => x.to_vec(),
        Op::Add => x.iter().zip(inputs[1].0).map(|(a, b)| a + b).collect(),
        Op::Multiply => {
            let size = x.len() / inputs[1].0.len();
            x.iter().enumerate().map(|(i, x)| x * inputs[1].0[i / size]).collect()
        }
        Op::Concat => inputs.iter().flat_map(|(x, _)| x.iter().copied()).collect(),
        Op::PadChannels { before, after } => {
            let size = per_channel(shape[0]);
            [&vec![0.0; before * size], x, &vec![0.0; after * size]].concat()
        }
    }
}

fn map(out: &[usize], value: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
    let mut y = Vec::new();
    for o in 0..out[0] {
        for i in 0..out[1] {
            y.extend((0..out[2]).map(|j| value(o, i, j)));
        }
    }
    y
}

/// The taps of a window that lie in the image, with where they do.
fn taps(
    at: usize,
    kernel: usize,
    stride: usize,
    before: usize,
    dilation: usize,
    size: usize,
) -> impl Iterator<Item = (usize, usize)> {
    (0..kernel).filter_map(move |tap| {
        let place = (at * stride + tap * dilation).checked_sub(before)?;
        (place < size).then_some((tap, place))
    })
}

/// `value` takes what lies in a window, and how many positions it has in the padded image.
fn pool(
    x: &[f64],
    shape: &[usize],
    out: &[usize],
    kernel: &[usize; 2],
    stride: &[usize; 2],
    padding: &Padding,
    value: impl Fn(&[f64], usize) -> f64,
) -> Vec<f64> {
    let padded = |at: usize, axis: usize, around: usize| {
        kernel[axis].min(shape[axis + 1] + around - at * stride[axis])
    };
    map(out, |c, i, j| {
        let mut window = Vec::new();
        for (_, y) in taps(i, kernel[0], stride[0], padding.top, 1, shape[1]) {
            let columns = taps(j, kernel[1], stride[1], padding.left, 1, shape[2]);
            window.extend(columns.map(|(_, at)| x[(c * shape[1] + y) * shape[2] + at]));
        }
        let rows = padded(i, 0, padding.top + padding.bottom);
        value(&window, rows * padded(j, 1, padding.left + padding.right))
    })
}

fn activate(act: Activation, x: f64) -> f64 {
    let sigmoid = 1.0 / (1.0 + (-x).exp());
    let hard = ((x + 3.0) / 6.0).clamp(0.0, 1.0);
    match act {
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Sigmoid => sigmoid,
        Activation::Silu => x * sigmoid,
        Activation::HardSigmoid => hard,
        Activation::HardSwish => x * hard,
        Activation::Gelu => panic!("not used here: f64 has no error function"),
    }
}

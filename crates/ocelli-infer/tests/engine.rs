//! Engines of small graphs against the definition of every operation, in f64.

#![allow(clippy::unwrap_used)]

mod reference;

use ocelli_graph::{Activation, Graph, Op, Padding, ValueId};
use ocelli_infer::{Engine, InferError, Workspace};
use ocelli_kernels::layout::nchw_to_nhwc;
use ocelli_kernels::testing::{fill, relative_error, with_threads};
use ocelli_kernels::{Algorithm, Precision};
use reference::Weights;

/// A graph under construction, with weights.
struct Network {
    graph: Graph,
    weights: Weights,
}

impl Network {
    fn new(input: [usize; 3]) -> Self {
        Self { graph: Graph::new("test", input), weights: Weights::new() }
    }

    fn weight(&mut self, name: String, shape: &[usize]) -> String {
        let seed = 1 + self.weights.len() as u64;
        let values = fill(shape.iter().product(), seed);
        self.graph.weight(&name, shape);
        // A variance is positive.
        let values = values.iter().map(|v| if name.ends_with("var") { v.abs() + 0.1 } else { *v });
        self.weights.insert(name.clone(), values.collect());
        name
    }

    fn push(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let name = format!("node{}", self.graph.nodes().len());
        self.graph.push(&name, op, inputs).unwrap()
    }

    fn conv(
        &mut self,
        x: ValueId,
        out: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> ValueId {
        let channels = self.graph.shape(x)[0];
        let at = self.graph.nodes().len();
        let half = kernel / 2;
        let weight = self.weight(format!("{at}.w"), &[out, channels / groups, kernel, kernel]);
        let op = Op::Conv {
            weight,
            bias: at.is_multiple_of(2).then(|| self.weight(format!("{at}.b"), &[out])),
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: Padding { top: half, bottom: half, left: half, right: half },
            dilation: [1, 1],
            groups,
        };
        self.push(op, &[x])
    }

    fn norm(&mut self, x: ValueId) -> ValueId {
        let channels = self.graph.shape(x)[0];
        let at = self.graph.nodes().len();
        let mut weight = |name: &str| self.weight(format!("{at}.{name}"), &[channels]);
        let op = Op::BatchNorm {
            weight: weight("w"),
            bias: weight("b"),
            mean: weight("mean"),
            var: weight("var"),
            eps: 1e-3,
        };
        self.push(op, &[x])
    }

    fn linear(&mut self, x: ValueId, out: usize) -> ValueId {
        let features = self.graph.shape(x)[0];
        let at = self.graph.nodes().len();
        let weight = self.weight(format!("{at}.w"), &[out, features]);
        let bias = Some(self.weight(format!("{at}.b"), &[out]));
        self.push(Op::Linear { weight, bias }, &[x])
    }

    fn act(&mut self, x: ValueId, act: Activation) -> ValueId {
        self.push(Op::Activation(act), &[x])
    }

    /// Convolution, norm and activation.
    fn brick(
        &mut self,
        x: ValueId,
        [out, kernel, stride, groups]: [usize; 4],
        act: Activation,
    ) -> ValueId {
        let y = self.conv(x, out, kernel, stride, groups);
        let y = self.norm(y);
        self.act(y, act)
    }

    fn engine(&self, precision: Precision) -> Result<Engine, InferError> {
        let find = |name: &str| self.weights.get(name).map(Vec::as_slice);
        Engine::with_precision(&self.graph, &find, precision)
    }

    /// Checks engines of every precision with `output` as the graph's, and tells how many steps they have.
    fn check(&mut self, output: ValueId) -> usize {
        self.graph.set_output(output);
        // These networks cancel a lot: f32 loses up to 30 times what a rounding does, and so does bf16.
        let precisions =
            [(Precision::Fast, 1e-5), (Precision::Precise, 1e-5), (Precision::Mixed, 1e-1)];
        precisions.map(|(precision, error)| self.check_in(precision, error))[0]
    }

    fn check_in(&self, precision: Precision, error: f64) -> usize {
        let output = self.graph.output();
        let engine = self.engine(precision).unwrap();
        let [height, width, channels] = engine.input();
        let size = height * width * channels;
        let mut workspace = Workspace::new();
        for batch in [1, 3, 0] {
            let images = fill(batch * size, 99);
            let expected: Vec<f64> = images
                .chunks_exact(size)
                .flat_map(|image| {
                    let image: Vec<f64> = image.iter().map(|&x| f64::from(x)).collect();
                    reference::run(&self.graph, &self.weights, &image)
                })
                .collect();
            let images = nchw_to_nhwc(&images, [batch, channels, height, width]);
            let got = engine.run(&images, &mut workspace).unwrap();
            // A map comes out channels last.
            let got = match *self.graph.shape(output) {
                [c, h, w] => ocelli_kernels::layout::nhwc_to_nchw(got, [batch, c, h, w]),
                _ => got.to_vec(),
            };
            assert_eq!(got.len(), expected.len());
            let off = if batch == 0 { 0.0 } else { relative_error(&got, &expected) };
            assert!(off < error, "{batch}: off by {off} in {engine:?}");
        }
        let images = vec![0.0; size];
        engine.profile(&images, &mut workspace).unwrap().len()
    }
}

#[test]
fn a_residual_block_is_three_convolutions() {
    let mut net = Network::new([5, 9, 7]);
    let x = net.graph.input();
    let y = net.brick(x, [8, 3, 2, 1], Activation::Relu);
    let y = net.conv(y, 8, 3, 1, 1);
    let y = net.norm(y);
    // The shortcut comes last: the block's second convolution has to wait for it, or it for that.
    let shortcut = net.conv(x, 8, 1, 2, 1);
    let shortcut = net.norm(shortcut);
    let y = net.push(Op::Add, &[y, shortcut]);
    let y = net.act(y, Activation::Relu6);
    assert_eq!(net.check(y), 3);
}

#[test]
fn what_someone_else_reads_is_not_taken_in() {
    let mut net = Network::new([4, 6, 6]);
    let x = net.graph.input();
    let a = net.conv(x, 4, 3, 1, 1);
    let b = net.norm(a);
    let y = net.push(Op::Add, &[a, b]);
    // The norm stands alone, and takes in the addition.
    assert_eq!(net.check(y), 2);
    let twice = net.conv(y, 4, 1, 1, 1);
    let sum = net.push(Op::Add, &[twice, twice]);
    assert_eq!(net.check(sum), 4);
    // An output is read by the caller: what follows it is a step of its own.
    let last = net.conv(sum, 4, 1, 1, 1);
    net.act(last, Activation::Relu);
    assert_eq!(net.check(last), 6);
}

#[test]
fn nothing_follows_an_activation_into_a_convolution() {
    let mut net = Network::new([4, 6, 6]);
    let x = net.graph.input();
    let y = net.conv(x, 6, 3, 1, 1);
    let y = net.act(y, Activation::Relu);
    let y = net.norm(y);
    let y = net.act(y, Activation::Relu);
    let y = net.act(y, Activation::Silu);
    let y = net.act(y, Activation::HardSwish);
    assert_eq!(net.check(y), 4);
}

#[test]
fn the_inverted_residual_with_squeeze_and_excite() {
    let mut net = Network::new([3, 12, 10]);
    let x = net.graph.input();
    let stem = net.conv(x, 16, 3, 2, 1);
    let y = net.brick(stem, [40, 1, 1, 1], Activation::Relu6);
    let y = net.brick(y, [40, 3, 1, 40], Activation::Relu6);
    let gate = net.push(Op::GlobalAveragePool, &[y]);
    let gate = net.linear(gate, 10);
    let gate = net.act(gate, Activation::Relu);
    let gate = net.linear(gate, 40);
    let gate = net.act(gate, Activation::HardSigmoid);
    let y = net.push(Op::Multiply, &[y, gate]);
    let y = net.conv(y, 16, 1, 1, 1);
    let y = net.norm(y);
    let y = net.push(Op::Add, &[stem, y]);
    let y = net.push(Op::Multiply, &[y, stem]);
    net.check(y);
}

#[test]
fn everything_else() {
    let mut net = Network::new([3, 11, 14]);
    let x = net.graph.input();
    let padding = Padding { top: 1, bottom: 0, left: 0, right: 1 };
    let pool = |kernel, stride, ceil_mode| Op::MaxPool {
        kernel: [kernel, 2],
        stride: [stride, 1],
        padding,
        ceil_mode,
    };
    let y = net.conv(x, 12, 3, 1, 3);
    let y = net.push(pool(3, 2, true), &[y]);
    let a = net.conv(y, 5, 1, 1, 1);
    let b = net.push(Op::PadChannels { before: 2, after: 1 }, &[y]);
    let c = net.push(Op::Concat, &[a, b, y]);
    let c = net.act(c, Activation::Relu);
    for count_include_pad in [true, false] {
        let op = Op::AveragePool {
            kernel: [2, 3],
            stride: [2, 2],
            padding,
            ceil_mode: true,
            count_include_pad,
        };
        let y = net.push(op, &[c]);
        net.check(y);
        let flat = net.push(Op::Flatten, &[y]);
        let y = net.linear(flat, 7);
        net.check(y);
    }
}

#[test]
fn neither_threads_nor_neighbours_change_a_bit() {
    let mut net = Network::new([3, 40, 40]);
    let x = net.graph.input();
    let y = net.conv(x, 32, 3, 1, 1);
    let a = net.conv(y, 32, 3, 1, 1);
    let b = net.conv(y, 32, 1, 1, 1);
    let apart = net.push(Op::Concat, &[a, b]);
    let apart = net.act(apart, Activation::Silu);
    // From weights of this size on, all threads work on one step, a few images at a time.
    let y = net.conv(apart, 512, 3, 1, 1);
    let together = net.conv(y, 16, 1, 1, 1);
    let pooled = [apart, together].map(|y| net.push(Op::GlobalAveragePool, &[y]));
    // The second segment reads what the first one kept.
    let last = net.push(Op::Concat, &pooled);
    for output in [pooled[0], last] {
        net.graph.set_output(output);
        for precision in [Precision::Fast, Precision::Precise, Precision::Mixed] {
            let engine = net.engine(precision).unwrap();
            let images = fill(11 * 40 * 40 * 3, 1);
            let run = |count: usize| {
                let images = &images[..count * 40 * 40 * 3];
                engine.run(images, &mut Workspace::new()).unwrap().to_vec()
            };
            let one = with_threads(1, || run(11));
            for threads in [2, 3, 8] {
                assert_eq!(with_threads(threads, || run(11)), one, "{precision:?} {threads}");
            }
            // Another number of images may be computed by another algorithm, but is of the same images.
            let alone: Vec<f64> = images
                .chunks_exact(40 * 40 * 3)
                .flat_map(|image| engine.run(image, &mut Workspace::new()).unwrap().to_vec())
                .map(f64::from)
                .collect();
            let off = relative_error(&one, &alone);
            assert!(
                off < if precision == Precision::Mixed { 1e-2 } else { 1e-5 },
                "{precision:?} {off}"
            );
        }
    }
}

#[test]
fn nan_is_answered_with_nan() {
    let mut net = Network::new([3, 8, 8]);
    let x = net.graph.input();
    let y = net.brick(x, [24, 3, 1, 1], Activation::Relu6);
    let y = net.brick(y, [40, 1, 1, 1], Activation::Relu);
    let y = net.push(Op::GlobalAveragePool, &[y]);
    let y = net.linear(y, 5);
    net.graph.set_output(y);
    for precision in [Precision::Fast, Precision::Precise, Precision::Mixed] {
        let mut images = fill(2 * 8 * 8 * 3, 1);
        images[70] = f32::NAN;
        let engine = net.engine(precision).unwrap();
        let answer = engine.run(&images, &mut Workspace::new()).unwrap().to_vec();
        assert!(answer[..5].iter().all(|value| value.is_nan()), "{precision:?} {answer:?}");
        assert!(answer[5..].iter().all(|value| value.is_finite()), "{precision:?} {answer:?}");
    }
}

#[test]
fn a_profile_names_the_algorithm_that_ran() {
    let mut net = Network::new([16, 7, 7]);
    let x = net.graph.input();
    let y = net.conv(x, 16, 3, 1, 1);
    net.graph.set_output(y);
    let engine = net.engine(Precision::Fast).unwrap();
    // The four tiles of one image are too few for Winograd.
    for (batch, wanted) in [(1, Algorithm::Direct), (4, Algorithm::Winograd)] {
        let images = vec![1.0; batch * 7 * 7 * 16];
        let profile = engine.profile(&images, &mut Workspace::new()).unwrap();
        assert_eq!(profile[0].algorithm, Some(wanted));
    }
}

#[test]
fn what_does_not_fit_is_an_error_that_says_so() {
    let mut net = Network::new([3, 4, 4]);
    let error = net.engine(Precision::Fast).unwrap_err();
    assert_eq!(error.to_string(), "the network has no layers: its output is its input");
    let x = net.graph.input();
    let y = net.conv(x, 2, 3, 1, 1);
    net.graph.set_output(y);
    let engine = net.engine(Precision::Fast).unwrap();
    let error = engine.run(&[0.0; 50], &mut Workspace::new()).unwrap_err();
    let wanted = "50 values are no images of 4 x 4 pixels with 3 channels";
    assert_eq!(error.to_string(), wanted);
    net.weights.insert("0.w".into(), vec![0.0; 3]);
    let wanted = "the weight `0.w`: has 3 values, not 54 [2, 3, 3, 3]";
    assert_eq!(net.engine(Precision::Fast).unwrap_err().to_string(), wanted);
    net.weights.remove("0.w");
    assert_eq!(
        net.engine(Precision::Fast).unwrap_err().to_string(),
        "the weight `0.w`: is not given"
    );
}

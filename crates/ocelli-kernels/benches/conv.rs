//! GFLOP/s of every pass of the convolutions of ResNet-18, a CIFAR ResNet, MobileNetV2 and SqueezeNet.
//!
//! `cargo bench -p ocelli-kernels --bench conv -- [--threads N] [--seconds S] [--cpu] [FILTER]`
//!
//! `--cpu` counts the time that one thread spent computing instead of the time that passed, for a busy
//! machine (Linux).
//!
//! A line per shape: milliseconds and GFLOP/s of forward, input gradient and weight gradient, medians
//! (and the minimum of all three together). Packing the weights is timed with the pass that reads them. At
//! the end of a network: what its convolutions, each as often as it occurs, make in images per second.

#![allow(clippy::print_stdout)] // A benchmark is a program.

use ocelli_kernels::testing::{fill, with_threads};
use ocelli_kernels::{Conv, ConvShape, Epilogue, Form, Padding, Scratch};
use std::time::Instant;

/// A convolution of a network and how often it occurs.
struct Layer {
    times: usize,
    /// The stem needs no input gradient.
    stem: bool,
    shape: ConvShape,
}

struct Network {
    name: &'static str,
    batch: usize,
    layers: Vec<Layer>,
}

/// `channels` in and out, square `size`, kernel, stride.
fn conv(
    channels: [usize; 2],
    size: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
) -> ConvShape {
    ConvShape {
        batch: 0,
        height: size,
        width: size,
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: Padding::symmetric(kernel / 2, kernel / 2),
        dilation: [1, 1],
        groups,
    }
}

fn layer(times: usize, channels: [usize; 2], size: usize, kernel: usize, stride: usize) -> Layer {
    Layer { times, stem: channels[0] == 3, shape: conv(channels, size, kernel, stride, 1) }
}

fn resnet18() -> Network {
    let mut layers = vec![layer(1, [3, 64], 224, 7, 2), layer(4, [64, 64], 56, 3, 1)];
    for (inputs, size) in [(64, 56), (128, 28), (256, 14)] {
        let outputs = 2 * inputs;
        layers.push(layer(1, [inputs, outputs], size, 3, 2));
        layers.push(layer(1, [inputs, outputs], size, 1, 2));
        layers.push(layer(3, [outputs, outputs], size / 2, 3, 1));
    }
    layers.push(layer(1, [512, 1000], 1, 1, 1));
    Network { name: "resnet18", batch: 32, layers }
}

fn cifar_resnet20() -> Network {
    let mut layers = vec![layer(1, [3, 16], 32, 3, 1), layer(6, [16, 16], 32, 3, 1)];
    for (inputs, size) in [(16, 32), (32, 16)] {
        layers.push(layer(1, [inputs, 2 * inputs], size, 3, 2));
        layers.push(layer(5, [2 * inputs, 2 * inputs], size / 2, 3, 1));
    }
    Network { name: "cifar_resnet20", batch: 128, layers }
}

fn mobilenet_v2() -> Network {
    let mut layers = vec![layer(1, [3, 32], 224, 3, 2)];
    let (mut inputs, mut size) = (32, 112);
    for (expand, outputs, blocks, stride) in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ] {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            let hidden = inputs * expand;
            if expand > 1 {
                layers.push(layer(1, [inputs, hidden], size, 1, 1));
            }
            layers.push(Layer {
                times: 1,
                stem: false,
                shape: conv([hidden; 2], size, 3, stride, hidden),
            });
            size /= stride;
            layers.push(layer(1, [hidden, outputs], size, 1, 1));
            inputs = outputs;
        }
    }
    layers.push(layer(1, [320, 1280], 7, 1, 1));
    layers.push(layer(1, [1280, 1000], 1, 1, 1));
    Network { name: "mobilenet_v2", batch: 16, layers: merged(layers) }
}

fn squeezenet() -> Network {
    let mut layers = vec![layer(1, [3, 64], 224, 3, 2)];
    for (size, fires) in [
        (55, vec![(64, 16), (128, 16)]),
        (27, vec![(128, 32), (256, 32)]),
        (13, vec![(256, 48), (384, 48), (384, 64), (512, 64)]),
    ] {
        for (inputs, squeeze) in fires {
            layers.push(layer(1, [inputs, squeeze], size, 1, 1));
            layers.push(layer(1, [squeeze, 4 * squeeze], size, 1, 1));
            layers.push(layer(1, [squeeze, 4 * squeeze], size, 3, 1));
        }
    }
    layers.push(layer(1, [512, 1000], 13, 1, 1));
    Network { name: "squeezenet1_1", batch: 16, layers: merged(layers) }
}

/// Equal shapes once.
fn merged(layers: Vec<Layer>) -> Vec<Layer> {
    let mut out: Vec<Layer> = vec![];
    for layer in layers {
        match out.iter_mut().find(|l| l.shape == layer.shape) {
            Some(known) => known.times += layer.times,
            None => out.push(layer),
        }
    }
    out
}

#[derive(Clone, Copy)]
enum Clock {
    Wall(Instant),
    Cpu,
}

impl Clock {
    fn seconds(self) -> f64 {
        match self {
            Clock::Wall(start) => start.elapsed().as_secs_f64(),
            Clock::Cpu => {
                let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
                let nanoseconds =
                    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).expect("a count");
                1e-9 * nanoseconds
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Options {
    clock: Clock,
    seconds: f64,
}

/// Seconds: median and minimum of at least three runs. By the coarse CPU clock, twice the mean of many.
fn time(options: Options, mut work: impl FnMut()) -> [f64; 2] {
    work();
    if let Clock::Cpu = options.clock {
        let begin = options.clock.seconds();
        let mut runs = 0.0;
        while options.clock.seconds() - begin < options.seconds {
            work();
            runs += 1.0;
        }
        return [(options.clock.seconds() - begin) / runs; 2];
    }
    let begin = options.clock.seconds();
    let mut times = vec![];
    while times.len() < 3 || options.clock.seconds() - begin < options.seconds {
        let start = options.clock.seconds();
        work();
        times.push(options.clock.seconds() - start);
    }
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[0]]
}

/// Median and minimum of forward, input gradient and weight gradient.
fn measure(layer: &Layer, options: Options) -> [[f64; 2]; 3] {
    let shape = &layer.shape;
    let plan = Conv::plan(*shape).expect("the shape of a published network");
    let (x, w, dy) = (fill(shape.x_len(), 1), fill(shape.w_len(), 2), fill(shape.y_len(), 3));
    let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(|len| vec![0.0; len]);
    let scratch = &mut Scratch::new();
    let forward = time(options, || {
        plan.forward(&x, &plan.pack(Form::Forward, &w), Epilogue::default(), &mut y, scratch)
    });
    let input = match layer.stem {
        true => [0.0; 2],
        false => time(options, || {
            plan.backward_input(&dy, &plan.pack(Form::BackwardInput, &w), &mut dx, scratch)
        }),
    };
    let weight = time(options, || plan.backward_weight(&x, &dy, &mut dw, scratch));
    [forward, input, weight]
}

fn label(s: &ConvShape) -> String {
    let kind = if s.groups > 1 { "dw" } else { "" };
    format!(
        "{kind}{}x{}s{} {}>{} @{}",
        s.kernel[0], s.kernel[1], s.stride[0], s.in_channels, s.out_channels, s.height
    )
}

fn run(filter: &str, options: Options) {
    println!(
        "{:36} {:>9} {:>6} {:>9} {:>6} {:>9} {:>6}",
        "ms, GFLOP/s", "forward", "", "dX", "", "dW", ""
    );
    for network in [resnet18(), cifar_resnet20(), mobilenet_v2(), squeezenet()] {
        let mut total = [0.0; 2];
        let mut passes = [0.0; 3];
        for mut layer in network.layers {
            layer.shape.batch = network.batch;
            let label = format!("{} {}", network.name, label(&layer.shape));
            if !label.contains(filter) {
                continue;
            }
            let times = measure(&layer, options);
            print!("{label:36}");
            for (pass, [median, minimum]) in times.into_iter().enumerate() {
                let gflops =
                    if median > 0.0 { 2e-9 * layer.shape.macs() as f64 / minimum } else { 0.0 };
                print!(" {:9.3} {gflops:6.1}", 1e3 * median);
                total[0] += layer.times as f64 * median;
                total[1] += layer.times as f64 * minimum;
                passes[pass] += layer.times as f64 * minimum;
            }
            println!("  x{}", layer.times);
        }
        if total[0] > 0.0 {
            let [median, best] = total.map(|seconds| network.batch as f64 / seconds);
            let [forward, input, weight] = passes.map(|seconds| 1e3 * seconds);
            println!(
                "{}: {median:.2} images/s (best {best:.2}); ms {forward:.0} + {input:.0} + {weight:.0}",
                network.name
            );
        }
    }
}

fn main() {
    let mut options = Options { clock: Clock::Wall(Instant::now()), seconds: 0.3 };
    let (mut filter, mut threads) = (String::new(), 2);
    let mut words = std::env::args().skip(1);
    let number = |word: Option<String>| word.and_then(|w| w.parse::<f64>().ok()).expect("a number");
    while let Some(word) = words.next() {
        match word.as_str() {
            "--threads" => threads = number(words.next()) as usize,
            "--seconds" => options.seconds = number(words.next()),
            "--cpu" => (options.clock, threads) = (Clock::Cpu, 1),
            "--bench" => {} // from cargo
            _ => filter = word,
        }
    }
    with_threads(threads, || run(&filter, options));
}

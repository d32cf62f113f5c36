//! `ocelli bench kernels`: the operations of a network, one by one, beside what the machine can do at most.

use std::time::Duration;

use clap::Args;
use ocelli::graph::{Graph, Node, Op};
use ocelli::infer::shapes::{conv_shape, hwc, pool_shape};
use ocelli::kernels::activation::Activation;
use ocelli::kernels::norm::{Moments, Norm};
use ocelli::kernels::pool::{self, PoolShape};
use ocelli::kernels::testing::fill;
use ocelli::kernels::{
    Algorithm, Bf16, Conv, ConvShape, Epilogue, Floats, FloatsMut, Form, Precision, Scratch, isa,
    peak,
};
use ocelli::models::Model;

use super::{Subject, milliseconds, time};
use crate::flags::PrecisionFlags;
use crate::output;
use crate::tables::table;

/// The kernels under a network, shape by shape: time, rate and share of the machine's peak
///
/// Convolutions in GF/s, a multiplication and an addition each one; Winograd's do fewer than they count, so
/// their share may exceed 100 %, as that of what stays in a cache may. Norms and pools in GB/s of what they must
/// read and write, beside copying. A layer stands for all of its shape. With --bf16, products of bf16 stand beside
/// what the CPU reaches with them in the first-level cache. What a step sums up of results for its norms is left out.
#[derive(Args)]
pub struct KernelBench {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    precision: PrecisionFlags,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 0.3, value_name = "S", allow_negative_numbers = true)]
    seconds: f64,
    /// Only layers whose path contains this
    #[arg(long, value_name = "TEXT")]
    layer: Option<String>,
}

/// An operation, and how often the network has it.
struct Work {
    layer: String,
    times: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Of the network's input if true: it needs no input gradient.
    Conv(ConvShape, bool),
    /// Of rows by channels.
    Norm([usize; 2]),
    MaxPool(PoolShape),
}

/// How to measure, and what to compare with.
struct Setting {
    precision: Precision,
    budget: Duration,
    /// Operations a second of all threads, in f32 and by what mixed precision has for products.
    operations: f64,
    mixed_operations: f64,
    /// Bytes a second.
    copying: f64,
}

/// Values of a feature map, f32 or bf16.
enum Map {
    F32(Vec<f32>),
    Bf16(Vec<Bf16>),
}

impl KernelBench {
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.seconds >= 0.0, "--seconds must not be negative");
        let (model, size) = self.subject.create()?;
        let graph = recorded(&model, size)?;
        let precision = self.precision.get().unwrap_or_default();
        let mixed = precision == Precision::Mixed;
        let operations = peak::operations();
        let setting = Setting {
            precision,
            budget: Duration::from_secs_f64(self.seconds),
            operations,
            mixed_operations: if mixed { peak::mixed_operations() } else { operations },
            copying: peak::copying(),
        };
        output::line(format_args!(
            "{}, batch {}, {:?}: peaks measured {:.0} GF/s and {:.1} GB/s",
            self.subject.name,
            self.subject.batch_size,
            isa::current(),
            1e-9 * setting.mixed_operations,
            1e-9 * setting.copying,
        ))?;
        let mut rows = Vec::new();
        for work in works(&graph, self.subject.batch_size) {
            if self.layer.as_ref().is_none_or(|text| work.layer.contains(text)) {
                rows.extend(work.measure(&setting)?);
            }
        }
        if let (Some(text), true) = (&self.layer, rows.is_empty()) {
            anyhow::bail!("--layer {text}: {} has no such layer", self.subject.name);
        }
        let headings = ["layer", "times", "shape", "path", "pass", "ms", "rate", "share"];
        output::line(table(&headings, &rows))
    }
}

fn recorded(model: &Model, size: usize) -> anyhow::Result<Graph> {
    Ok(ocelli::nn::record(model, model.architecture().name, [size; 2])?)
}

/// The operations of a graph, equal ones together.
fn works(graph: &Graph, batch: usize) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::new();
    for node in graph.nodes() {
        let Some(kind) = kind(graph, node, batch) else { continue };
        match works.iter_mut().find(|work| work.kind == kind) {
            Some(known) => known.times += 1,
            None => works.push(Work { layer: node.name.clone(), times: 1, kind }),
        }
    }
    works
}

fn kind(graph: &Graph, node: &Node, batch: usize) -> Option<Kind> {
    if let Some(shape) = conv_shape(graph, node) {
        return Some(Kind::Conv(ConvShape { batch, ..shape }, node.inputs[0] == graph.input()));
    }
    match &node.op {
        Op::BatchNorm { .. } => {
            let [height, width, channels] = hwc(graph.shape(node.output));
            Some(Kind::Norm([batch * height * width, channels]))
        }
        Op::MaxPool { .. } => {
            pool_shape(graph, node).map(|shape| Kind::MaxPool(PoolShape { batch, ..shape }))
        }
        _ => None,
    }
}

impl Setting {
    /// Images of so many rows and columns as the precision has them, filled by a seed.
    fn map(&self, [height, width]: [usize; 2], len: usize, seed: u64) -> Map {
        let values = fill(len, seed);
        match self.precision.narrows(height, width) {
            true => Map::Bf16(values.into_iter().map(Bf16::new).collect()),
            false => Map::F32(values),
        }
    }
}

impl Map {
    fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => size_of_val(&values[..]),
            Self::Bf16(values) => size_of_val(&values[..]),
        }
    }

    fn read(&self) -> Floats<'_> {
        match self {
            Self::F32(values) => values.into(),
            Self::Bf16(values) => values.into(),
        }
    }

    fn write(&mut self) -> FloatsMut<'_> {
        match self {
            Self::F32(values) => values.into(),
            Self::Bf16(values) => values.into(),
        }
    }
}

impl Work {
    fn measure(&self, setting: &Setting) -> anyhow::Result<Vec<Vec<String>>> {
        match self.kind {
            Kind::Conv(shape, first) => {
                let plan = Conv::plan_in(shape, setting.precision)?;
                Ok(self.conv(&plan, first, setting))
            }
            Kind::Norm(size) => Ok(self.norm(size, setting)),
            Kind::MaxPool(shape) => Ok(self.max_pool(&shape, setting)),
        }
    }

    fn conv(&self, plan: &Conv, first: bool, setting: &Setting) -> Vec<Vec<String>> {
        let (shape, budget) = (*plan.shape(), setting.budget);
        // The network's input stays f32.
        let size = [shape.height, shape.width];
        let image = |seed| setting.map(size, shape.x_len(), seed);
        let result = |seed| setting.map(shape.output(), shape.y_len(), seed);
        let x = if first { Map::F32(fill(shape.x_len(), 1)) } else { image(1) };
        let (w, dy) = (fill(shape.w_len(), 2), result(3));
        let (mut y, mut dx) = (result(0), image(0));
        let mut dw = vec![0.0; w.len()];
        let scratch = &mut Scratch::new();
        // A training step packs both anew, an engine once.
        let [packed, back] = [Form::Forward, Form::BackwardInput].map(|form| plan.pack(form, &w));
        let pack = time(budget, || drop(plan.pack(Form::Forward, &w)));
        let epilogue = Epilogue::default();
        let forward =
            time(budget, || plan.forward(x.read(), &packed, epilogue, y.write(), scratch));
        let mut passes = vec![("forward", forward)];
        if !first {
            let dx = time(budget, || plan.backward_input(dy.read(), &back, dx.write(), scratch));
            passes.push(("dx", dx));
        }
        let weight = || plan.backward_weight(x.read(), dy.read(), &mut dw, scratch);
        passes.push(("dw", time(budget, weight)));
        let operations = (2 * shape.y_len() * shape.w_len() / shape.out_channels) as f64;
        let path = format!("{:?}", plan.algorithm());
        let ConvShape { in_channels, out_channels, kernel, stride, height, width, .. } = shape;
        let text = format!(
            "{}x{}/{} {in_channels}>{out_channels} @{height}x{width}",
            kernel[0], kernel[1], stride[0]
        );
        let mixed = matches!(plan.algorithm(), Algorithm::Mixed | Algorithm::MixedWinograd);
        let peak = if mixed { setting.mixed_operations } else { setting.operations };
        let rate = |time: Duration| (operations / time.as_secs_f64(), peak, "GF/s");
        let mut rows = self.rows(&text, &path, &passes, rate);
        let packed = if mixed { size_of::<Bf16>() } else { size_of::<f32>() };
        let bytes = (shape.w_len() * (size_of::<f32>() + packed)) as f64;
        let rate = |time: Duration| (bytes / time.as_secs_f64(), setting.copying, "GB/s");
        rows.extend(self.rows(&text, &path, &[("pack", pack)], rate));
        rows
    }

    fn norm(&self, [rows, channels]: [usize; 2], setting: &Setting) -> Vec<Vec<String>> {
        let budget = setting.budget;
        let [x, dy, mut y] = [1, 2, 0].map(|seed| setting.map([rows, 1], rows * channels, seed));
        let (gamma, beta) = (vec![1.0; channels], vec![0.0; channels]);
        let norm = || {
            let moments = Moments::new(x.read(), channels);
            Norm::of_batch(&moments, &gamma, &beta, Activation::Relu, 1e-5)
        };
        let forward = time(budget, || drop(norm().forward(x.read(), None, y.write())));
        let norm = norm();
        let (mut d_gamma, mut d_beta) = (gamma.clone(), beta.clone());
        let backward = time(budget, || {
            let sums = norm.sums(dy.read(), x.read());
            norm.parameter_gradients(&sums, [Some(&mut d_gamma), Some(&mut d_beta)]);
            norm.gradient(rows, &sums, false).write(dy.read(), x.read(), y.write());
        });
        let passes = [("forward", forward), ("backward", backward)];
        let text = format!("{rows}x{channels}");
        // Forward must read x and write y; backward must read x and dy and write dx.
        let bytes = |index: usize| ((2 + index) * x.bytes()) as f64;
        self.moved(&text, &passes, bytes, setting)
    }

    fn max_pool(&self, shape: &PoolShape, setting: &Setting) -> Vec<Vec<String>> {
        let (budget, size) = (setting.budget, [shape.height, shape.width]);
        let [x, mut dx] = [1, 0].map(|seed| setting.map(size, shape.x_len(), seed));
        let [dy, mut y] = [2, 0].map(|seed| setting.map(shape.output(), shape.y_len(), seed));
        let mut taps = vec![0; shape.y_len()];
        let forward =
            time(budget, || pool::max_forward(shape, x.read(), y.write(), Some(&mut taps)));
        let backward = time(budget, || {
            pool::max_backward(shape, dy.read(), &taps, None, dx.write());
        });
        let passes = [("forward", forward), ("backward", backward)];
        let PoolShape { kernel, stride, channels, height, width, .. } = *shape;
        let text =
            format!("{}x{}/{} {channels} @{height}x{width}", kernel[0], kernel[1], stride[0]);
        // One side whole, the other with the positions of the winners.
        let bytes = |_| (x.bytes() + dy.bytes() + size_of_val(&taps[..])) as f64;
        self.moved(&text, &passes, bytes, setting)
    }

    /// Rows of passes that move so many bytes.
    fn moved(
        &self,
        shape: &str,
        passes: &[(&str, Duration)],
        bytes: impl Fn(usize) -> f64,
        setting: &Setting,
    ) -> Vec<Vec<String>> {
        let rows = passes.iter().enumerate().flat_map(|(i, pass)| {
            let rate = |time: Duration| (bytes(i) / time.as_secs_f64(), setting.copying, "GB/s");
            self.rows(shape, "", &[*pass], rate)
        });
        rows.collect()
    }

    /// A row per pass; `rate` gives rate, peak and unit.
    fn rows(
        &self,
        shape: &str,
        path: &str,
        passes: &[(&str, Duration)],
        rate: impl Fn(Duration) -> (f64, f64, &'static str),
    ) -> Vec<Vec<String>> {
        let row = |&(pass, time): &(&str, Duration)| {
            let (rate, peak, unit) = rate(time);
            vec![
                self.layer.clone(),
                self.times.to_string(),
                shape.to_string(),
                path.to_string(),
                pass.to_string(),
                milliseconds(time),
                format!("{:.1} {unit}", 1e-9 * rate),
                format!("{:.0} %", 100.0 * rate / peak),
            ]
        };
        passes.iter().map(row).collect()
    }
}

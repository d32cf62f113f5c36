//! `ocelli bench kernels`: the operations of a network, one by one, beside what the machine can do at most.

use std::time::Duration;

use clap::Args;
use ocelli::graph::{Graph, Node, Op};
use ocelli::infer::shapes::{conv_shape, hwc, pool_shape};
use ocelli::kernels::activation::Activation;
use ocelli::kernels::norm::{Moments, Norm};
use ocelli::kernels::pool::{self, PoolShape};
use ocelli::kernels::testing::fill;
use ocelli::kernels::{Algorithm, Conv, ConvShape, Epilogue, Form, Scratch, isa, peak};
use ocelli::models::Model;

use super::{Subject, milliseconds, time};
use crate::output;
use crate::tables::table;

/// The kernels under a network, shape by shape: time, rate and share of the machine's peak
///
/// Convolutions in GF/s, a multiplication and an addition each one; Winograd's do fewer than they count, so
/// their share may exceed 100 %. Norms and pools in GB/s of what they must read and write, beside copying.
#[derive(Args)]
pub struct KernelBench {
    #[command(flatten)]
    subject: Subject,
    /// Every convolution as it is defined, without Winograd
    #[arg(long)]
    precise: bool,
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

/// Operations and bytes a second, of all threads.
struct Peaks {
    operations: f64,
    copying: f64,
}

impl KernelBench {
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.seconds >= 0.0, "--seconds must not be negative");
        let (model, size) = self.subject.create()?;
        let graph = recorded(&model, size)?;
        let peaks = Peaks { operations: peak::operations(), copying: peak::copying() };
        output::line(format_args!(
            "{}, batch {}, {:?}: peaks measured {:.0} GF/s and {:.1} GB/s",
            self.subject.name,
            self.subject.batch_size,
            isa::current(),
            1e-9 * peaks.operations,
            1e-9 * peaks.copying,
        ))?;
        let budget = Duration::from_secs_f64(self.seconds);
        let mut rows = Vec::new();
        for work in works(&graph, self.subject.batch_size) {
            if self.layer.as_ref().is_none_or(|text| work.layer.contains(text)) {
                rows.extend(work.measure(budget, self.precise, &peaks)?);
            }
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

impl Work {
    fn measure(
        &self,
        budget: Duration,
        precise: bool,
        peaks: &Peaks,
    ) -> anyhow::Result<Vec<Vec<String>>> {
        match self.kind {
            Kind::Conv(shape, first) => {
                let algorithm = Algorithm::precise(&shape);
                let plan =
                    if precise { Conv::plan_as(shape, algorithm) } else { Conv::plan(shape) };
                Ok(self.conv(&plan?, first, budget, peaks))
            }
            Kind::Norm(size) => Ok(self.norm(size, budget, peaks)),
            Kind::MaxPool(shape) => Ok(self.max_pool(&shape, budget, peaks)),
        }
    }

    fn conv(&self, plan: &Conv, first: bool, budget: Duration, peaks: &Peaks) -> Vec<Vec<String>> {
        let shape = *plan.shape();
        let (x, w, dy) = (fill(shape.x_len(), 1), fill(shape.w_len(), 2), fill(shape.y_len(), 3));
        let [mut y, mut dx, mut dw] = [dy.len(), x.len(), w.len()].map(|len| vec![0.0; len]);
        let scratch = &mut Scratch::new();
        // A training step packs both anew, an engine once.
        let [packed, back] = [Form::Forward, Form::BackwardInput].map(|form| plan.pack(form, &w));
        let pack = time(budget, || drop(plan.pack(Form::Forward, &w)));
        let epilogue = Epilogue::default();
        let forward = time(budget, || plan.forward(&x, &packed, epilogue, &mut y, scratch));
        let mut passes = vec![("forward", forward)];
        if !first {
            let dx = time(budget, || plan.backward_input(&dy, &back, &mut dx, scratch));
            passes.push(("dx", dx));
        }
        passes.push(("dw", time(budget, || plan.backward_weight(&x, &dy, &mut dw, scratch))));
        let operations = (2 * shape.y_len() * shape.w_len() / shape.out_channels) as f64;
        let path = format!("{:?}", plan.algorithm());
        let ConvShape { in_channels, out_channels, kernel, stride, height, width, .. } = shape;
        let text = format!(
            "{}x{}/{} {in_channels}>{out_channels} @{height}x{width}",
            kernel[0], kernel[1], stride[0]
        );
        let rate = |time: Duration| (operations / time.as_secs_f64(), peaks.operations, "GF/s");
        let mut rows = self.rows(&text, &path, &passes, rate);
        let bytes = (2 * shape.w_len() * size_of::<f32>()) as f64;
        let rate = |time: Duration| (bytes / time.as_secs_f64(), peaks.copying, "GB/s");
        rows.extend(self.rows(&text, &path, &[("pack", pack)], rate));
        rows
    }

    fn norm(
        &self,
        [rows, channels]: [usize; 2],
        budget: Duration,
        peaks: &Peaks,
    ) -> Vec<Vec<String>> {
        let (x, dy) = (fill(rows * channels, 1), fill(rows * channels, 2));
        let (gamma, beta) = (vec![1.0; channels], vec![0.0; channels]);
        let mut y = vec![0.0; x.len()];
        let norm = || {
            let moments = Moments::new(&x, channels);
            Norm::of_batch(&moments, &gamma, &beta, Activation::Relu, 1e-5)
        };
        let forward = time(budget, || drop(norm().forward(&x, None, &mut y)));
        let norm = norm();
        let (mut d_gamma, mut d_beta) = (gamma.clone(), beta.clone());
        let backward = time(budget, || {
            let sums = norm.sums(&dy, &x);
            norm.parameter_gradients(&sums, [Some(&mut d_gamma), Some(&mut d_beta)]);
            norm.gradient(rows, &sums, false).write(&dy, &x, &mut y);
        });
        let passes = [("forward", forward), ("backward", backward)];
        let text = format!("{rows}x{channels}");
        // Forward must read x and write y; backward must read x and dy and write dx.
        let bytes = |index: usize| ((2 + index) * x.len() * size_of::<f32>()) as f64;
        self.moved(&text, &passes, bytes, peaks)
    }

    fn max_pool(&self, shape: &PoolShape, budget: Duration, peaks: &Peaks) -> Vec<Vec<String>> {
        let (x, dy) = (fill(shape.x_len(), 1), fill(shape.y_len(), 2));
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        let mut taps = vec![0; dy.len()];
        let forward = time(budget, || pool::max_forward(shape, &x, &mut y, Some(&mut taps)));
        let backward = time(budget, || {
            pool::max_backward(shape, &dy, &taps, None, &mut dx);
        });
        let passes = [("forward", forward), ("backward", backward)];
        let PoolShape { kernel, stride, channels, height, width, .. } = *shape;
        let text =
            format!("{}x{}/{} {channels} @{height}x{width}", kernel[0], kernel[1], stride[0]);
        // One side whole, the other with the positions of the winners.
        let bytes = |_| ((x.len() + 2 * dy.len()) * size_of::<f32>()) as f64;
        self.moved(&text, &passes, bytes, peaks)
    }

    /// Rows of passes that move so many bytes.
    fn moved(
        &self,
        shape: &str,
        passes: &[(&str, Duration)],
        bytes: impl Fn(usize) -> f64,
        peaks: &Peaks,
    ) -> Vec<Vec<String>> {
        let rows = passes.iter().enumerate().flat_map(|(i, pass)| {
            let rate = |time: Duration| (bytes(i) / time.as_secs_f64(), peaks.copying, "GB/s");
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

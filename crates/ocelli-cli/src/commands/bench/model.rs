//! `ocelli bench model`: a network's training steps and answers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ocelli::core::{Batch, Targets};
use ocelli::infer::{Engine, Workspace};
use ocelli::nn::{Classifier, OpTime, Pass, Precision, cross_entropy, images, record};
use ocelli::train::{Optimizer, OptimizerConfig};

use super::{Subject, measure, milliseconds, peer};
use crate::flags::PrecisionFlags;
use crate::output;
use crate::tables::table;

/// Images a second that a network trains on, and answers
///
/// Medians over the steps after a warm-up, on made-up images and initial weights. Training counts everything from
/// the batch to the moved weights; answering runs the fused network. Memory is the most that was held so far, beyond
/// what the process held before there was a network.
#[derive(Args)]
pub struct ModelBench {
    #[command(flatten)]
    subject: Subject,
    /// Measure one of the two
    #[arg(long)]
    only: Option<Work>,
    /// Steps to measure
    #[arg(long, default_value_t = 5, value_name = "N")]
    steps: usize,
    #[command(flatten)]
    precision: PrecisionFlags,
    /// Print what each operation takes, too
    #[arg(long)]
    profile: bool,
    /// Print one JSON object per measurement and line
    #[arg(long, conflicts_with = "profile")]
    json: bool,
    /// Run the same elsewhere too, in turn, and print the ratios
    #[arg(long, conflicts_with_all = ["only", "json", "profile"])]
    peer: Option<peer::Name>,
    /// Python that has the peer's packages
    #[arg(long, default_value = "python3", value_name = "PATH", requires = "peer")]
    python: PathBuf,
    /// Folder of the peer's scripts
    #[arg(long, default_value = "benches/peers", value_name = "FOLDER", requires = "peer")]
    peers: PathBuf,
    /// Rounds of here and there
    #[arg(long, default_value_t = 3, value_name = "N", requires = "peer")]
    rounds: usize,
    /// Memory that the process held before there was a network, in MiB.
    #[arg(skip)]
    idle: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Work {
    Train,
    Infer,
}

impl ModelBench {
    pub fn run(mut self) -> anyhow::Result<()> {
        self.idle = peak_memory();
        if let Some(peer) = self.peer {
            return self.beside(peer);
        }
        if self.only != Some(Work::Infer) {
            self.train()?;
        }
        if self.only != Some(Work::Train) {
            self.infer()?;
        }
        Ok(())
    }

    /// The most memory that has been held beyond that, in MiB.
    fn memory(&self) -> Option<f64> {
        Some(peak_memory()? - self.idle?)
    }

    fn beside(self, name: peer::Name) -> anyhow::Result<()> {
        anyhow::ensure!(self.rounds > 0, "--rounds must be at least 1");
        let Subject { name: model, model_args, batch_size, image_size, threads } = self.subject;
        anyhow::ensure!(
            model_args.is_empty(),
            "--model-arg is not passed on to the peer: leave it out"
        );
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.unwrap_or_else(all);
        let precision = self.precision.get();
        anyhow::ensure!(
            precision != Some(Precision::Precise),
            "--precise has no counterpart elsewhere: leave it or --peer out"
        );
        let bf16 = precision == Some(Precision::Mixed);
        let work = peer::Work { model, batch_size, image_size, steps: self.steps, threads, bf16 };
        let Self { python, peers: scripts, rounds, .. } = self;
        peer::run(&work, &peer::Peer { name, python, scripts, rounds })
    }

    /// Forward, loss, backward and an SGD step, as a training run takes them.
    fn train(&self) -> anyhow::Result<()> {
        let (model, size) = self.subject.create()?;
        let mut optimizer = Optimizer::new(OptimizerConfig::sgd());
        let mut profile = Profile::default();
        let times = measure(self.steps, |step| {
            let mut batch = self.batch(size);
            let start = Instant::now();
            let precision = self.precision.get().unwrap_or_default();
            let pass = Pass::train(0, step as u64).with_precision(precision);
            let mut pass = if self.profile { pass.timed() } else { pass };
            let logits = model.logits(&images(&mut batch)?, &mut pass)?;
            let forward = start.elapsed();
            let loss = cross_entropy(&logits, &batch.targets, 0.1, None)?;
            let gradients = pass.backward(&loss)?;
            drop((loss, logits));
            let backward = start.elapsed();
            optimizer.step(&model.params().trainable(), &gradients, |_| 0.01)?;
            pass.update_statistics()?;
            let whole = start.elapsed();
            profile = Profile { ops: pass.times(), forward, backward, whole };
            Ok(whole)
        })?;
        self.print("train", &times)?;
        if self.profile { output::line(profile.table()) } else { Ok(()) }
    }

    fn infer(&self) -> anyhow::Result<()> {
        let (model, size) = self.subject.create()?;
        let graph = record(&model, &self.subject.name, [size; 2])?;
        let weights: HashMap<_, _> = model.params().to_disk()?.into_iter().collect();
        let batch = self.batch(size);
        let start = Instant::now();
        let find = |name: &str| weights.get(name).map(|tensor| &tensor.values[..]);
        let precision = self.precision.get().unwrap_or_default();
        let engine = Engine::with_precision(&graph, &find, precision)?;
        let ready = start.elapsed();
        let mut workspace = Workspace::new();
        engine.run(&batch.images[..size * size * 3], &mut workspace)?;
        let first = start.elapsed();
        let times = measure(self.steps, |_| {
            let start = Instant::now();
            engine.run(&batch.images, &mut workspace)?;
            Ok(start.elapsed())
        })?;
        self.print("infer", &times)?;
        if !self.json {
            let [ready, first] = [ready, first].map(milliseconds);
            output::line(format_args!(
                "       ready after {ready} ms, first image answered after {first} ms"
            ))?;
        }
        if !self.profile {
            return Ok(());
        }
        let steps = engine.profile(&batch.images, &mut workspace)?;
        let whole: Duration = steps.iter().map(|step| step.time).sum();
        let mut rows: Vec<Vec<String>> = steps
            .into_iter()
            .map(|step| {
                let path = step.algorithm.map_or(String::new(), |path| format!("{path:?}"));
                vec![
                    milliseconds(step.time),
                    share(step.time, whole),
                    step.kind.into(),
                    path,
                    step.name,
                ]
            })
            .collect();
        rows.push(vec![milliseconds(whole), share(whole, whole), "all".into()]);
        output::line(table(&["ms", "share", "what", "path", "layer"], &rows))
    }

    fn batch(&self, size: usize) -> Batch {
        let batch_size = self.subject.batch_size;
        let shape = [batch_size, size, size, 3];
        let wave = |index: usize| (index as f32 * 0.37).sin();
        Batch {
            images: (0..shape.iter().product()).map(wave).collect(),
            shape,
            targets: Targets::Classes((0..batch_size).map(|index| index as u32 % 1000).collect()),
            indices: (0..batch_size).collect(),
        }
    }

    fn print(&self, what: &str, times: &[Duration]) -> anyhow::Result<()> {
        let seconds = times[times.len() / 2].as_secs_f64();
        let Subject { name, batch_size, .. } = &self.subject;
        let rate = *batch_size as f64 / seconds.max(1e-9);
        if self.json {
            return output::line(serde_json::json!({
                "what": what, "subject": name, "batch_size": batch_size,
                "images_per_second": rate, "seconds_per_batch": seconds,
                "memory_mb": self.memory(), "allocator": allocator(),
            }));
        }
        let memory = self.memory().map_or(String::new(), |mb| format!(", {mb:.0} MB of memory"));
        let allocator = allocator();
        output::line(format_args!(
            "{what:5}  {name}  batch {batch_size}  {rate:.1} images/s{memory}, {allocator}"
        ))
    }
}

/// Where the time of one step went.
#[derive(Default)]
struct Profile {
    ops: Vec<OpTime>,
    /// When the forward pass had ended, when the backward pass had, and all.
    forward: Duration,
    backward: Duration,
    whole: Duration,
}

impl Profile {
    /// A row per operation, then what lies between and behind them; together, the step.
    fn table(&self) -> String {
        let row = |times: [Duration; 2], what: &str, layer: &str| -> Vec<String> {
            let [forward, backward] = times;
            let cells = [forward, backward].map(milliseconds);
            let share = share(forward + backward, self.whole);
            cells.into_iter().chain([share, what.to_string(), layer.to_string()]).collect()
        };
        let none = Duration::ZERO;
        let sum = |time: fn(&OpTime) -> Duration| self.ops.iter().map(time).sum::<Duration>();
        let (forward, backward) = (sum(|op| op.forward), sum(|op| op.backward));
        let rest = [
            self.forward.saturating_sub(forward),
            (self.backward - self.forward).saturating_sub(backward),
        ];
        let mut rows: Vec<Vec<String>> =
            self.ops.iter().map(|op| row([op.forward, op.backward], op.op, &op.path)).collect();
        rows.push(row(rest, "loss, and what lies between", ""));
        rows.push(row([none, self.whole - self.backward], "optimizer, statistics", ""));
        let behind = self.whole - self.forward;
        rows.push(row([self.forward, behind], "step", ""));
        table(&["forward ms", "behind ms", "share", "what", "layer"], &rows)
    }
}

fn share(part: Duration, whole: Duration) -> String {
    format!("{:.1} %", 100.0 * part.as_secs_f64() / whole.as_secs_f64().max(1e-12))
}

fn allocator() -> &'static str {
    if cfg!(feature = "mimalloc") { "mimalloc" } else { "system allocator" }
}

/// The most memory this process has held, in MiB, where the system tells (Linux).
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0)
}

//! `ocelli bench`: how fast this machine trains, answers and loads.

mod kernels;
mod load;
mod model;
mod peer;
mod transfer;

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use ocelli::models::{Model, ModelConfig, create};

use crate::flags::NetworkFlags;

/// Measure images a second of a network's training and answers, of its kernels, or of the loader.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Without a subcommand: `bench model`.

Examples:
  ocelli bench model resnet18 --batch-size 32
  ocelli bench model mobilenetv2_100 --only infer --batch-size 1 --profile
  ocelli bench model resnet18 --peer pytorch --python venv/bin/python
  ocelli bench kernels resnet18
  ocelli bench load --data photos

Machines differ from hour to hour: compare within one session."
)]
pub struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    model: model::ModelBench,
}

#[derive(Subcommand)]
enum What {
    Model(model::ModelBench),
    Kernels(kernels::KernelBench),
    Load(load::LoadBench),
    /// What pretraining is worth on the bundled sample (takes minutes)
    Transfer,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<()> {
        match self.what {
            None => self.model.run(),
            Some(What::Model(bench)) => bench.run(),
            Some(What::Kernels(bench)) => bench.run(),
            Some(What::Load(bench)) => bench.run(),
            Some(What::Transfer) => transfer::run(),
        }
    }
}

/// Which network, and how large its images are.
#[derive(Args)]
struct Subject {
    /// Architecture (`ocelli models list` shows all)
    #[arg(default_value = "resnet18", value_name = "MODEL")]
    name: String,
    /// Argument of the architecture under timm's name: pad_type=same
    #[arg(long = "model-arg", value_name = "KEY=VALUE")]
    model_args: Vec<String>,
    /// Images in a batch
    #[arg(long, default_value_t = 32, value_name = "N")]
    batch_size: usize,
    /// Height and width of the input [default: the architecture's]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Threads that compute [default: all processors]
    #[arg(long, value_name = "N", value_parser = crate::flags::threads)]
    threads: Option<usize>,
}

impl Subject {
    /// The network with initial weights, and the size of its images.
    fn create(&self) -> anyhow::Result<(Model, usize)> {
        anyhow::ensure!(self.batch_size > 0, "--batch-size must be at least 1");
        ocelli::set_threads(self.threads.unwrap_or(0));
        let mut network = ocelli::recipe::NetworkConfig::default();
        NetworkFlags::parse_args(&self.model_args)?.apply(&mut network)?;
        let model =
            create(&self.name, &ModelConfig { args: network.args, ..ModelConfig::default() })?;
        let size = self.image_size.unwrap_or(model.architecture().size);
        Ok((model, size))
    }
}

/// The times of some steps after a warm-up, in ascending order.
fn measure(
    steps: usize,
    mut step: impl FnMut(usize) -> anyhow::Result<Duration>,
) -> anyhow::Result<Vec<Duration>> {
    const WARM_UP: usize = 2;
    anyhow::ensure!(steps > 0, "--steps must be at least 1");
    let times = (0..WARM_UP + steps).map(&mut step).collect::<anyhow::Result<Vec<_>>>()?;
    let mut times = times[WARM_UP..].to_vec();
    times.sort();
    Ok(times)
}

/// Median of at least three runs, and as many as fit into `budget`.
fn time(budget: Duration, mut work: impl FnMut()) -> Duration {
    work();
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begin.elapsed() < budget {
        let start = Instant::now();
        work();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3}", 1e3 * time.as_secs_f64())
}

//! `ocelli bench`: how fast this machine trains, answers and loads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ocelli::core::{Batch, Dataset, Targets};
use ocelli::data::{Loader, LoaderConfig, Order};
use ocelli::models::{Model, ModelConfig, create};
use ocelli::nn::Classifier;
use ocelli::nn::{Pass, cross_entropy, images};
use ocelli::train::{Optimizer, OptimizerConfig};
use ocelli::{AugmentConfig, dataset_folder};

use super::peer;
use crate::flags::NetworkFlags;
use crate::output;

/// Measure images a second of a model's training and inference, or of the loader.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli bench --model resnet18 --batch-size 32
  ocelli bench --what infer --model mobilenetv2_100 --batch-size 1
  ocelli bench --what load --data photos
  ocelli bench --what transfer
  ocelli bench --model resnet18 --peer pytorch --python venv/bin/python

Figures are medians over the steps after a warm-up, on random images and initial weights. The peers are in
benches/peers; compare in one session, as machines differ from hour to hour.")]
pub struct Bench {
    /// What to measure
    #[arg(long, default_value = "all")]
    what: What,
    #[command(flatten)]
    network: NetworkFlags,
    /// Images in a batch
    #[arg(long, default_value_t = 32, value_name = "N")]
    batch_size: usize,
    /// Height and width of the input [default: the architecture's]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Steps to measure
    #[arg(long, default_value_t = 5, value_name = "N")]
    steps: usize,
    /// Images for the loader
    #[arg(long, default_value = "solids", value_name = "FOLDER")]
    data: PathBuf,
    /// Threads that compute and load [default: all processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object per measurement and line
    #[arg(long)]
    json: bool,
    /// Run the same training and inference elsewhere too, in turn, and print the ratios
    #[arg(long, conflicts_with_all = ["what", "json"])]
    peer: Option<PeerName>,
    /// Python that has the peer's packages
    #[arg(long, default_value = "python3", value_name = "PATH", requires = "peer")]
    python: PathBuf,
    /// Folder of the peer's scripts
    #[arg(long, default_value = "benches/peers", value_name = "FOLDER", requires = "peer")]
    peers: PathBuf,
    /// Rounds of here and there
    #[arg(long, default_value_t = 3, value_name = "N", requires = "peer")]
    rounds: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PeerName {
    Pytorch,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    All,
    Train,
    Infer,
    Load,
    /// What pretraining is worth on the bundled sample (takes minutes; not part of `all`)
    Transfer,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<()> {
        ocelli::set_threads(self.threads.unwrap_or(0));
        anyhow::ensure!(
            self.steps > 0 && self.batch_size > 0,
            "--steps and --batch-size must be at least 1"
        );
        anyhow::ensure!(
            self.network.weights.is_none(),
            "--weights changes no speed: bench runs with initial weights"
        );
        if self.what == What::Transfer {
            return super::transfer::run();
        }
        if let Some(PeerName::Pytorch) = self.peer {
            return self.beside_peer();
        }
        let measures = |what| self.what == What::All || self.what == what;
        if measures(What::Train) {
            self.print("train", self.train()?)?;
        }
        if measures(What::Infer) {
            self.print("infer", self.infer()?)?;
        }
        if measures(What::Load) {
            self.print("load", self.load()?)?;
        }
        Ok(())
    }

    fn beside_peer(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.rounds > 0, "--rounds must be at least 1");
        anyhow::ensure!(
            self.network.model_args.is_empty(),
            "--model-arg is not passed on to the peer: leave it out"
        );
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        let work = peer::Work {
            model: self.name().to_string(),
            batch_size: self.batch_size,
            image_size: self.image_size,
            steps: self.steps,
            threads: self.threads.unwrap_or_else(all),
        };
        let Self { python, peers: scripts, rounds, .. } = self;
        peer::run(&work, &peer::Peer { python, scripts, rounds })
    }

    fn name(&self) -> &str {
        self.network.model.as_deref().unwrap_or("resnet18")
    }

    fn model(&self) -> anyhow::Result<(Model, usize)> {
        let mut network = ocelli::recipe::NetworkConfig::default();
        self.network.apply(&mut network)?;
        let model =
            create(self.name(), &ModelConfig { args: network.args, ..ModelConfig::default() })?;
        let size = self.image_size.unwrap_or(model.architecture().size);
        Ok((model, size))
    }

    fn batch(&self, size: usize) -> Batch {
        let shape = [self.batch_size, size, size, 3];
        let count = shape.iter().product();
        let wave = |index: usize| (index as f32 * 0.37).sin();
        Batch {
            images: (0..count).map(wave).collect(),
            shape,
            targets: Targets::Classes(
                (0..self.batch_size).map(|index| index as u32 % 1000).collect(),
            ),
            indices: (0..self.batch_size).collect(),
        }
    }

    /// Forward, loss, backward and an SGD step, as a training run takes them.
    fn train(&self) -> anyhow::Result<Vec<Duration>> {
        let (model, size) = self.model()?;
        let mut optimizer = Optimizer::new(OptimizerConfig::sgd());
        self.measure(|step| {
            let mut batch = self.batch(size);
            let start = Instant::now();
            let mut pass = Pass::train(0, step as u64);
            let logits = model.logits(&images(&mut batch)?, &mut pass)?;
            let loss = cross_entropy(&logits, &batch.targets, 0.1, None)?;
            let gradients = pass.backward(&loss)?;
            drop((loss, logits));
            optimizer.step(&model.params().trainable(), &gradients, |_| 0.01)?;
            pass.update_statistics()?;
            Ok(start.elapsed())
        })
    }

    fn infer(&self) -> anyhow::Result<Vec<Duration>> {
        let (model, size) = self.model()?;
        self.measure(|_| {
            let mut batch = self.batch(size);
            let start = Instant::now();
            model.logits(&images(&mut batch)?, &mut Pass::eval())?;
            Ok(start.elapsed())
        })
    }

    /// Decoding, augmenting and batching of real files.
    fn load(&self) -> anyhow::Result<Vec<Duration>> {
        let splits = ocelli::data::find_splits(dataset_folder(&self.data)?, &Default::default())?;
        let dataset: Arc<dyn Dataset> = splits.train;
        let size = self.image_size.unwrap_or(224);
        let preprocess = ocelli::core::Preprocess { size: [size; 2], ..Default::default() };
        let augment = AugmentConfig::default();
        let mut config = LoaderConfig {
            batch_size: self.batch_size,
            order: Order::Shuffled,
            ..Default::default()
        };
        config.threads = self.threads.unwrap_or(config.threads);
        let loader = Loader::new(
            dataset,
            config,
            augment.transform(&preprocess)?,
            preprocess.normalize,
            Vec::new(),
        )?;
        let mut batches = (0..).flat_map(|epoch| loader.epoch(epoch));
        // With batches made ahead, the time between two of them is what counts.
        self.measure(|_| {
            let start = Instant::now();
            batches.next().transpose()?;
            Ok(start.elapsed())
        })
    }

    /// The times of the steps after a warm-up.
    fn measure(
        &self,
        mut step: impl FnMut(usize) -> anyhow::Result<Duration>,
    ) -> anyhow::Result<Vec<Duration>> {
        const WARM_UP: usize = 2;
        let times = (0..WARM_UP + self.steps).map(&mut step).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(times[WARM_UP..].to_vec())
    }

    fn print(&self, what: &str, mut times: Vec<Duration>) -> anyhow::Result<()> {
        times.sort();
        let median = times[times.len() / 2].as_secs_f64();
        let total: f64 = times.iter().map(Duration::as_secs_f64).sum();
        // A loader's batches come in bursts, so its rate is the mean.
        let seconds = if what == "load" { total / times.len() as f64 } else { median };
        let rate = self.batch_size as f64 / seconds.max(1e-9);
        let subject =
            if what == "load" { self.data.display().to_string() } else { self.name().to_string() };
        let memory = peak_memory()
            .map_or(String::new(), |bytes| format!(", peak memory {} MB", bytes / 1_000_000));
        if self.json {
            output::line(serde_json::json!({
                "what": what, "subject": subject, "batch_size": self.batch_size,
                "images_per_second": rate, "seconds_per_batch": seconds,
                "peak_memory_bytes": peak_memory(), "allocator": allocator(),
            }))
        } else {
            let batch = self.batch_size;
            output::line(format_args!(
                "{what:5}  {subject}  batch {batch}  {rate:.1} images/s{memory}, {}",
                allocator()
            ))
        }
    }
}

fn allocator() -> &'static str {
    if cfg!(feature = "mimalloc") { "mimalloc" } else { "system allocator" }
}

/// The most memory this process has held, where the system tells (Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

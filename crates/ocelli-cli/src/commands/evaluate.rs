//! `ocelli evaluate`: how good a model is on a folder of photos.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ocelli::recipe::{NetworkConfig, PreprocessConfig};
use ocelli::{EvaluateConfig, Split, evaluate_model};

use crate::flags::{MachineFlags, NetworkFlags, PrecisionFlags, PreprocessFlags};
use crate::output;
use crate::progress::Progress;

/// Judge a model, or published weights, on a folder of photos.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli evaluate photos --weights runs/photos-1/model
  ocelli evaluate cifar --model resnet20_cifar --weights resnet20.th
  ocelli evaluate photos --weights hf-hub:timm/resnet18.a1_in1k --json

Class folders are matched with the model's classes by name. Weights without names take them in order where
there are as many, and else by number: a folder 0007 holds images of class 7.")]
pub struct Evaluate {
    /// Folder of photos: CLASS/*.jpg, or test/CLASS/*.jpg
    path: PathBuf,
    #[command(flatten)]
    network: NetworkFlags,
    /// Which images, where the folder has split folders
    #[arg(long, default_value = "test")]
    split: SplitName,
    #[command(flatten)]
    preprocess: PreprocessFlags,
    #[command(flatten)]
    machine: MachineFlags,
    /// Share of unreadable files above which it fails
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    max_bad: f64,
    #[command(flatten)]
    precision: PrecisionFlags,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write every answer to a CSV file: image, truth, prediction, probability
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    Train,
    Val,
    Test,
}

impl Evaluate {
    pub fn run(self) -> anyhow::Result<()> {
        self.machine.start();
        let (mut network, mut preprocess) = (NetworkConfig::default(), PreprocessConfig::default());
        self.network.apply(&mut network)?;
        self.preprocess.apply(&mut preprocess);
        let config = EvaluateConfig {
            network,
            preprocess,
            data: self.path.clone(),
            split: match self.split {
                SplitName::Train => Split::Train,
                SplitName::Val => Split::Validation,
                SplitName::Test => Split::Test,
            },
            batch_size: self.machine.batch_size.unwrap_or(64),
            threads: self.machine.threads.unwrap_or(0),
            max_bad: self.max_bad,
            precision: self.precision.get().unwrap_or_default(),
        };
        let evaluated = evaluate_model(&config, &mut Progress::quiet(self.json))?;
        for problem in &evaluated.problems {
            output::warn(format_args!("skipped: {}", problem.message));
        }
        if let Some(path) = &self.answers {
            evaluated.write_answers(path)?;
        }
        if self.json {
            output::line(serde_json::to_string_pretty(&evaluated.evaluation.metrics.summary())?)
        } else {
            output::line(evaluated.table())
        }
    }
}

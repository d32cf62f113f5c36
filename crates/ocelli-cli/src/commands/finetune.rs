//! `ocelli finetune` and `ocelli train`: from a folder of photos to a classifier.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ocelli::recipe::Keep;
use ocelli::train::{OptimizerConfig, Schedule, Scope};
use ocelli::{Finished, Preset, Recipe};

use crate::flags::{MachineFlags, NetworkFlags, PrecisionFlags, PreprocessFlags, bounded};
use crate::progress::Progress;
use crate::{output, signals};

const FINETUNE: &str = "Examples:
  ocelli finetune                                   the bundled backbone on the bundled sample
  ocelli finetune photos --epochs 5                 your own photos: photos/CLASS/*.jpg
  ocelli finetune photos --model mobilenetv2_100 --weights weights.safetensors --scope head
  ocelli finetune --recipe runs/photos-1/recipe.toml --seed 2
  ocelli finetune --resume runs/photos-1            go on after Ctrl-C";

const TRAIN: &str = "Examples:
  ocelli train cifar --model resnet20_cifar --augment cifar --epochs 30 --lr 0.1 --batch-size 128
  ocelli train --resume runs/cifar-1                go on after Ctrl-C";

/// Teach a pretrained network the classes of a folder of photos.
#[derive(Args)]
#[command(after_help = FINETUNE, after_long_help = with_defaults(FINETUNE))]
pub struct Finetune {
    #[command(flatten)]
    run: RunFlags,
}

/// Train a network from scratch on a folder of photos.
#[derive(Args)]
#[command(after_help = TRAIN, after_long_help = with_defaults(TRAIN))]
pub struct Train {
    #[command(flatten)]
    run: RunFlags,
}

#[derive(Args)]
struct RunFlags {
    /// Folder of photos: CLASS/*.jpg, or train/CLASS/*.jpg beside val/ and test/
    path: Option<PathBuf>,
    /// Settings from a TOML file; flags override them
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Continue the run in this folder, with the settings that it has
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = [
            "path", "recipe", "out", "batch_size", "NetworkFlags", "PreprocessFlags", "TrainingFlags",
            "PrecisionFlags", "DataFlags",
        ]
    )]
    resume: Option<PathBuf>,
    /// Run folder [default: runs/DATA-1, or the next free number]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    preprocess: PreprocessFlags,
    #[command(flatten)]
    machine: MachineFlags,
    #[command(flatten)]
    training: TrainingFlags,
    #[command(flatten)]
    precision: PrecisionFlags,
    #[command(flatten)]
    data: DataFlags,
}

#[derive(Args)]
struct TrainingFlags {
    /// Times the training images are seen
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Learning rate at its highest
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Learning rate of the backbone as a share of the head's
    #[arg(long, value_name = "SHARE")]
    backbone_rate: Option<f64>,
    /// Which part learns: head, all, or the stages from a number on
    #[arg(long, value_name = "head|all|STAGE", value_parser = scope)]
    scope: Option<Scope>,
    /// How weights follow gradients
    #[arg(long)]
    optimizer: Option<OptimizerName>,
    /// Decay of weights (norms and biases are spared)
    #[arg(long, value_name = "DECAY")]
    weight_decay: Option<f64>,
    /// How the rate moves
    #[arg(long)]
    schedule: Option<ScheduleName>,
    /// Steps over which the rate rises from zero, at most half of the run
    #[arg(long, value_name = "STEPS")]
    warmup_steps: Option<u64>,
    /// Share of the target that is spread over all classes
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f32>,
    /// Largest global norm of the gradients
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f64>,
    /// Which weights become the model
    #[arg(long)]
    keep: Option<KeepName>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Args)]
struct DataFlags {
    /// Random changes of training images
    #[arg(long, value_name = "PRESET")]
    augment: Option<AugmentName>,
    /// Smallest share of a photo's area that a random crop takes
    #[arg(long, value_name = "SHARE")]
    min_scale: Option<f64>,
    /// Mixup's alpha; 0 is off
    #[arg(long, value_name = "ALPHA")]
    mixup: Option<f64>,
    /// CutMix's alpha; 0 is off
    #[arg(long, value_name = "ALPHA")]
    cutmix: Option<f64>,
    /// Probability of erasing a rectangle
    #[arg(long, value_name = "P")]
    erasing: Option<f64>,
    /// Share of each class for validation where there is no folder for it
    #[arg(long, value_name = "SHARE")]
    val_share: Option<f64>,
    /// Share of each class for test where there is no folder for it
    #[arg(long, value_name = "SHARE")]
    test_share: Option<f64>,
    /// Draw rare classes as often as common ones
    #[arg(long)]
    balanced: bool,
    /// Share of unreadable files above which the run fails
    #[arg(long, value_name = "SHARE")]
    max_bad: Option<f64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum OptimizerName {
    Sgd,
    Adam,
    Adamw,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScheduleName {
    Constant,
    Step,
    Cosine,
    OneCycle,
}

#[derive(Clone, Copy, ValueEnum)]
enum AugmentName {
    None,
    Torchvision,
    Timm,
    Cifar,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeepName {
    Best,
    Last,
}

/// Examples, and the settings of a run that names a network and says nothing else.
fn with_defaults(examples: &str) -> String {
    let recipe = Recipe::photos().and_then(|recipe| recipe.to_toml()).unwrap_or_default();
    format!(
        "{examples}\n\nDefaults with --model or --weights, as a recipe (the bundled backbone has its own, which its \
         run folder shows):\n\n{}",
        recipe.trim_end()
    )
}

fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "head" => Ok(Scope::Head),
        "all" => Ok(Scope::All),
        stage => stage
            .parse()
            .map(Scope::From)
            .map_err(|_| "wants head, all or a stage's number".to_string()),
    }
}

impl Finetune {
    pub fn run(self) -> anyhow::Result<()> {
        let flags = &self.run.network;
        let named = flags.model.is_some() || flags.weights.is_some();
        let base = if named { Recipe::photos()? } else { Recipe::bundled()? };
        self.run.run(base, |recipe| {
            anyhow::ensure!(
                recipe.model.weights.is_some(),
                "finetune starts from pretrained weights: give --weights (`ocelli train` starts from scratch)"
            );
            Ok(())
        })
    }
}

impl Train {
    pub fn run(self) -> anyhow::Result<()> {
        let mut base = Recipe::photos()?;
        base.model.weights = None;
        self.run.run(base, |_| Ok(()))
    }
}

impl RunFlags {
    fn run(
        &self,
        base: Recipe,
        check: impl Fn(&Recipe) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        signals::listen()?;
        let mut progress = Progress::new();
        let finished = match &self.resume {
            Some(folder) => {
                self.machine.start();
                ocelli::resume(folder, &mut progress)?
            }
            None => {
                let recipe = self.recipe(base)?;
                ocelli::set_threads(bounded(recipe.threads).context("threads in the recipe")?);
                check(&recipe)?;
                ocelli::finetune(&recipe, &mut progress)?
            }
        };
        drop(progress);
        print_finished(&finished)
    }

    /// Flags over the recipe's file, or over `base`.
    fn recipe(&self, base: Recipe) -> anyhow::Result<Recipe> {
        let mut recipe = match &self.recipe {
            Some(path) => Recipe::open(path)?,
            None => base,
        };
        if let Some(path) = &self.path {
            recipe.data.path.clone_from(path);
        }
        if self.out.is_some() {
            recipe.out.clone_from(&self.out);
        }
        self.network.apply(&mut recipe.model)?;
        self.preprocess.apply(&mut recipe.preprocess);
        recipe.threads = self.machine.threads.unwrap_or(recipe.threads);
        recipe.data.batch_size = self.machine.batch_size.unwrap_or(recipe.data.batch_size);
        recipe.train.precision = self.precision.get().unwrap_or(recipe.train.precision);
        self.training.apply(&mut recipe)?;
        self.data.apply(&mut recipe);
        Ok(recipe)
    }
}

impl TrainingFlags {
    fn apply(&self, recipe: &mut Recipe) -> anyhow::Result<()> {
        let train = &mut recipe.train;
        train.epochs = self.epochs.unwrap_or(train.epochs);
        train.learning_rate = self.lr.unwrap_or(train.learning_rate);
        train.backbone_rate = self.backbone_rate.unwrap_or(train.backbone_rate);
        train.scope = self.scope.unwrap_or(train.scope);
        train.label_smoothing = self.label_smoothing.unwrap_or(train.label_smoothing);
        train.clip_norm = self.clip_norm.or(train.clip_norm);
        recipe.seed = self.seed.unwrap_or(recipe.seed);
        match self.optimizer {
            Some(OptimizerName::Sgd) => train.optimizer = OptimizerConfig::sgd(),
            Some(OptimizerName::Adam) => train.optimizer = OptimizerConfig::adam(),
            Some(OptimizerName::Adamw) => train.optimizer = OptimizerConfig::adamw(),
            None => {}
        }
        if let Some(decay) = self.weight_decay {
            train.optimizer.set_weight_decay(decay);
        }
        let warmup = train.schedule.warmup_steps;
        match self.schedule {
            Some(ScheduleName::Constant) => {
                train.schedule = Schedule { warmup_steps: warmup, ..Schedule::constant() }
            }
            Some(ScheduleName::Step) => {
                train.schedule = Schedule { warmup_steps: warmup, ..Schedule::step() }
            }
            Some(ScheduleName::Cosine) => {
                train.schedule = Schedule { warmup_steps: warmup, ..Schedule::cosine() }
            }
            // It warms up by itself.
            Some(ScheduleName::OneCycle) => train.schedule = Schedule::one_cycle(),
            None => {}
        }
        train.schedule.warmup_steps = self.warmup_steps.unwrap_or(train.schedule.warmup_steps);
        match self.keep {
            Some(KeepName::Best) => recipe.keep = Keep::Best,
            Some(KeepName::Last) => recipe.keep = Keep::Last,
            None => {}
        }
        train.check().context("a setting makes no sense")
    }
}

impl DataFlags {
    fn apply(&self, recipe: &mut Recipe) {
        let augment = &mut recipe.augment;
        augment.preset = match self.augment {
            Some(AugmentName::None) => Preset::None,
            Some(AugmentName::Torchvision) => Preset::Torchvision,
            Some(AugmentName::Timm) => Preset::Timm,
            Some(AugmentName::Cifar) => Preset::Cifar,
            None => augment.preset,
        };
        augment.min_scale = self.min_scale.or(augment.min_scale);
        augment.mixup = self.mixup.unwrap_or(augment.mixup);
        augment.cutmix = self.cutmix.unwrap_or(augment.cutmix);
        augment.erasing = self.erasing.unwrap_or(augment.erasing);
        let data = &mut recipe.data;
        data.split.val = self.val_share.unwrap_or(data.split.val);
        data.split.test = self.test_share.unwrap_or(data.split.test);
        data.balanced |= self.balanced;
        data.max_bad = self.max_bad.unwrap_or(data.max_bad);
    }
}

fn print_finished(finished: &Finished) -> anyhow::Result<()> {
    output::line(format_args!("\n{}\n", finished.report))?;
    output::line(format_args!("run folder  {}", finished.folder.display()))?;
    output::line(format_args!("model       {}", finished.folder.join(ocelli::MODEL).display()))?;
    output::line(format_args!("report      {}", finished.folder.join(ocelli::REPORT).display()))
}

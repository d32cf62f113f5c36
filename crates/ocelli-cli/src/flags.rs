//! Flags that several commands share.

use clap::{Args, ValueEnum};
use ocelli::core::{CropMode, Interpolation};
use ocelli::models::{ModelArgs, PadType};
use ocelli::nn::Precision;
use ocelli::recipe::{NetworkConfig, PreprocessConfig};

/// Which network.
#[derive(Args, Clone, Debug, Default)]
pub struct NetworkFlags {
    /// Architecture (`ocelli models list` shows all)
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Pretrained weights: `bundled`, a .safetensors/.pth/.th file, a model folder, or hf-hub:OWNER/NAME
    #[arg(long, value_name = "SOURCE")]
    pub weights: Option<String>,
    /// Argument of the architecture under timm's name: pad_type=same, drop_rate=0.2, drop_path_rate=0.1
    #[arg(long = "model-arg", value_name = "KEY=VALUE", value_parser = model_arg)]
    pub model_args: Vec<(String, String)>,
}

impl NetworkFlags {
    /// Flags from arguments of the architecture alone.
    pub fn parse_args(args: &[String]) -> anyhow::Result<Self> {
        let parsed = args.iter().map(|arg| model_arg(arg).map_err(anyhow::Error::msg));
        Ok(Self { model_args: parsed.collect::<anyhow::Result<_>>()?, ..Self::default() })
    }

    /// These flags over what a recipe says.
    pub fn apply(&self, config: &mut NetworkConfig) -> anyhow::Result<()> {
        if self.model.is_some() {
            config.name.clone_from(&self.model);
        }
        if self.weights.is_some() {
            config.weights.clone_from(&self.weights);
        }
        for (key, value) in &self.model_args {
            set_model_arg(&mut config.args, key, value)?;
        }
        Ok(())
    }
}

fn model_arg(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("wants KEY=VALUE, such as pad_type=same")?;
    Ok((key.to_string(), value.to_string()))
}

fn set_model_arg(args: &mut ModelArgs, key: &str, value: &str) -> anyhow::Result<()> {
    let number = || {
        value
            .parse::<f32>()
            .map_err(|_| anyhow::anyhow!("--model-arg {key}={value}: wants a number"))
    };
    match key {
        "pad_type" => {
            args.pad_type = match value {
                "same" => PadType::Same,
                "" | "symmetric" => PadType::Symmetric,
                _ => anyhow::bail!("--model-arg pad_type={value}: wants `same` or `symmetric`"),
            }
        }
        "drop_rate" => args.drop_rate = Some(number()?),
        "drop_path_rate" => args.drop_path_rate = number()?,
        _ => anyhow::bail!("--model-arg {key}: known are pad_type, drop_rate and drop_path_rate"),
    }
    Ok(())
}

/// A resize filter.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Filter {
    /// Pillow's bilinear
    Bilinear,
    /// Pillow's bicubic
    Bicubic,
}

/// How a photo's shape is made to fit.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Crop {
    /// Resize the short side, crop the centre
    Center,
    /// Resize both sides, losing the shape
    Squash,
}

/// From photo to input.
#[derive(Args, Clone, Debug, Default)]
pub struct PreprocessFlags {
    /// Height and width of the network's input in pixels
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,
    /// Share of the resized photo that the centre crop keeps in evaluation
    #[arg(long, value_name = "SHARE")]
    pub crop_pct: Option<f32>,
    /// How the shape is made to fit in evaluation
    #[arg(long)]
    pub crop_mode: Option<Crop>,
    /// Resize filter in evaluation
    #[arg(long)]
    pub interpolation: Option<Filter>,
    /// Mean per channel of pixels in 0..1: one number or three (0.485,0.456,0.406)
    #[arg(long, value_name = "R,G,B", value_parser = channels)]
    pub mean: Option<Channels>,
    /// Standard deviation per channel: one number or three
    #[arg(long, value_name = "R,G,B", value_parser = channels)]
    pub std: Option<Channels>,
}

/// A number per channel.
#[derive(Clone, Copy, Debug)]
pub struct Channels([f32; 3]);

fn channels(text: &str) -> Result<Channels, String> {
    let numbers: Result<Vec<f32>, _> =
        text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[one]) => Ok(Channels([one; 3])),
        Ok(&[red, green, blue]) => Ok(Channels([red, green, blue])),
        _ => Err("wants one number or three, such as 0.485,0.456,0.406".to_string()),
    }
}

impl PreprocessFlags {
    /// These flags over what a recipe says.
    pub fn apply(&self, config: &mut PreprocessConfig) {
        config.image_size = self.image_size.or(config.image_size);
        config.crop_pct = self.crop_pct.or(config.crop_pct);
        config.mean = self.mean.map(|mean| mean.0).or(config.mean);
        config.std = self.std.map(|std| std.0).or(config.std);
        let mode = self.crop_mode.map(|mode| match mode {
            Crop::Center => CropMode::Center,
            Crop::Squash => CropMode::Squash,
        });
        config.crop_mode = mode.or(config.crop_mode);
        let filter = self.interpolation.map(|filter| match filter {
            Filter::Bilinear => Interpolation::Bilinear,
            Filter::Bicubic => Interpolation::Bicubic,
        });
        config.interpolation = filter.or(config.interpolation);
    }
}

/// How the arithmetic is done.
#[derive(Args, Clone, Copy, Debug)]
pub struct PrecisionFlags {
    /// Compute every convolution as it is defined, without Winograd's rounding: slower
    #[arg(long, conflicts_with = "bf16")]
    precise: bool,
    /// Mixed precision: feature maps in bf16, weights and sums in f32; half the memory, and fast on CPUs with AMX or AVX512-BF16
    #[arg(long)]
    bf16: bool,
}

impl PrecisionFlags {
    /// The precision they ask for, if any.
    pub fn get(self) -> Option<Precision> {
        match (self.precise, self.bf16) {
            (true, _) => Some(Precision::Precise),
            (_, true) => Some(Precision::Mixed),
            _ => None,
        }
    }
}

/// Reads a number of threads; 0 takes all processors.
pub fn threads(text: &str) -> Result<usize, String> {
    let count = text.parse().map_err(|_| "not a number of threads".to_string())?;
    bounded(count).map_err(|error| error.to_string())
}

/// More threads than any machine has processors would only take its memory.
pub fn bounded(threads: usize) -> anyhow::Result<usize> {
    const MOST: usize = 1024;
    anyhow::ensure!(threads <= MOST, "{threads} threads are too many: {MOST} at most");
    Ok(threads)
}

/// Threads and batches.
#[derive(Args, Clone, Debug, Default)]
pub struct MachineFlags {
    /// Threads that load and compute [default: all processors]
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
    /// Images in a batch
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
}

impl MachineFlags {
    /// Sets how many threads compute.
    pub fn start(&self) {
        ocelli::set_threads(self.threads.unwrap_or(0));
    }
}

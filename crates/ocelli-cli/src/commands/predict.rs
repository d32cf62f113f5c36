//! `ocelli predict`: what photos show.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use ocelli::data::find_images;
use ocelli::infer::{Prediction, Predictor};

use crate::flags::PrecisionFlags;
use crate::output;

/// Say what photos show.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli predict runs/photos-1/model photo.jpg other.png
  ocelli predict runs/photos-1/model holiday            all photos in a folder and below it
  ocelli predict runs/photos-1/model --json photo.jpg
  ocelli predict hf-hub:timm/resnet18.a1_in1k photo.jpg")]
pub struct Predict {
    /// Model folder, as `finetune` leaves it in `model/` of its run folder, or hf-hub:OWNER/NAME
    model: String,
    /// Photos, or folders of photos
    #[arg(required = true)]
    photos: Vec<PathBuf>,
    /// Classes to name for each photo
    #[arg(long, default_value = "5", value_name = "K")]
    top: NonZeroUsize,
    /// Print one JSON object per photo and line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    precision: PrecisionFlags,
    /// Threads that compute [default: all processors]
    #[arg(long, value_name = "N", value_parser = crate::flags::threads)]
    threads: Option<usize>,
}

impl Predict {
    /// Answers every photo that can be read; fails at the end if one could not.
    pub fn run(self) -> anyhow::Result<()> {
        ocelli::set_threads(self.threads.unwrap_or(0));
        let precision = self.precision.get().unwrap_or_default();
        let predictor = ocelli::open_model(&self.model)?.into_predictor_in(precision)?;
        let photos = self.photos()?;
        let mut failed = 0;
        for photo in &photos {
            match answer(&predictor, photo, self.top.get()) {
                Ok(predictions) if self.json => {
                    let answer = serde_json::json!({ "photo": photo.to_string_lossy(), "predictions": predictions });
                    output::line(answer)?;
                }
                Ok(predictions) => print_table(photo, &predictions)?,
                Err(error) => {
                    failed += 1;
                    output::warn(format_args!("{}: {}", photo.display(), crate::chain(&error)));
                }
            }
        }
        anyhow::ensure!(failed == 0, "{failed} of {} photos have no answer", photos.len());
        Ok(())
    }

    /// The photos named, and those in the folders named.
    fn photos(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for photo in &self.photos {
            if !photo.is_dir() {
                all.push(photo.clone());
                continue;
            }
            let found = find_images(photo)?;
            anyhow::ensure!(!found.is_empty(), "{} has no photos", photo.display());
            all.extend(found);
        }
        Ok(all)
    }
}

fn answer(predictor: &Predictor, photo: &Path, top: usize) -> anyhow::Result<Vec<Prediction>> {
    let predictions = predictor.predict(&std::fs::read(photo)?, top)?;
    anyhow::ensure!(
        predictions.iter().all(|prediction| prediction.probability.is_finite()),
        "the network's answer is not a number: its training diverged"
    );
    Ok(predictions)
}

fn print_table(photo: &Path, predictions: &[Prediction]) -> anyhow::Result<()> {
    output::line(photo.display())?;
    predictions.iter().try_for_each(|Prediction { name, probability, .. }| {
        output::line(format_args!("  {:5.1} %  {name}", 100.0 * probability))
    })
}

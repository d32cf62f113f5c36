//! `ocelli predict`: what photos show.

use std::path::PathBuf;

use clap::Args;
use ocelli::export::{Prediction, Predictor};

/// Say what photos show.
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocelli predict runs/solids-1/model photo.jpg other.png\n  ocelli predict runs/solids-1/model --json photo.jpg"
)]
pub struct Predict {
    /// Model folder, as `finetune` leaves it in `model/` of its run folder
    model_dir: PathBuf,
    /// Photos
    #[arg(required = true)]
    photos: Vec<PathBuf>,
    /// Classes to name for each photo
    #[arg(long, default_value_t = 5, value_name = "K")]
    top: usize,
    /// Print one JSON object per photo and line
    #[arg(long)]
    json: bool,
    /// Threads that compute [default: all processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl Predict {
    /// Answers every photo that can be read; fails at the end if one could not.
    pub fn run(self) -> anyhow::Result<()> {
        ocelli::set_threads(self.threads.unwrap_or(0));
        let predictor = Predictor::open(&self.model_dir)?;
        let mut failed = 0;
        for photo in &self.photos {
            match std::fs::read(photo)
                .map_err(anyhow::Error::from)
                .and_then(|bytes| Ok(predictor.predict(&bytes, self.top)?))
            {
                Ok(predictions) if self.json => {
                    let answer = serde_json::json!({ "photo": photo.to_string_lossy(), "predictions": predictions });
                    println!("{answer}");
                }
                Ok(predictions) => print_table(photo, &predictions),
                Err(error) => {
                    failed += 1;
                    eprintln!("{}: {}", photo.display(), crate::chain(&error));
                }
            }
        }
        anyhow::ensure!(failed == 0, "{failed} of {} photos could not be read", self.photos.len());
        Ok(())
    }
}

fn print_table(photo: &std::path::Path, predictions: &[Prediction]) {
    println!("{}", photo.display());
    for Prediction { name, probability, .. } in predictions {
        println!("  {:5.1} %  {name}", 100.0 * probability);
    }
}

//! `ocelli bench load`: decoding, augmenting and batching of real files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ocelli::core::{Dataset, Preprocess};
use ocelli::data::{Loader, LoaderConfig, Order, find_splits};
use ocelli::{AugmentConfig, dataset_folder};

use super::measure;
use crate::output;

/// Images a second that the loader makes ready to train on
#[derive(Args)]
pub struct LoadBench {
    /// Images
    #[arg(long, default_value = "solids", value_name = "FOLDER")]
    data: PathBuf,
    /// Images in a batch
    #[arg(long, default_value_t = 32, value_name = "N")]
    batch_size: usize,
    /// Height and width of the network's input
    #[arg(long, default_value_t = 224, value_name = "PIXELS")]
    image_size: usize,
    /// Batches to measure
    #[arg(long, default_value_t = 10, value_name = "N")]
    steps: usize,
    /// Threads that load [default: all processors]
    #[arg(long, value_name = "N", value_parser = crate::flags::threads)]
    threads: Option<usize>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl LoadBench {
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.batch_size > 0, "--batch-size must be at least 1");
        let splits = find_splits(dataset_folder(&self.data)?, &Default::default())?;
        let dataset: Arc<dyn Dataset> = splits.train;
        let preprocess = Preprocess { size: [self.image_size; 2], ..Default::default() };
        preprocess.check()?;
        let mut config = LoaderConfig {
            batch_size: self.batch_size,
            order: Order::Shuffled,
            ..Default::default()
        };
        config.threads = self.threads.unwrap_or(config.threads);
        let transform = AugmentConfig::default().transform(&preprocess)?;
        let loader = Loader::new(dataset, config, transform, preprocess.normalize, Vec::new())?;
        let mut batches = (0..).flat_map(|epoch| loader.epoch(epoch));
        // With batches made ahead, the time between two of them is what counts.
        let times = measure(self.steps, |_| {
            let start = Instant::now();
            batches.next().transpose()?;
            Ok(start.elapsed())
        })?;
        // They come in bursts, so the rate is the mean.
        let seconds = times.iter().sum::<Duration>().as_secs_f64() / times.len() as f64;
        let rate = self.batch_size as f64 / seconds.max(1e-9);
        let Self { data, batch_size, image_size, json, .. } = &self;
        if *json {
            return output::line(serde_json::json!({
                "what": "load", "data": data.display().to_string(), "batch_size": batch_size,
                "image_size": image_size, "images_per_second": rate,
            }));
        }
        let data = data.display();
        output::line(format_args!("load  {data}  batch {batch_size}  {rate:.1} images/s"))
    }
}

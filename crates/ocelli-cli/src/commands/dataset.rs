//! `ocelli dataset`: known datasets, what is in a folder, and the bundled sample.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ocelli::data::solids::{SolidsConfig, generate};
use ocelli::data::{FolderOptions, LoaderConfig, catalogue, find_splits, inspect_parts};
use ocelli::dataset_folder;

use crate::output;
use crate::tables::table;

/// List known datasets, look at a folder of photos, or draw the bundled sample.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli dataset list
  ocelli dataset inspect photos
  ocelli dataset make my-solids --size 96 --train 200")]
pub struct DatasetCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the datasets of the catalogue, or tell about one
    List {
        /// Its name
        name: Option<String>,
    },
    /// Decode every image of a folder: counts, sizes, damaged files, duplicates
    Inspect {
        /// Folder of photos, or `solids`
        path: PathBuf,
        /// Threads that decode [default: all processors]
        #[arg(long, value_name = "N", value_parser = crate::flags::threads)]
        threads: Option<usize>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Draw the solids: pictures of ten bodies, one folder per split and class
    Make {
        /// New folder
        path: PathBuf,
        /// Width and height in pixels
        #[arg(long, value_name = "PIXELS")]
        size: Option<usize>,
        /// Training pictures per class
        #[arg(long, value_name = "N")]
        train: Option<usize>,
        /// Validation pictures per class
        #[arg(long, value_name = "N")]
        val: Option<usize>,
        /// Test pictures per class
        #[arg(long, value_name = "N")]
        test: Option<usize>,
        /// Another seed draws other pictures
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
}

impl DatasetCommand {
    pub fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::List { name: None } => list(),
            Action::List { name: Some(name) } => {
                output::line(serde_json::to_string_pretty(&catalogue::get(&name)?)?)
            }
            Action::Inspect { path, threads, json } => inspect(&path, threads, json),
            Action::Make { path, size, train, val, test, seed } => {
                let base = SolidsConfig::default();
                let config = SolidsConfig {
                    size: size.unwrap_or(base.size),
                    train_per_class: train.unwrap_or(base.train_per_class),
                    val_per_class: val.unwrap_or(base.val_per_class),
                    test_per_class: test.unwrap_or(base.test_per_class),
                    seed: seed.unwrap_or(base.seed),
                    quality: base.quality,
                };
                make(&path, &config)
            }
        }
    }
}

fn list() -> anyhow::Result<()> {
    let row = |entry: catalogue::Entry| {
        let images = entry.images.train + entry.images.validation + entry.images.test;
        vec![entry.name, entry.class_count.to_string(), images.to_string(), entry.title]
    };
    let rows: Vec<Vec<String>> = catalogue::list()?.into_iter().map(row).collect();
    output::line(table(&["name", "classes", "images", "title"], &rows))?;
    output::line("`ocelli dataset list NAME` tells where one is from and how to get it into shape")
}

fn inspect(path: &Path, threads: Option<usize>, json: bool) -> anyhow::Result<()> {
    let splits = find_splits(dataset_folder(path)?, &FolderOptions::default())?;
    let threads =
        threads.filter(|&count| count > 0).unwrap_or_else(|| LoaderConfig::default().threads);
    let inspection = inspect_parts(&splits.parts(), threads);
    if json {
        output::line(serde_json::to_string_pretty(&inspection)?)
    } else {
        output::line(inspection)
    }
}

fn make(path: &Path, config: &SolidsConfig) -> anyhow::Result<()> {
    let bar = indicatif::ProgressBar::new(0);
    let summary = generate(path, config, &|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let pictures: usize = summary.pictures.iter().sum();
    let kilobytes = summary.bytes / 1000;
    output::line(format_args!("{pictures} pictures, {kilobytes} KB, in {}", path.display()))
}

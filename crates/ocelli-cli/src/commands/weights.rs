//! `ocelli weights`: what a checkpoint holds, and fetching published ones.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocelli::models::weights::{Hub, Source, read};

use crate::output;
use crate::tables::table;

/// List the tensors of a checkpoint, or fetch a published one.
#[derive(Args)]
#[command(after_help = "Examples:
  ocelli weights list resnet20.th
  ocelli weights get hf-hub:timm/resnet18.a1_in1k

`get` keeps what it fetches in the Hugging Face cache (HF_HOME), where `--weights hf-hub:...` finds it.")]
pub struct Weights {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the tensors of a .safetensors, .pth or .th file
    List {
        /// The file
        file: PathBuf,
    },
    /// Fetch model.safetensors and config.json from the Hugging Face hub
    Get {
        /// hf-hub:OWNER/NAME, with @REVISION if wanted
        source: String,
    },
}

impl Weights {
    pub fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::List { file } => list(&file),
            Action::Get { source } => get(&source),
        }
    }
}

fn list(file: &std::path::Path) -> anyhow::Result<()> {
    let checkpoint = read(file)?;
    let rows: Vec<Vec<String>> = (checkpoint.tensors.iter())
        .map(|(name, tensor)| {
            vec![name.clone(), format!("{:?}", tensor.dtype), format!("{:?}", tensor.shape)]
        })
        .collect();
    output::line(table(&["tensor", "type", "shape"], &rows))?;
    let values: usize =
        checkpoint.tensors.values().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
    let count = checkpoint.tensors.len();
    output::line(format_args!("{count} tensors, {values} values, {:?}", checkpoint.format))
}

fn get(text: &str) -> anyhow::Result<()> {
    let source = Source::parse(text)?;
    anyhow::ensure!(
        matches!(source, Source::Hub { .. }),
        "{text} is no model of the hub; `get` wants hf-hub:OWNER/NAME"
    );
    let located = source.locate(&Hub::from_env())?;
    output::line(located.weights.display())?;
    located.config.map_or(Ok(()), |config| output::line(config.display()))
}

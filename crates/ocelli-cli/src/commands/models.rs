//! `ocelli models`: the zoo.

use clap::{Args, Subcommand};
use ocelli::models::{ModelConfig, architecture, create, list};
use ocelli::nn::record;

use crate::flags::NetworkFlags;
use crate::output;
use crate::tables::table;

/// List the architectures, or show one.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  ocelli models list 'resnet*'\n  ocelli models resnet50 --summary"
)]
pub struct Models {
    #[command(subcommand)]
    list: Option<List>,
    /// Architecture to show; none lists all
    name: Option<String>,
    /// Print each layer with its output shape, parameters and multiply-adds
    #[arg(long)]
    summary: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Height and width of the input [default: the architecture's]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<usize>,
    /// Number of classes
    #[arg(long, default_value_t = 1000)]
    classes: usize,
    /// Argument of the architecture under timm's name: pad_type=same
    #[arg(long = "model-arg", value_name = "KEY=VALUE")]
    model_args: Vec<String>,
}

#[derive(Subcommand)]
enum List {
    /// List the architectures whose names fit a pattern
    List {
        /// `*` stands for any characters, `?` for one
        #[arg(default_value = "*")]
        pattern: String,
    },
}

impl Models {
    pub fn run(self) -> anyhow::Result<()> {
        match (&self.list, &self.name) {
            (Some(List::List { pattern }), _) => show_list(pattern),
            (None, Some(name)) => self.show(name),
            (None, None) => show_list("*"),
        }
    }

    fn show(&self, name: &str) -> anyhow::Result<()> {
        let known = architecture(name)?;
        let size = self.image_size.unwrap_or(known.size);
        let mut network = ocelli::recipe::NetworkConfig::default();
        NetworkFlags::parse_args(&self.model_args)?.apply(&mut network)?;
        let model =
            create(name, &ModelConfig { classes: self.classes, seed: 0, args: network.args })?;
        let summary = record(&model, name, [size; 2])?.summary();
        if self.json {
            output::line(serde_json::to_string_pretty(&summary)?)
        } else if self.summary {
            output::line(summary)
        } else {
            let last = summary.to_string();
            output::line(last.lines().last().unwrap_or_default())?;
            output::line(format_args!(
                "paper: {}; classifier: {}; stages: {}",
                known.paper,
                known.head,
                stages(&model)
            ))
        }
    }
}

fn stages(model: &ocelli::models::Model) -> usize {
    use ocelli::nn::Classifier;
    model.params().stages()
}

fn show_list(pattern: &str) -> anyhow::Result<()> {
    let names = list(pattern);
    anyhow::ensure!(
        !names.is_empty(),
        "no architecture fits `{pattern}`; `ocelli models list` shows all"
    );
    let rows = names.iter().map(|name| {
        let known = architecture(name)?;
        let source = if known.timm { "timm" } else { "published checkpoint" };
        Ok(vec![
            name.to_string(),
            known.size.to_string(),
            source.to_string(),
            known.paper.to_string(),
        ])
    });
    let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    output::line(table(&["name", "size", "weight names", "paper"], &rows))
}

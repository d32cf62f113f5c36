//! `ocelli bench model --peer`: the same work here and elsewhere, in turn.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;

use crate::output;
use crate::tables::table;

/// What both sides do.
pub struct Work {
    pub model: String,
    pub batch_size: usize,
    pub image_size: Option<usize>,
    pub steps: usize,
    pub threads: usize,
    /// In mixed precision.
    pub bf16: bool,
}

/// Who else can do it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Training and answers
    Pytorch,
    /// Answers
    Onnxruntime,
    /// Answers
    Openvino,
}

impl Name {
    fn script(self) -> &'static str {
        match self {
            Self::Pytorch => "train_speed.py",
            Self::Onnxruntime | Self::Openvino => "infer_speed.py",
        }
    }

    /// As people write it.
    fn title(self) -> &'static str {
        match self {
            Self::Pytorch => "PyTorch",
            Self::Onnxruntime => "ONNX Runtime",
            Self::Openvino => "OpenVINO",
        }
    }
}

/// Where the other side is.
pub struct Peer {
    pub name: Name,
    pub python: PathBuf,
    /// The folder of the scripts, `benches/peers` of ocelli's sources.
    pub scripts: PathBuf,
    pub rounds: usize,
}

/// What is compared: which part of our bench, what that calls it, what the peer calls it, and the heading.
const TRAINING: [&str; 4] = ["train", "images_per_second", "train_images_per_s", "training"];
const MEMORY: [&str; 4] = ["train", "memory_mb", "train_mb", "its MiB"];
const ANSWERS: [&str; 4] = ["infer", "images_per_second", "infer_images_per_s", "answers"];

/// Runs both sides in turn, and prints each round with its ratios and the medians of these.
pub fn run(work: &Work, peer: &Peer) -> anyhow::Result<()> {
    let script = peer.scripts.join(peer.name.script());
    anyhow::ensure!(
        script.is_file(),
        "{} is not there: run this in the folder of ocelli's sources, or name its benches/peers with --peers",
        script.display()
    );
    let compared: &[[&str; 4]] = match (peer.name, work.bf16) {
        (Name::Pytorch, _) => &[TRAINING, MEMORY, ANSWERS],
        (Name::Onnxruntime, true) => {
            anyhow::bail!("ONNX Runtime has no bf16 on a CPU: compare with openvino or pytorch")
        }
        _ => &[ANSWERS],
    };
    let (mut rows, mut ratios) = (Vec::new(), vec![Vec::new(); compared.len()]);
    for round in 1..=peer.rounds {
        let mut parts: Vec<&str> = compared.iter().map(|[part, ..]| *part).collect();
        parts.dedup();
        let ours = parts.into_iter().map(|part| Ok((part, own(work, part)?)));
        let ours = ours.collect::<anyhow::Result<HashMap<_, _>>>()?;
        let said = answer(peer.command(work, &script), work)?;
        let mut row = vec![round.to_string()];
        for ([part, own, key, _], ratios) in compared.iter().zip(&mut ratios) {
            let (ours, theirs) = (number(&ours[part], own)?, number(&said, key)?);
            ratios.push(ours / theirs);
            let places = if ours.max(theirs) < 1000.0 { 1 } else { 0 };
            row.push(format!("{ours:.places$} / {theirs:.places$}"));
            row.push(format!("{:.2}", ours / theirs));
        }
        rows.push(row);
    }
    let medians =
        ratios.into_iter().map(|ratios| [String::new(), format!("{:.2}", median(ratios))]);
    rows.push(std::iter::once("median".to_string()).chain(medians.flatten()).collect());
    let headings = compared.iter().flat_map(|[.., heading]| [*heading, "ratio"]);
    let headings: Vec<&str> = std::iter::once("round").chain(headings).collect();
    let Work { model, batch_size, threads, .. } = work;
    let title = peer.name.title();
    output::line(format_args!(
        "{model}, batch {batch_size}, {threads} threads: images/s here / {title}, and the ratio"
    ))?;
    output::line(table(&headings, &rows))
}

/// What this program says of a part of the work.
fn own(work: &Work, what: &str) -> anyhow::Result<Value> {
    let mut command = Command::new(std::env::current_exe().context("where this program is")?);
    command.args(["bench", "model", &work.model, "--json", "--only", what]);
    if work.bf16 {
        command.arg("--bf16");
    }
    answer(command, work)
}

impl Peer {
    fn command(&self, work: &Work, script: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(script).args(["--warmup", "2", "--model", &work.model]);
        match self.name {
            Name::Pytorch if work.bf16 => _ = command.args(["--precision", "bf16"]),
            Name::Pytorch => {}
            Name::Onnxruntime => _ = command.args(["--runtime", "onnxruntime"]),
            Name::Openvino if work.bf16 => _ = command.args(["--runtime", "openvino", "--bf16"]),
            Name::Openvino => _ = command.args(["--runtime", "openvino"]),
        }
        // glibc's malloc gives large blocks back at once; PyTorch is at its best where it keeps them.
        for variable in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"] {
            if std::env::var_os(variable).is_none() {
                command.env(variable, "8589934592");
            }
        }
        command
    }
}

/// Adds the work to a command, runs it and reads the JSON of its last line.
fn answer(mut command: Command, work: &Work) -> anyhow::Result<Value> {
    let numbers = [
        ("--batch-size", Some(work.batch_size)),
        ("--image-size", work.image_size),
        ("--steps", Some(work.steps)),
        ("--threads", Some(work.threads)),
    ];
    for (flag, number) in numbers {
        if let Some(number) = number {
            command.args([flag, &number.to_string()]);
        }
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().with_context(|| format!("{program} cannot be run"))?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    anyhow::ensure!(ran.status.success(), "{program} failed: {}", errors.trim());
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("{program} printed no JSON but `{last}`"))
}

fn number(said: &Value, key: &str) -> anyhow::Result<f64> {
    said[key].as_f64().with_context(|| format!("`{key}` is missing in {said}"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}

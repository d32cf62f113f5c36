//! `ocelli bench --peer`: the same work here and elsewhere, in turn.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
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
}

/// Where the other side is.
pub struct Peer {
    pub python: PathBuf,
    /// The folder of the scripts, `benches/peers` of ocelli's sources.
    pub scripts: PathBuf,
    pub rounds: usize,
}

/// Images a second of one round.
#[derive(Clone, Copy)]
struct Rates {
    train: f64,
    infer: f64,
}

/// Runs both sides in turn, and prints each round with its ratios and the medians of these.
pub fn run(work: &Work, peer: &Peer) -> anyhow::Result<()> {
    let script = peer.scripts.join("train_speed.py");
    anyhow::ensure!(
        script.is_file(),
        "{} is not there: run this in the folder of ocelli's sources, or name its benches/peers with --peers",
        script.display()
    );
    let (mut rows, mut ratios) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 1..=peer.rounds {
        let ours = own(work)?;
        let theirs = python(work, peer, &script)?;
        let ratio = [ours.train / theirs.train, ours.infer / theirs.infer];
        for (all, ratio) in ratios.iter_mut().zip(ratio) {
            all.push(ratio);
        }
        rows.push(vec![
            round.to_string(),
            format!("{:.1} / {:.1}", ours.train, theirs.train),
            format!("{:.2}", ratio[0]),
            format!("{:.1} / {:.1}", ours.infer, theirs.infer),
            format!("{:.2}", ratio[1]),
        ]);
    }
    let [train, infer] = ratios.map(median);
    let cells = ["median".to_string(), String::new(), format!("{train:.2}"), String::new()];
    rows.push(cells.into_iter().chain([format!("{infer:.2}")]).collect());
    let Work { model, batch_size, threads, .. } = work;
    output::line(format_args!(
        "{model}, batch {batch_size}, {threads} threads: images/s here / PyTorch, and the ratio"
    ))?;
    output::line(table(&["round", "training", "ratio", "inference", "ratio"], &rows))
}

fn own(work: &Work) -> anyhow::Result<Rates> {
    let rate = |what: &str| {
        let mut command = Command::new(std::env::current_exe().context("where this program is")?);
        command.args(["bench", "--json", "--what", what]);
        number(&answer(command, work)?, "images_per_second")
    };
    Ok(Rates { train: rate("train")?, infer: rate("infer")? })
}

fn python(work: &Work, peer: &Peer, script: &Path) -> anyhow::Result<Rates> {
    let command = || {
        let mut command = Command::new(&peer.python);
        command.arg(script).args(["--warmup", "2"]);
        // glibc's malloc gives large blocks back at once; PyTorch is at its best where it keeps them.
        for variable in ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"] {
            if std::env::var_os(variable).is_none() {
                command.env(variable, "8589934592");
            }
        }
        command
    };
    let said = answer(command(), work)?;
    Ok(Rates {
        train: number(&said, "train_images_per_s")?,
        infer: number(&said, "infer_images_per_s")?,
    })
}

/// Adds the work to a command, runs it and reads the JSON of its last line.
fn answer(mut command: Command, work: &Work) -> anyhow::Result<Value> {
    let numbers = [
        ("--batch-size", Some(work.batch_size)),
        ("--image-size", work.image_size),
        ("--steps", Some(work.steps)),
        ("--threads", Some(work.threads)),
    ];
    command.args(["--model", &work.model]);
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

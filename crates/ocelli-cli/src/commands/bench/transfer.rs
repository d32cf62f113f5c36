//! What pretraining is worth on the bundled sample: the backbone, the same network from scratch, and a linear
//! classifier on pixels.

use std::path::Path;
use std::sync::Arc;

use ocelli::core::{Preprocess, Transform};
use ocelli::data::{Loader, LoaderConfig, Order, Splits};
use ocelli::nn::layers::Linear;
use ocelli::nn::{Block, Classifier, Feature, ParamStore, Pass, Precision};
use ocelli::train::{Silent, TrainConfig, Trainer, evaluate};
use ocelli::{Head, Recipe, finetune, open_dataset};

use crate::output;
use crate::tables::table;

const SEEDS: [u64; 3] = [0, 1, 2];
/// The rates that training from scratch may choose from.
const RATES: [f64; 3] = [0.05, 0.1, 0.2];

/// Prints the mean test accuracy over three seeds of each way to learn the sample.
pub fn run() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("ocelli-transfer-{}", std::process::id()));
    let result = compare(&folder);
    // Nothing in it is needed any more, whatever happened.
    let _ = std::fs::remove_dir_all(&folder);
    output::line(table(&["what", "test top-1", "seeds"], &result?))
}

fn compare(folder: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let pretrained = Recipe::bundled()?;
    let mut rows = vec![row("linear classifier on pixels", &linear(&pretrained)?)];
    let mut scratch = pretrained.clone();
    let backbone = ocelli::build(&pretrained.model, &pretrained.preprocess, Head::Pretrained, 0)?;
    scratch.model.name = Some(backbone.model.architecture().name.to_string());
    scratch.model.weights = None;
    for rate in RATES {
        scratch.train.learning_rate = rate;
        rows.push(row(
            &format!("from scratch, rate {rate}"),
            &seeds(&scratch, &folder.join(rate.to_string()))?,
        ));
    }
    rows.push(row(
        "bundled backbone, fine-tuned",
        &seeds(&pretrained, &folder.join("pretrained"))?,
    ));
    Ok(rows)
}

fn row(what: &str, top1: &[f64]) -> Vec<String> {
    let mean = top1.iter().sum::<f64>() / top1.len() as f64;
    let each: Vec<String> = top1.iter().map(|share| format!("{:.1}", 100.0 * share)).collect();
    vec![what.to_string(), format!("{:.1} %", 100.0 * mean), each.join(" ")]
}

fn seeds(recipe: &Recipe, folder: &Path) -> anyhow::Result<Vec<f64>> {
    let run = |seed: u64| {
        let out = Some(folder.join(seed.to_string()));
        let recipe = Recipe { seed, out, ..recipe.clone() };
        let top1 = finetune(&recipe, &mut Silent)?.report.evaluation.summary.top1;
        let rate = folder.file_name().unwrap_or_default().display();
        output::warn(format_args!("{rate} seed {seed}: {:.1} %", 100.0 * top1));
        Ok(top1)
    };
    SEEDS.into_iter().map(run).collect()
}

/// Logits from the pixels themselves.
struct Pixels {
    params: ParamStore,
    linear: Linear,
    classes: usize,
}

impl Classifier for Pixels {
    fn params(&self) -> &ParamStore {
        &self.params
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn features(&self, images: &Feature, _: &mut Pass) -> ocelli::nn::Result<Feature> {
        Feature::new(&images.tensor()?.flatten_from(1)?)
    }

    fn head(&self, features: &Feature, pass: &mut Pass) -> ocelli::nn::Result<Feature> {
        self.linear.forward(features, pass)
    }
}

/// A linear classifier on the network's input, at the best of three rates, without random changes: they would
/// only hide from it what little it can see.
fn linear(recipe: &Recipe) -> anyhow::Result<Vec<f64>> {
    let splits = open_dataset(&recipe.data.path, recipe.data.split, 0)?;
    let size = recipe.preprocess.image_size.unwrap_or(32);
    let preprocess = Preprocess { size: [size; 2], crop_pct: 1.0, ..Preprocess::default() };
    let mut best: Vec<f64> = Vec::new();
    for rate in [0.001, 0.003, 0.01] {
        let top1 = SEEDS
            .iter()
            .map(|&seed| one_linear(&splits, &preprocess, rate, seed))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if top1.iter().sum::<f64>() > best.iter().sum::<f64>() {
            best = top1;
        }
    }
    Ok(best)
}

fn one_linear(
    splits: &Splits,
    preprocess: &Preprocess,
    rate: f64,
    seed: u64,
) -> anyhow::Result<f64> {
    let classes = splits.classes().len();
    let params = ParamStore::new(seed);
    let linear = Linear::new(
        &params.root().pp("linear"),
        preprocess.size[0] * preprocess.size[1] * 3,
        classes,
    )?;
    let network = Pixels { params, linear, classes };
    let loader = |dataset: &Arc<dyn ocelli::core::Dataset>, order| {
        let config = LoaderConfig { order, seed, ..LoaderConfig::default() };
        let transform: Arc<dyn Transform> = Arc::new(preprocess.clone());
        Loader::new(dataset.clone(), config, transform, preprocess.normalize, Vec::new())
    };
    let config = TrainConfig {
        epochs: 20,
        learning_rate: rate,
        label_smoothing: 0.0,
        seed,
        ..TrainConfig::default()
    };
    Trainer::new(&network, config)?.fit(
        &loader(&splits.train, Order::Shuffled)?,
        None,
        &mut Silent,
    )?;
    let test = splits.test.as_ref().unwrap_or(&splits.train);
    let test = loader(test, Order::Sequential)?;
    Ok(evaluate(&network, &test, Precision::Fast, &mut Silent)?.metrics.summary().top1)
}

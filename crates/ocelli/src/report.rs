//! From what a run found to its report.

use ocelli_core::Dataset;
use ocelli_data::{Problem, Splits};
use ocelli_models::Model;
use ocelli_nn::{Classifier, Param};
use ocelli_train::report::{
    Data, Environment, Judgement, Mistake, Network, Report, Unreadable, thumbnail,
};
use ocelli_train::{Answer, Evaluation, Outcome};

use crate::Recipe;

/// Pictures on the page.
const MISTAKES: usize = 24;

/// All that a report is made of.
pub(crate) struct Run<'a> {
    pub recipe: &'a Recipe,
    pub text: &'a str,
    pub splits: &'a Splits,
    pub model: &'a Model,
    pub weights: &'a str,
    pub split: &'static str,
    pub dataset: &'a dyn Dataset,
    pub outcome: &'a Outcome,
    pub evaluation: &'a Evaluation,
    pub problems: &'a [Problem],
    pub threads: usize,
    pub seconds: f64,
}

/// The report of a run.
pub(crate) fn report(run: &Run<'_>) -> Report {
    let data = &run.recipe.data.path;
    let name = data
        .file_name()
        .map_or_else(|| data.display().to_string(), |name| name.to_string_lossy().into_owned());
    let network = run.model.architecture().name;
    let metrics = &run.evaluation.metrics;
    let trainable: usize = run.model.params().trainable().iter().map(Param::len).sum();
    let parts = run.splits.parts();
    Report {
        title: format!("{network} on {name}"),
        network: Network {
            name: network.to_string(),
            parameters: run.model.params().parameter_count() as u64,
            trainable: trainable as u64,
            weights: run.weights.to_string(),
        },
        data: Data {
            name,
            classes: run.splits.classes().clone(),
            splits: parts
                .iter()
                .map(|(name, part)| (name.to_string(), part.len() as u64))
                .collect(),
        },
        epochs: run.outcome.history.clone(),
        evaluation: Judgement {
            split: run.split.to_string(),
            summary: metrics.summary(),
            confusion: metrics.confusion().clone(),
        },
        mistakes: mistakes(run.dataset, run.evaluation),
        problems: (run.problems.iter())
            .map(|problem| Unreadable {
                name: problem.sample.clone(),
                reason: problem.message.clone(),
            })
            .collect(),
        recipe: run.text.to_string(),
        environment: Environment {
            versions: vec![("ocelli".to_string(), env!("CARGO_PKG_VERSION").to_string())],
            seed: run.recipe.seed,
            threads: run.threads,
            seconds: run.seconds,
        },
    }
}

/// The wrong answers that the network was surest of, with their pictures.
fn mistakes(dataset: &dyn Dataset, evaluation: &Evaluation) -> Vec<Mistake> {
    let guess = |answer: &Answer| answer.predicted.map(|(class, share)| (*answer, class, share));
    let mut wrong: Vec<_> = evaluation.answers.iter().filter_map(guess).collect();
    wrong.retain(|(answer, class, _)| *class != answer.truth);
    wrong.sort_by(|(_, _, a), (_, _, b)| b.total_cmp(a));
    let mistake = |&(answer, predicted, probability): &(Answer, usize, f32)| {
        let image = dataset.image(answer.index).ok()?; // it could be read a moment ago
        Some(Mistake {
            name: dataset.describe(answer.index),
            truth: answer.truth,
            predicted,
            probability,
            thumbnail: thumbnail(&image),
        })
    };
    wrong.iter().take(MISTAKES).filter_map(mistake).collect()
}

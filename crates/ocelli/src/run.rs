//! Fine-tuning from a recipe to a report.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ocelli_core::files::{WriteError, create_folder, write_whole};
use ocelli_core::{BatchSource, BatchTransform, Dataset, Preprocess, Transform};
use ocelli_data::{BadFiles, Loader, LoaderConfig, Order, Problem, Splits};
use ocelli_models::Model;
use ocelli_nn::{Classifier, Param};
use ocelli_train::report::Report;
use ocelli_train::{Checkpoint, Observer, Outcome, Scope, Trainer, evaluate};

use crate::network::{Built, Head, build};
use crate::recipe::{Keep, PreprocessConfig, Recipe};
use crate::report::{Run, report};
use crate::{Error, open_dataset};

/// The recipe's file in a run folder.
pub const RECIPE: &str = "recipe.toml";
/// The report's file in a run folder.
pub const REPORT: &str = "report.html";
/// The model folder in a run folder.
pub const MODEL: &str = "model";

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The run folder: recipe, records, checkpoints, `model/` and `report.html`.
    pub folder: PathBuf,
    /// What the page says.
    pub report: Report,
}

/// Whether a run begins or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Fresh,
    Resumed,
}

/// Trains what a recipe says, from a folder of photos to a model folder and a report.
///
/// # Errors
/// Where the recipe, the images or the weights make no sense, or a file cannot be written; and
/// [`Error::Stopped`] where the observer stopped it: [`resume`] then goes on.
pub fn finetune(recipe: &Recipe, observer: &mut dyn Observer) -> Result<Finished, Error> {
    let mut recipe = recipe.clone();
    let folder = recipe.out.take();
    if let Some(folder) = folder.as_ref().filter(|folder| folder.join(RECIPE).exists()) {
        let folder = folder.display();
        return Err(Error::Config(format!(
            "{folder} holds a run already; `--resume {folder}` continues it, another --out keeps both"
        )));
    }
    run(recipe, folder, Start::Fresh, observer)
}

/// Continues the run in `folder` after it was stopped. It ends at the same weights as if it never had been.
///
/// # Errors
/// As [`finetune`]; also where there is no run in the folder.
pub fn resume(folder: &Path, observer: &mut dyn Observer) -> Result<Finished, Error> {
    if !folder.join(RECIPE).exists() {
        let folder = folder.display();
        return Err(Error::Config(format!("{folder} is no run folder: it holds no {RECIPE}")));
    }
    let recipe = Recipe::open(&folder.join(RECIPE))?;
    let start = if Trainer::last(folder).exists() { Start::Resumed } else { Start::Fresh };
    run(recipe, Some(folder.to_path_buf()), start, observer)
}

/// `folder` is the run folder; none makes a new one.
fn run(
    mut recipe: Recipe,
    folder: Option<PathBuf>,
    start: Start,
    observer: &mut dyn Observer,
) -> Result<Finished, Error> {
    let begun = Instant::now();
    recipe.train.seed = recipe.seed;
    recipe.train.check()?;
    let splits = open_dataset(&recipe.data.path, recipe.data.split, recipe.seed)?;
    splits.notes.iter().for_each(|note| observer.note(note));
    let classes = splits.classes().clone();
    let head = Head::New(classes.len());
    let Built { model, preprocess, notes, .. } =
        build(&recipe.model, &recipe.preprocess, head, recipe.seed)?;
    notes.iter().for_each(|note| observer.note(note));
    resolve(&mut recipe, &model, &preprocess);
    let text = recipe.to_toml()?;
    let loaders = Loaders::new(&recipe, &splits, &preprocess)?;
    let trainer = Trainer::new(&model, recipe.train.clone())?;
    // Nothing is written before every setting has been found to make sense.
    let folder = &match folder {
        Some(folder) => create_folder(&folder).map(|()| folder)?,
        None => new_folder(&recipe)?,
    };
    write_whole(&folder.join(RECIPE), |file| file.write_all(text.as_bytes()))?;
    if recipe.train.scope == Scope::Head {
        let learns: usize = model.params().trainable().iter().map(Param::len).sum();
        observer.note(&format!("the backbone is frozen; {learns} parameters learn"));
    }
    let outcome = train(trainer, folder, start, &loaders, observer)?;
    if outcome.stopped {
        let epoch = outcome.history.len() as u64 + 1;
        return Err(Error::Stopped { folder: folder.clone(), epoch, epochs: recipe.train.epochs });
    }
    let weights = keep(&recipe, &model, folder, &outcome)?;
    let (split, loader) = loaders.judge();
    let evaluation = evaluate(&model, loader, recipe.train.precision, observer)?;
    let problems = loaders.problems();
    let run = Run {
        recipe: &recipe,
        text: &text,
        splits: &splits,
        model: &model,
        weights: &weights,
        split,
        dataset: loader.dataset().as_ref(),
        outcome: &outcome,
        evaluation: &evaluation,
        problems: &problems,
        threads: threads(&recipe),
        seconds: begun.elapsed().as_secs_f64(),
    };
    let report = report(&run);
    ocelli_export::save(&folder.join(MODEL), &model, &classes, &preprocess, &weights)?;
    write_whole(&folder.join(REPORT), |file| file.write_all(report.html().as_bytes()))?;
    Ok(Finished { folder: folder.clone(), report })
}

fn train(
    trainer: Trainer<'_>,
    folder: &Path,
    start: Start,
    loaders: &Loaders,
    observer: &mut dyn Observer,
) -> Result<Outcome, Error> {
    let mut trainer = trainer.in_folder(folder)?;
    if start == Start::Resumed {
        trainer = trainer.resume(&Trainer::last(folder))?;
    }
    let val = loaders.val.as_ref().map(|val| val as &dyn BatchSource);
    Ok(trainer.fit(&loaders.train, val, observer)?)
}

/// Writes out what the weights and the architecture decided, so that the recipe says it all.
fn resolve(recipe: &mut Recipe, model: &Model, preprocess: &Preprocess) {
    recipe.preprocess = PreprocessConfig::resolved(preprocess);
    recipe.model.name = Some(model.architecture().name.to_string());
    recipe.model.args = model.config().args;
    // Relative paths mean the folder the run was started in; the recipe is read from another.
    if let Ok(path) = recipe.data.path.canonicalize() {
        recipe.data.path = path;
    }
    if let Some(path) =
        recipe.model.weights.as_ref().and_then(|weights| Path::new(weights).canonicalize().ok())
    {
        recipe.model.weights = path.to_str().map(str::to_string).or(recipe.model.weights.take());
    }
}

/// Puts the weights to keep into the network and says which they are.
fn keep(recipe: &Recipe, model: &Model, folder: &Path, outcome: &Outcome) -> Result<String, Error> {
    let last = format!("weights of the last epoch ({})", recipe.train.epochs);
    match (recipe.keep, outcome.best) {
        (Keep::Last, _) | (_, None) => Ok(last),
        (Keep::Best, Some(best)) => {
            let path = Trainer::best(folder);
            Checkpoint::open(&path)?.restore(model, &path)?;
            let (epoch, top1) = (best.epoch, 100.0 * best.top1);
            Ok(format!("weights of epoch {epoch}, the best on the validation images ({top1:.1} %)"))
        }
    }
}

/// The loaders of a run.
struct Loaders {
    train: Loader,
    val: Option<Loader>,
    test: Option<Loader>,
}

impl Loaders {
    fn new(recipe: &Recipe, splits: &Splits, preprocess: &Preprocess) -> Result<Self, Error> {
        let data = &recipe.data;
        let config = |order, drop_last| LoaderConfig {
            batch_size: data.batch_size,
            threads: threads(recipe),
            order,
            drop_last,
            seed: recipe.seed,
            bad_files: BadFiles::Skip { max_fraction: data.max_bad },
            ..LoaderConfig::default()
        };
        let order = if data.balanced { Order::Balanced } else { Order::Shuffled };
        let drop_last = splits.train.len() >= data.batch_size;
        let classes = splits.classes().len();
        let train = Loader::new(
            splits.train.clone(),
            config(order, drop_last),
            recipe.augment.transform(preprocess)?,
            preprocess.normalize,
            recipe.augment.batch_transforms(classes)?,
        )?;
        let eval = |dataset: &Option<Arc<dyn Dataset>>| {
            dataset
                .clone()
                .map(|dataset| eval_loader(dataset, preprocess, config(Order::Sequential, false)))
                .transpose()
        };
        Ok(Self { train, val: eval(&splits.val)?, test: eval(&splits.test)? })
    }

    /// The images that the model is judged by at the end.
    fn judge(&self) -> (&'static str, &Loader) {
        match (&self.test, &self.val) {
            (Some(test), _) => ("test", test),
            (None, Some(val)) => ("validation", val),
            (None, None) => ("train", &self.train),
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let loaders = [Some(&self.train), self.val.as_ref(), self.test.as_ref()];
        loaders.into_iter().flatten().flat_map(Loader::problems).collect()
    }
}

/// The threads that load.
fn threads(recipe: &Recipe) -> usize {
    if recipe.threads == 0 { LoaderConfig::default().threads } else { recipe.threads }
}

/// A loader that shows a network each image once, in order.
pub(crate) fn eval_loader(
    dataset: Arc<dyn Dataset>,
    preprocess: &Preprocess,
    config: LoaderConfig,
) -> Result<Loader, Error> {
    let transform: Arc<dyn Transform> = Arc::new(preprocess.clone());
    let none: Vec<Arc<dyn BatchTransform>> = Vec::new();
    Ok(Loader::new(dataset, config, transform, preprocess.normalize, none)?)
}

/// `runs/DATA-NUMBER`, with the first number that is free. Two runs that start together get one each.
fn new_folder(recipe: &Recipe) -> Result<PathBuf, WriteError> {
    let data = recipe.data.path.file_name().map_or("run".into(), |name| name.to_string_lossy());
    let runs = Path::new("runs");
    create_folder(runs)?;
    let mut number = 1;
    loop {
        let path = runs.join(format!("{data}-{number}"));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(WriteError { path, source }),
        }
    }
}

//! Judging a model, or published weights, on a folder of images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocelli_core::files::{WriteError, write_whole};
use ocelli_core::{ClassNames, Dataset, Image, SampleError};
use ocelli_data::{
    BadFiles, DataError, EmptyClasses, FolderOptions, ImageFolder, LoaderConfig, Order, Problem,
    SplitFolders, find_splits,
};
use ocelli_nn::{Classifier, Precision};
use ocelli_train::report::{Judgement, class_table};
use ocelli_train::{Evaluation, Observer, evaluate};

use crate::network::{Head, build};
use crate::recipe::{NetworkConfig, PreprocessConfig};
use crate::run::eval_loader;
use crate::{Error, dataset_folder};

/// Which images of a dataset are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// The training images, or all where there are no split folders.
    Train,
    /// The validation images.
    Validation,
    /// The test images.
    #[default]
    Test,
}

/// What to judge, and on what.
#[derive(Clone, Debug)]
pub struct EvaluateConfig {
    /// A model folder, or a weight file together with the network's name.
    pub network: NetworkConfig,
    /// What differs from the preprocessing that comes with the model.
    pub preprocess: PreprocessConfig,
    /// A folder of images.
    pub data: PathBuf,
    /// Which of them; all where the folder has no split folders.
    pub split: Split,
    /// Images in a batch.
    pub batch_size: usize,
    /// Threads that load; 0 takes all processors.
    pub threads: usize,
    /// Share of unreadable files above which it fails.
    pub max_bad: f64,
    /// How the arithmetic is done.
    pub precision: Precision,
}

/// What an evaluation found.
pub struct Evaluated {
    /// Counts and answers.
    pub evaluation: Evaluation,
    /// The names of the classes.
    pub classes: ClassNames,
    /// Which images were judged.
    pub split: &'static str,
    /// The images, to name those answered wrongly.
    pub dataset: Arc<dyn Dataset>,
    /// Files that could not be read.
    pub problems: Vec<Problem>,
}

impl Evaluated {
    /// The counts as aligned text, class by class.
    pub fn table(&self) -> String {
        class_table(&self.classes, &self.judgement())
    }

    fn judgement(&self) -> Judgement {
        Judgement {
            split: self.split.to_string(),
            summary: self.evaluation.metrics.summary(),
            confusion: self.evaluation.metrics.confusion().clone(),
        }
    }

    /// Writes every answer as CSV: image, truth, prediction, probability; the last two are empty where the network
    /// gave no number.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write_answers(&self, path: &Path) -> Result<(), WriteError> {
        write_whole(path, |file| {
            writeln!(file, "image,truth,predicted,probability")?;
            self.evaluation.answers.iter().try_for_each(|answer| {
                let name = |class| quoted(self.classes.name(class));
                let image = quoted(&self.dataset.describe(answer.index));
                write!(file, "{image},{},", name(answer.truth))?;
                match answer.predicted {
                    Some((class, probability)) => writeln!(file, "{},{probability}", name(class)),
                    None => writeln!(file, ","),
                }
            })
        })
    }
}

/// A CSV field: in quotes where it holds a comma, a quote or a line break.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

/// Judges a model on a folder of images.
///
/// The images' class folders are matched with the model's classes by name. Weights that come without names
/// take them in order where there are as many of them, and else by number: a folder `0007` holds images of
/// class 7.
///
/// # Errors
/// Where the model or the images cannot be read, or the images' classes are not the model's.
pub fn evaluate_model(
    config: &EvaluateConfig,
    observer: &mut dyn Observer,
) -> Result<Evaluated, Error> {
    let built = build(&config.network, &config.preprocess, Head::Pretrained, 0)?;
    built.notes.iter().for_each(|note| observer.note(note));
    let (split, dataset) = open(config)?;
    let dataset = align(dataset, built.labels, built.model.classes())?;
    let loader_config = LoaderConfig {
        batch_size: config.batch_size,
        threads: if config.threads == 0 { LoaderConfig::default().threads } else { config.threads },
        order: Order::Sequential,
        bad_files: BadFiles::Skip { max_fraction: config.max_bad },
        ..LoaderConfig::default()
    };
    let loader = eval_loader(dataset.clone(), &built.preprocess, loader_config)?;
    let evaluation = evaluate(&built.model, &loader, config.precision, observer)?;
    let problems = loader.problems();
    Ok(Evaluated { evaluation, split, classes: dataset.classes().clone(), dataset, problems })
}

/// The images of the split, or all where the folder has no splits.
fn open(config: &EvaluateConfig) -> Result<(&'static str, Arc<dyn Dataset>), Error> {
    let root = dataset_folder(&config.data)?;
    let options = FolderOptions { empty_classes: EmptyClasses::Allow, ..Default::default() };
    let splits = match find_splits(&root, &options) {
        Err(DataError::NoTrain { .. }) => return open_alone(&root, config.split, &options),
        splits => splits?,
    };
    let has_splits = splits.val.is_some() || splits.test.is_some();
    let (name, part) = match config.split {
        _ if !has_splits => return Ok(("all", splits.train)),
        Split::Train => return Ok(("train", splits.train)),
        Split::Validation => ("validation", splits.val),
        Split::Test => ("test", splits.test),
    };
    let part = part.ok_or_else(|| no_images(&root, name))?;
    Ok((name, part))
}

/// The images of a split folder that has no training images beside it.
fn open_alone(
    root: &Path,
    split: Split,
    options: &FolderOptions,
) -> Result<(&'static str, Arc<dyn Dataset>), Error> {
    let folders = SplitFolders::find(root)?;
    let (name, folder) = match split {
        Split::Train => ("train", folders.train),
        Split::Validation => ("validation", folders.val),
        Split::Test => ("test", folders.test),
    };
    let folder = folder.ok_or_else(|| no_images(root, name))?;
    Ok((name, Arc::new(ImageFolder::open_with(folder, options)?)))
}

fn no_images(root: &Path, name: &str) -> Error {
    Error::Config(format!("{} has no {name} images; choose another --split", root.display()))
}

/// The images with the model's classes for their own.
fn align(
    dataset: Arc<dyn Dataset>,
    labels: Option<ClassNames>,
    classes: usize,
) -> Result<Arc<dyn Dataset>, Error> {
    let found = dataset.classes().as_slice();
    let numbers: Option<Vec<usize>> =
        found.iter().map(|name| name.parse().ok().filter(|&class| class < classes)).collect();
    let (labels, places) = match (labels, numbers) {
        (Some(labels), _) => {
            let place = |name: &String| {
                labels.index(name).ok_or_else(|| {
                    let known = labels.as_slice()[..labels.len().min(8)].join(", ");
                    Error::Config(format!(
                        "the images have the class `{name}`, the model has not: it knows {known} .."
                    ))
                })
            };
            let places = found.iter().map(place).collect::<Result<Vec<_>, _>>()?;
            (labels, places)
        }
        (None, _) if found.len() == classes => return Ok(dataset),
        (None, Some(numbers)) => (ClassNames::numbered(classes), numbers),
        (None, None) => {
            return Err(Error::Config(format!(
                "the images have {} classes, the model {classes} without names; name the folders by class \
                 number, or use a model folder whose config.json has label_names",
                found.len()
            )));
        }
    };
    Ok(Arc::new(Aligned { dataset, labels, places }))
}

/// A dataset whose classes are counted as a model counts them.
struct Aligned {
    dataset: Arc<dyn Dataset>,
    labels: ClassNames,
    places: Vec<usize>,
}

impl Dataset for Aligned {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn classes(&self) -> &ClassNames {
        &self.labels
    }

    fn target(&self, index: usize) -> usize {
        self.places[self.dataset.target(index)]
    }

    fn image(&self, index: usize) -> Result<Image, SampleError> {
        self.dataset.image(index)
    }

    fn describe(&self, index: usize) -> String {
        self.dataset.describe(index)
    }
}

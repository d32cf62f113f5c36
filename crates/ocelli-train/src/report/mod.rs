//! What a run leaves for a reader: one page, and one table for the terminal.
//!
//! [`Report`] is plain data; [`Report::html`] makes a page of it that needs nothing else, and its `Display`
//! the class-by-class table.

mod classes;
mod confusion;
mod curves;
mod format;
mod html;
mod mistakes;
#[cfg(test)]
mod sample;
mod svg;
mod text;
mod thumbnail;

use ocelli_core::ClassNames;
use ocelli_metrics::{ConfusionMatrix, Summary};
use serde::{Deserialize, Serialize};

pub use self::thumbnail::thumbnail;

/// All that is known about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the page is called.
    pub title: String,
    /// The network.
    pub network: Network,
    /// The images.
    pub data: Data,
    /// One record per epoch; none where a model was only judged.
    pub epochs: Vec<EpochRecord>,
    /// How good the network is.
    pub evaluation: Judgement,
    /// Images answered wrongly, the most confident first.
    pub mistakes: Vec<Mistake>,
    /// Files that could not be read and were left out.
    pub problems: Vec<Unreadable>,
    /// The recipe as TOML, all defaults written out; empty where there is none.
    pub recipe: String,
    /// What is needed to do it again.
    pub environment: Environment,
}

/// The network of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The architecture.
    pub name: String,
    /// Learned values.
    pub parameters: u64,
    /// Learned values that this run moved.
    pub trainable: u64,
    /// Which weights the report describes: `weights of epoch 7, the best on the validation images`.
    pub weights: String,
}

/// The images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// The folder, or the dataset's name.
    pub name: String,
    /// Class names in the order of the network's outputs.
    pub classes: ClassNames,
    /// The number of images of each split, by its name.
    pub splits: Vec<(String, u64)>,
}

/// What an epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u64,
    /// The learning rate of its last step.
    pub rate: f64,
    /// Mean training loss in nats, label smoothing and augmentation included.
    pub train_loss: f64,
    /// Share of right answers on the augmented training images, 0..1.
    pub train_top1: f64,
    /// Log loss on the validation images, in nats.
    pub val_loss: Option<f64>,
    /// Share of right answers on the validation images, 0..1.
    pub val_top1: Option<f64>,
    /// Training images a second.
    pub images_per_second: f64,
    /// Share of the training time spent waiting for data, 0..1.
    pub waiting: f64,
    /// Time of the whole epoch in seconds, validation included.
    pub seconds: f64,
}

/// How good a network is on some images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Which images: `test`.
    pub split: String,
    /// All figures.
    pub summary: Summary,
    /// How often each class was taken for each.
    pub confusion: ConfusionMatrix,
}

/// An image that was answered wrongly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// What the dataset calls it, mostly a path.
    pub name: String,
    /// The class that it shows.
    pub truth: usize,
    /// The class that was answered.
    pub predicted: usize,
    /// The probability of that answer, 0..1.
    pub probability: f32,
    /// A small JPEG of it, see [`thumbnail`]; base64 in JSON, empty where there is none.
    #[serde(with = "thumbnail::base64_text")]
    pub thumbnail: Vec<u8>,
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// What the dataset calls it.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What is needed to do a run again, and how long it takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Programs and their versions: `("ocelli", "0.1.0")`.
    pub versions: Vec<(String, String)>,
    /// Seed of everything random.
    pub seed: u64,
    /// Threads that computed.
    pub threads: usize,
    /// Wall time of the whole run in seconds.
    pub seconds: f64,
}

impl Report {
    /// The report as one page of HTML that needs no other file, no network and no script.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// The figures class by class as text in aligned columns, the averages and the accuracy below.
    pub fn to_table(&self) -> String {
        class_table(&self.data.classes, &self.evaluation)
    }
}

/// What a network was found to be, class by class, as text in aligned columns.
pub fn class_table(classes: &ClassNames, judged: &Judgement) -> String {
    text::table(classes.as_slice(), judged)
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_table())
    }
}

//! What can be wrong with a dataset or with loading it.

use std::io;
use std::path::PathBuf;

use ocelli_core::{ClassNamesError, SampleError};
use thiserror::Error;

/// Why a dataset cannot be opened, split or loaded. Each message names the place and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    // The folder.
    /// The path does not exist.
    #[error("{path} does not exist", path = path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The path is a file where a folder is needed.
    #[error("{path} is not a folder; give the folder that holds one folder of images per class", path = path.display())]
    NotAFolder {
        /// The path asked for.
        path: PathBuf,
    },
    /// A folder or file could not be read.
    #[error("{path} cannot be read: {cause}", path = path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A dataset folder without class folders.
    #[error(
        "{root} has no class folders ({files} image files lie directly in it); \
         put the images of each class in a folder of their own: {root}/CLASS/*.jpg",
        root = root.display()
    )]
    NoClasses {
        /// The dataset's folder.
        root: PathBuf,
        /// Image files that lie directly in it.
        files: usize,
    },
    /// A dataset folder with one class folder.
    #[error(
        "{root} has one class folder only, `{class}`, and a classifier needs at least two; \
         add another, or, if the class folders lie inside {inner}, give that path",
        root = root.display(), inner = root.join(class).display()
    )]
    OneClass {
        /// The dataset's folder.
        root: PathBuf,
        /// The only class.
        class: String,
    },
    /// A class folder without an image.
    #[error(
        "the class folder {folder} holds no image of a supported format ({files} other files); \
         add images or remove the folder",
        folder = folder.display()
    )]
    EmptyClass {
        /// The class's folder.
        folder: PathBuf,
        /// Files in it that are not images by their extension.
        files: usize,
    },
    /// No class has an image.
    #[error("no class folder of {root} holds an image of a supported format", root = root.display())]
    NoImages {
        /// The dataset's folder.
        root: PathBuf,
    },
    /// A class folder's name is not UTF-8.
    #[error("the name of the class folder {folder} is not valid UTF-8; rename it", folder = folder.display())]
    ClassName {
        /// The class's folder.
        folder: PathBuf,
    },
    /// A class that is not among those wanted.
    #[error(
        "{root} has the class folder `{class}`, which is not among the {known} known classes ({some}); \
         remove or rename it, or add the class to the training images",
        root = root.display()
    )]
    ExtraClass {
        /// The dataset's folder.
        root: PathBuf,
        /// The class.
        class: String,
        /// Number of known classes.
        known: usize,
        /// The first of the known classes.
        some: String,
    },
    /// The names do not make class names.
    #[error("class names: {0}")]
    Classes(#[from] ClassNamesError),

    // Splits.
    /// Two folders could be the same split.
    #[error(
        "{first} and {second} could both be the {part} split; keep one, or rename the other",
        first = first.display(), second = second.display()
    )]
    Ambiguous {
        /// `train`, `validation` or `test`.
        part: &'static str,
        /// One folder.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// There are split folders, and none to train on.
    #[error("{root} has split folders ({found}) and none called `train`", root = root.display())]
    NoTrain {
        /// The dataset's folder.
        root: PathBuf,
        /// The split folders that are there.
        found: String,
    },
    /// Shares that do not make a split.
    #[error(
        "cannot give {val} of the images to validation and {test} to test: \
         each must be at least 0 and their sum below 1"
    )]
    Fractions {
        /// Share for validation.
        val: f64,
        /// Share for test.
        test: f64,
    },
    /// Too few images to split.
    #[error(
        "there are too few images to split some off for {part}: no class has {needed}; \
         add images, or make a {part} folder beside train"
    )]
    TooFew {
        /// `validation` or `test`.
        part: &'static str,
        /// Images a class needs to spare one.
        needed: usize,
    },

    // Known datasets.
    /// A CIFAR file is missing, cut short, or has an impossible label.
    #[error("{path}: {reason}", path = path.display())]
    Cifar {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No such name in the catalogue.
    #[error("the catalogue has no dataset `{name}`; it has: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// A catalogue entry does not parse.
    #[error("the catalogue entry of `{name}`: {reason}")]
    Catalogue {
        /// The entry.
        name: String,
        /// What the parser said.
        reason: String,
    },

    // Loading.
    /// A setting that makes no sense, with what to do.
    #[error("loader: {0}")]
    Config(String),
    /// A dataset gave an image a class that it does not have.
    #[error("{sample} has the class index {target}, and the dataset has {classes} classes")]
    Target {
        /// What the dataset calls the image.
        sample: String,
        /// The class it gave.
        target: usize,
        /// Number of classes.
        classes: usize,
    },
    /// An image could not be read, and the policy is to fail at the first.
    #[error("{cause}; repair or remove it, or skip unreadable images")]
    Sample {
        /// What is wrong with it.
        cause: SampleError,
    },
    /// More images could not be read than the policy allows.
    #[error(
        "{bad} of {total} images cannot be read, more than the {percent} % allowed; \
         repair or remove them (`ocelli dataset inspect` lists all), or raise the limit \
         (--max-bad 0.05 allows 5 %):\n{list}",
        percent = max_fraction * 100.0, list = list(first, *bad)
    )]
    TooManyBad {
        /// Unreadable images met so far.
        bad: usize,
        /// Images in the dataset.
        total: usize,
        /// The share allowed, 0 to 1.
        max_fraction: f64,
        /// The first few, with what is wrong.
        first: Vec<String>,
    },
    /// Transformed images differ in size.
    #[error(
        "{sample} is {found_width} x {found_height} after its transform, and images before it are \
         {width} x {height}; let the transform end with a crop or resize to one size"
    )]
    Sizes {
        /// What the dataset calls the image.
        sample: String,
        /// Its width, in pixels.
        found_width: usize,
        /// Its height, in pixels.
        found_height: usize,
        /// Width of those before, in pixels.
        width: usize,
        /// Height of those before, in pixels.
        height: usize,
    },
    /// A transform panicked.
    #[error("the transform of {what} panicked: {message}")]
    Panicked {
        /// What was being transformed.
        what: String,
        /// What the panic said.
        message: String,
    },
}

/// The first unreadable images, one a line, and how many more there are.
fn list(first: &[String], bad: usize) -> String {
    let mut lines: Vec<String> = first.iter().map(|line| format!("  {line}")).collect();
    if bad > first.len() {
        lines.push(format!("  and {} more", bad - first.len()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_bad_files_are_listed_up_to_a_point() {
        let error = DataError::TooManyBad {
            bad: 3,
            total: 50,
            max_fraction: 0.01,
            first: vec!["a".into(), "b".into()],
        };
        let message = error.to_string();
        assert!(
            message.starts_with("3 of 50 images cannot be read, more than the 1 % allowed"),
            "{message}"
        );
        assert!(message.ends_with(":\n  a\n  b\n  and 1 more"), "{message}");
    }
}

//! Finding the training, validation and test images of a dataset on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ocelli_core::{ClassNames, Dataset};

use crate::cifar::{CifarBinary, CifarPart};
use crate::walk;
use crate::{DataError, FolderOptions, Fractions, ImageFolder, split};

/// The split folders of a dataset; none of them where the folders are classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitFolders {
    /// The folder called `train`.
    pub train: Option<PathBuf>,
    /// The folder called `val`, `valid` or `validation`.
    pub val: Option<PathBuf>,
    /// The folder called `test`.
    pub test: Option<PathBuf>,
    /// Folders beside them that are no splits.
    pub others: Vec<PathBuf>,
}

impl SplitFolders {
    /// Looks for folders called train, val, valid, validation and test, in upper or lower case. To be a
    /// split, a folder must hold folders itself; so a class may be called `train`.
    ///
    /// # Errors
    /// Where `root` cannot be read, or two folders could be the same split.
    pub fn find(root: impl AsRef<Path>) -> Result<Self, DataError> {
        let mut found = Self::default();
        for folder in walk::list(root.as_ref())?.folders {
            let name = folder
                .file_name()
                .map(|name| name.to_string_lossy().to_lowercase())
                .unwrap_or_default();
            let (place, part) = match name.as_str() {
                "train" => (&mut found.train, "train"),
                "val" | "valid" | "validation" => (&mut found.val, "validation"),
                "test" => (&mut found.test, "test"),
                _ => {
                    found.others.push(folder);
                    continue;
                }
            };
            if walk::list(&folder)?.folders.is_empty() {
                found.others.push(folder);
            } else if let Some(first) = place.replace(folder.clone()) {
                return Err(DataError::Ambiguous { part, first, second: folder });
            }
        }
        Ok(found)
    }

    fn names(&self) -> String {
        let folders = [&self.train, &self.val, &self.test].into_iter().flatten();
        folders.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// The images of a dataset by what they are for, all with the classes of the training images.
#[derive(Clone)]
pub struct Splits {
    /// To train on.
    pub train: Arc<dyn Dataset>,
    /// To choose the best epoch by.
    pub val: Option<Arc<dyn Dataset>>,
    /// To measure on once, at the end.
    pub test: Option<Arc<dyn Dataset>>,
    /// What a user should know: where each part is from, and what was ignored. One sentence each.
    pub notes: Vec<String>,
}

/// Opens what lies at `root`: split folders of class folders, class folders alone (all images are then
/// `train`), or the binary version of CIFAR-10 or CIFAR-100.
///
/// [`Splits::complete`] makes the parts that are missing.
///
/// # Errors
/// As [`ImageFolder::open`] and [`CifarBinary::open`]; also where two folders could be the same split,
/// there are split folders but no `train`, or validation or test has a class that training lacks.
pub fn find_splits(root: impl AsRef<Path>, options: &FolderOptions) -> Result<Splits, DataError> {
    let root = root.as_ref();
    if CifarBinary::is_at(root) {
        return cifar(root);
    }
    let folders = SplitFolders::find(root)?;
    let Some(train) = &folders.train else {
        let found = folders.names();
        if !found.is_empty() && folders.others.is_empty() {
            return Err(DataError::NoTrain { root: root.to_path_buf(), found });
        }
        return Ok(Splits::folder(ImageFolder::open_with(root, options)?));
    };
    let mut splits = Splits::folder(ImageFolder::open_with(train, options)?);
    let classes = splits.train.classes().clone();
    splits.val = splits.open("validation", folders.val.as_deref(), &classes, options)?;
    splits.test = splits.open("test", folders.test.as_deref(), &classes, options)?;
    for folder in &folders.others {
        splits.notes.push(format!(
            "{} is not used: it is no split folder of class folders",
            folder.display()
        ));
    }
    Ok(splits)
}

impl Splits {
    /// Makes validation and test images where there are none.
    ///
    /// Class folders without splits are divided in three. Beside `test`, validation is split off from
    /// training. Beside validation, a missing test stays missing: whoever made the split chose so. A
    /// share of zero makes no part. [`split`] says how images are chosen.
    ///
    /// # Errors
    /// Where the shares make no sense, or no class has enough images to give one.
    pub fn complete(mut self, fractions: Fractions, seed: u64) -> Result<Self, DataError> {
        if self.val.is_some() {
            return Ok(self);
        }
        let test = if self.test.is_some() { 0.0 } else { fractions.test };
        let fractions = Fractions { test, ..fractions };
        let parts = split(&self.train, fractions, seed)?;
        for (name, share, part, place) in [
            ("validation", fractions.val, parts.val, &mut self.val),
            ("test", fractions.test, parts.test, &mut self.test),
        ] {
            if share == 0.0 {
                continue;
            }
            if part.is_empty() {
                let needed = if name == "test" && fractions.val > 0.0 { 3 } else { 2 };
                return Err(DataError::TooFew { part: name, needed });
            }
            let (count, percent) = (part.len(), (share * 1000.0).round() / 10.0);
            self.notes.push(format!(
                "{name}: {count} images ({percent} % of each class, seed {seed}) split off train"
            ));
            *place = Some(Arc::new(part));
        }
        self.train = Arc::new(parts.train);
        Ok(self)
    }

    /// The names of the classes.
    pub fn classes(&self) -> &ClassNames {
        self.train.classes()
    }

    /// The parts there are, with their names: `train`, `validation`, `test`.
    pub fn parts(&self) -> Vec<(&'static str, &dyn Dataset)> {
        let parts = [
            ("train", Some(&self.train)),
            ("validation", self.val.as_ref()),
            ("test", self.test.as_ref()),
        ];
        parts.into_iter().filter_map(|(name, part)| Some((name, part?.as_ref()))).collect()
    }

    fn folder(train: ImageFolder) -> Self {
        let notes = vec![note("train", &train)];
        Self { train: Arc::new(train), val: None, test: None, notes }
    }

    fn open(
        &mut self,
        name: &str,
        folder: Option<&Path>,
        classes: &ClassNames,
        options: &FolderOptions,
    ) -> Result<Option<Arc<dyn Dataset>>, DataError> {
        let Some(folder) = folder else { return Ok(None) };
        let part = ImageFolder::open_as(folder, classes, options)?;
        self.notes.push(note(name, &part));
        Ok(Some(Arc::new(part)))
    }
}

impl std::fmt::Debug for Splits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts: Vec<_> =
            self.parts().into_iter().map(|(name, part)| (name, part.len())).collect();
        f.debug_struct("Splits").field("images", &counts).field("notes", &self.notes).finish()
    }
}

fn cifar(root: &Path) -> Result<Splits, DataError> {
    let [train, test] =
        [CifarPart::Train, CifarPart::Test].map(|part| CifarBinary::open(root, part));
    let (train, test) = (train?, test?);
    let notes = vec![format!(
        "train, test: {} and {} images in CIFAR's binary files",
        train.len(),
        test.len()
    )];
    Ok(Splits { train: Arc::new(train), val: None, test: Some(Arc::new(test)), notes })
}

fn note(name: &str, folder: &ImageFolder) -> String {
    let mut note = format!("{name}: {} images in {}", folder.len(), folder.root().display());
    let ignored = folder.ignored();
    if ignored.other > 0 {
        note += &format!(", {} files of other kinds ignored", ignored.other);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;

    fn find(files: &[&str]) -> Result<Splits, DataError> {
        let root = tree(files);
        find_splits(root.path(), &FolderOptions::default())
    }

    fn counts(splits: &Splits) -> Vec<(&'static str, usize)> {
        splits.parts().into_iter().map(|(name, part)| (name, part.len())).collect()
    }

    #[test]
    fn split_folders_are_known_by_their_names() {
        for val in ["val", "Valid", "VALIDATION"] {
            let file = format!("{val}/b/3.png");
            let splits =
                find(&["Train/a/1.png", "Train/b/2.png", &file, "test/a/4.png", "notes/x.txt"])
                    .unwrap();
            assert_eq!(counts(&splits), [("train", 2), ("validation", 1), ("test", 1)]);
            assert_eq!(splits.val.as_ref().unwrap().target(0), 1);
            assert_eq!(splits.notes.len(), 4, "{:?}", splits.notes);
        }
    }

    #[test]
    fn class_folders_alone_are_all_train() {
        let splits = find(&["train/1.png", "plane/2.png", "test/3.png"]).unwrap();
        assert_eq!(splits.classes().as_slice(), ["plane", "test", "train"]);
        assert_eq!(counts(&splits), [("train", 3)]);
    }

    #[test]
    fn unclear_splits_are_refused() {
        let error =
            find(&["train/a/1.png", "train/b/1.png", "val/a/1.png", "valid/a/1.png"]).unwrap_err();
        assert!(matches!(error, DataError::Ambiguous { part: "validation", .. }), "{error}");
        let error = find(&["test/a/1.png", "val/a/1.png"]).unwrap_err();
        assert!(matches!(error, DataError::NoTrain { .. }), "{error}");
        let error = find(&["train/a/1.png", "train/b/1.png", "test/c/1.png"]).unwrap_err();
        assert!(matches!(&error, DataError::ExtraClass { class, .. } if class == "c"), "{error}");
    }

    #[test]
    fn missing_parts_are_split_off_train() {
        let names = |prefix: &str| -> Vec<String> {
            (0..20)
                .map(|i| format!("{prefix}{}/{i}.png", if i % 2 == 0 { "a" } else { "b" }))
                .collect()
        };
        let (whole, train) = (names(""), names("train/"));
        let fractions = Fractions { val: 0.2, test: 0.1 };
        let complete = |files: &[String], extra: &[&'static str]| {
            let files: Vec<&str> =
                files.iter().map(String::as_str).chain(extra.iter().copied()).collect();
            counts(&find(&files).unwrap().complete(fractions, 5).unwrap())
        };
        assert_eq!(complete(&whole, &[]), [("train", 14), ("validation", 4), ("test", 2)]);
        assert_eq!(complete(&train, &[]), [("train", 14), ("validation", 4), ("test", 2)]);
        assert_eq!(
            complete(&train, &["test/a/0.png"]),
            [("train", 16), ("validation", 4), ("test", 1)]
        );
        assert_eq!(complete(&train, &["val/a/0.png"]), [("train", 20), ("validation", 1)]);
    }

    #[test]
    fn a_split_of_single_images_is_refused() {
        let splits = find(&["a/1.png", "b/1.png"]).unwrap();
        let error = splits.complete(Fractions::default(), 0).unwrap_err();
        assert!(matches!(error, DataError::TooFew { part: "validation", needed: 2 }), "{error}");
    }
}

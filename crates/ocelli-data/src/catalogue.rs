//! Datasets known by name: where they are from, what is in them, under which licence.
//!
//! One TOML file each, in `datasets/`. Nothing is downloaded here. A fact that is not known for sure is
//! left out.

use serde::{Deserialize, Serialize};

use crate::DataError;

/// The entries' names and files, sorted by name.
const FILES: [(&str, &str); 7] = [
    ("cifar10", include_str!("../../../datasets/cifar10.toml")),
    ("cifar100", include_str!("../../../datasets/cifar100.toml")),
    ("clothing-small", include_str!("../../../datasets/clothing-small.toml")),
    ("imagenette", include_str!("../../../datasets/imagenette.toml")),
    ("oxford-flowers102", include_str!("../../../datasets/oxford-flowers102.toml")),
    ("oxford-pets", include_str!("../../../datasets/oxford-pets.toml")),
    ("solids", include_str!("../../../datasets/solids.toml")),
];

/// What is known about a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is called here.
    pub name: String,
    /// What its authors call it.
    pub title: String,
    /// What is in the images, and how to get them into shape. A sentence or two.
    pub about: String,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// How it is stored once unpacked.
    pub layout: Layout,
    /// Number of classes.
    pub class_count: usize,
    /// The classes in the order of their indices, where they have names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The classes' folders, where these are not called as the classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<String>,
    /// Number of images.
    pub images: Counts,
    /// Width and height in pixels, where all images have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Its licence, as its authors state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The publication to cite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
    /// The files to download.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<Archive>,
}

/// How a dataset is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Split folders of class folders; [`find_splits`](crate::find_splits) opens it.
    SplitFolders,
    /// The binary version of a CIFAR; [`find_splits`](crate::find_splits) opens it.
    CifarBinary,
    /// One folder of images, and lists of their classes: to be sorted into class folders first.
    Listed,
}

/// Number of images in the parts that its authors made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// To train on.
    pub train: usize,
    /// To choose by.
    #[serde(default)]
    pub validation: usize,
    /// To measure on.
    #[serde(default)]
    pub test: usize,
}

/// A file to download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where it is.
    pub url: String,
    /// Its SHA-256, in lower-case hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// All entries, sorted by name.
///
/// # Errors
/// Where an entry does not parse.
pub fn list() -> Result<Vec<Entry>, DataError> {
    FILES.iter().map(|(name, text)| parse(name, text)).collect()
}

/// The entry of a name.
///
/// # Errors
/// Where there is none, or it does not parse; the message lists all names.
pub fn get(name: &str) -> Result<Entry, DataError> {
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => parse(name, text),
        None => {
            let known = FILES.map(|(name, _)| name).join(", ");
            Err(DataError::Unknown { name: name.to_owned(), known })
        }
    }
}

fn parse(name: &str, text: &str) -> Result<Entry, DataError> {
    toml::from_str(text)
        .map_err(|error| DataError::Catalogue { name: name.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solids::{Solid, SolidsConfig};

    #[test]
    fn entries_are_sound() {
        let entries = list().unwrap();
        assert!(entries.is_sorted_by(|a, b| a.name < b.name));
        for (entry, (name, _)) in entries.iter().zip(FILES) {
            assert_eq!(entry.name, name);
            for names in [&entry.classes, &entry.folders] {
                assert!(
                    names.is_empty() || names.len() == entry.class_count,
                    "{name}: {} names",
                    names.len()
                );
                assert!(
                    names
                        .iter()
                        .all(|name| names.iter().filter(|other| *other == name).count() == 1),
                    "{name}"
                );
            }
            let digits = |sha: &str| {
                sha.len() == 64 && sha.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
            };
            assert!(
                entry.archives.iter().all(|archive| archive.sha256.as_deref().is_none_or(digits)),
                "{name}"
            );
            // What the loader will make of the folders is what the entry says.
            if entry.layout == Layout::SplitFolders {
                let folders =
                    if entry.folders.is_empty() { &entry.classes } else { &entry.folders };
                assert!(folders.is_sorted(), "{name}");
            }
        }
    }

    #[test]
    fn the_bundled_set_is_as_its_generator_makes_it() {
        let (entry, config) = (get("solids").unwrap(), SolidsConfig::default());
        assert_eq!(entry.classes, Solid::ALL.map(Solid::name));
        assert_eq!(entry.size, Some([config.size; 2]));
        let classes = entry.class_count;
        let counts = [config.train_per_class, config.val_per_class, config.test_per_class]
            .map(|n| n * classes);
        assert_eq!([entry.images.train, entry.images.validation, entry.images.test], counts);
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let error = get("mnist").unwrap_err().to_string();
        assert!(error.contains("`mnist`") && error.contains("cifar10, cifar100"), "{error}");
    }
}

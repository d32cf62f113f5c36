//! Opening the images that a recipe names.

use std::path::{Path, PathBuf};

use ocelli_data::solids::{self, SolidsConfig};
use ocelli_data::{FolderOptions, Fractions, Splits, find_splits};

use crate::Error;

/// The bundled dataset's name, which a recipe may give instead of a path.
pub const SOLIDS: &str = "solids";

/// Opens the training, validation and test images at `path`, or the bundled dataset under its name. Parts
/// that have no folder are split off.
///
/// # Errors
/// As [`find_splits`] and [`Splits::complete`].
pub fn open_dataset(path: &Path, split: Fractions, seed: u64) -> Result<Splits, Error> {
    Ok(find_splits(dataset_folder(path)?, &FolderOptions::default())?.complete(split, seed)?)
}

/// Where the images of `path` are: a folder of that name if there is one, else the bundled dataset's.
///
/// # Errors
/// Where the bundled dataset has to be drawn and cannot be written.
pub fn dataset_folder(path: &Path) -> Result<PathBuf, Error> {
    if path.as_os_str() == SOLIDS && !path.is_dir() {
        solids_folder()
    } else {
        Ok(path.to_path_buf())
    }
}

/// `datasets/solids` of the checkout that the working folder is in; elsewhere it is drawn once, in the
/// user's cache.
fn solids_folder() -> Result<PathBuf, Error> {
    let here = std::env::current_dir().unwrap_or_default();
    let checkouts = here.ancestors().map(|folder| folder.join("datasets").join(SOLIDS));
    if let Some(folder) = checkouts.into_iter().find(|folder| folder.join("train").is_dir()) {
        return Ok(folder);
    }
    let folder = cache_folder().join(SOLIDS);
    if !folder.join("train").is_dir() {
        solids::generate(&folder, &SolidsConfig::default(), &|_, _| {})?;
    }
    Ok(folder)
}

fn cache_folder() -> PathBuf {
    let named =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("ocelli")
}

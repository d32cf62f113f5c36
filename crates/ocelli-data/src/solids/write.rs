//! Writing the dataset as a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use super::{Solid, SolidsConfig, Split, draw};

/// What [`generate`] wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The classes, in the order of their folders.
    pub classes: Vec<String>,
    /// Pictures in train, val and test.
    pub pictures: [usize; 3],
    /// Size of all files.
    pub bytes: u64,
}

/// Why no dataset was written.
#[derive(Debug, Error)]
pub enum SolidsError {
    /// A field of the configuration is out of range.
    #[error("{field} of a solids dataset must lie between {low} and {high}, not at {found}")]
    Config {
        /// The field's name.
        field: &'static str,
        /// Least value.
        low: usize,
        /// Greatest value.
        high: usize,
        /// The value given.
        found: usize,
    },
    /// Something is there already.
    #[error("{} exists and is not an empty folder; name a new folder, or remove it first", path.display())]
    Occupied {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The path names no folder that could be made.
    #[error("{} does not end in a folder's name; give the path of the folder to create", path.display())]
    Nameless {
        /// The path given.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}; check that the folder above it exists, is writable and has space", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture could not be compressed.
    #[error("cannot encode {} as JPEG: {source}", path.display())]
    Encode {
        /// The file that was to hold it.
        path: PathBuf,
        /// What the encoder said.
        source: ImageError,
    },
}

/// Draws the dataset into the new folder `out`, as `{train,val,test}/{class}/NNN.jpg`, on all threads of
/// rayon's pool. `progress` is told, from any of them, how many pictures are done and how many there will be.
///
/// The folder appears whole or not at all: pictures are written to a folder beside it, which is renamed at
/// the end and removed after an error.
///
/// # Errors
/// Where the configuration is out of range, `out` exists and is not an empty folder, or something cannot
/// be written.
pub fn generate(
    out: &Path,
    config: &SolidsConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Summary, SolidsError> {
    check(config)?;
    refuse_occupied(out)?;
    let aside = Aside::beside(out)?;
    let jobs = jobs(&aside.path, config)?;
    let done = AtomicUsize::new(0);
    let write = |job: &Job| {
        let bytes = job.write(config)?;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        Ok(bytes)
    };
    let bytes = jobs.par_iter().map(write).try_reduce(|| 0, |a, b| Ok(a + b))?;
    aside.move_to(out)?;
    Ok(Summary {
        classes: Solid::ALL.map(|solid| solid.name().to_string()).to_vec(),
        pictures: Split::ALL.map(|split| config.per_class(split) * Solid::ALL.len()),
        bytes,
    })
}

fn check(config: &SolidsConfig) -> Result<(), SolidsError> {
    let total = Split::ALL.map(|split| config.per_class(split).min(1_000_000)).iter().sum();
    for (field, low, high, found) in [
        ("size", 8, 1024, config.size),
        ("quality", 1, 100, usize::from(config.quality)),
        ("the number of pictures per class", 1, 1_000_000, total),
    ] {
        if !(low..=high).contains(&found) {
            return Err(SolidsError::Config { field, low, high, found });
        }
    }
    Ok(())
}

fn refuse_occupied(out: &Path) -> Result<(), SolidsError> {
    let occupied = || SolidsError::Occupied { path: out.to_path_buf() };
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(occupied()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if out.is_file() => Err(occupied()),
        Err(source) => Err(SolidsError::Io { path: out.to_path_buf(), source }),
    }
}

/// One picture to draw.
struct Job {
    solid: Solid,
    split: Split,
    index: usize,
    file: PathBuf,
}

impl Job {
    /// Draws, compresses and writes the picture; its size in bytes.
    fn write(&self, config: &SolidsConfig) -> Result<u64, SolidsError> {
        let picture = draw(self.solid, self.split, self.index as u64, config.size, config.seed);
        let side = config.size as u32;
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, config.quality)
            .write_image(picture.pixels(), side, side, ExtendedColorType::Rgb8)
            .map_err(|source| SolidsError::Encode { path: self.file.clone(), source })?;
        fs::write(&self.file, &bytes).map_err(at(&self.file))?;
        Ok(bytes.len() as u64)
    }
}

/// All pictures, their folders made.
fn jobs(root: &Path, config: &SolidsConfig) -> Result<Vec<Job>, SolidsError> {
    let mut jobs = Vec::new();
    for split in Split::ALL.into_iter().filter(|&split| config.per_class(split) > 0) {
        for solid in Solid::ALL {
            let folder = root.join(split.name()).join(solid.name());
            fs::create_dir_all(&folder).map_err(at(&folder))?;
            jobs.extend((0..config.per_class(split)).map(|index| Job {
                solid,
                split,
                index,
                file: folder.join(format!("{index:03}.jpg")),
            }));
        }
    }
    Ok(jobs)
}

/// A folder under a provisional name; removed unless it is moved.
struct Aside {
    path: PathBuf,
}

impl Aside {
    fn beside(out: &Path) -> Result<Self, SolidsError> {
        let nameless = || SolidsError::Nameless { path: out.to_path_buf() };
        let name = out.file_name().ok_or_else(nameless)?.to_string_lossy();
        let path = out.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        fs::create_dir_all(&path).map_err(at(out))?;
        Ok(Self { path })
    }

    fn move_to(self, out: &Path) -> Result<(), SolidsError> {
        // Known to be empty; not every system renames over an existing folder.
        if out.is_dir() {
            fs::remove_dir(out).map_err(at(out))?;
        }
        fs::rename(&self.path, out).map_err(at(out))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After a move there is nothing left to remove, and while failing there is no one to tell.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SolidsError {
    let path = path.to_path_buf();
    move |source| SolidsError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn tiny() -> SolidsConfig {
        SolidsConfig {
            size: 8,
            train_per_class: 2,
            val_per_class: 0,
            test_per_class: 1,
            ..SolidsConfig::default()
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut names: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_what_it_says() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("new/solids");
        let seen = Mutex::new(Vec::new());
        let summary =
            generate(&out, &tiny(), &|done, all| seen.lock().unwrap().push((done, all))).unwrap();
        assert_eq!((summary.classes.len(), summary.pictures), (10, [20, 0, 10]));
        let mut bytes = 0;
        for (split, count) in [("train", 2), ("test", 1)] {
            let classes = files(&out.join(split));
            assert_eq!(classes.len(), 10);
            for class in classes {
                assert_eq!(files(&class).len(), count);
                bytes +=
                    files(&class).iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>();
            }
        }
        assert_eq!(bytes, summary.bytes);
        assert_eq!(files(&out).len(), 2, "no folder for a split without pictures");
        assert_eq!(files(out.parent().unwrap()).len(), 1, "nothing provisional is left");
        let seen = seen.into_inner().unwrap();
        assert!(seen.len() == 30 && seen.contains(&(30, 30)));
        let picture = image::open(out.join("train/cube/000.jpg")).unwrap();
        assert_eq!((picture.width(), picture.height()), (8, 8));
    }

    #[test]
    fn an_occupied_place_is_refused_and_untouched() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("notes");
        fs::write(&file, "mine").unwrap();
        for out in [root.path(), file.as_path()] {
            let error = generate(out, &tiny(), &|_, _| ()).unwrap_err();
            assert!(matches!(error, SolidsError::Occupied { .. }), "{error}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(files(root.path()), [file]);
        let empty = root.path().join("empty");
        fs::create_dir(&empty).unwrap();
        generate(&empty, &tiny(), &|_, _| ()).unwrap();
        assert_eq!(files(&empty).len(), 2);
    }

    #[test]
    fn errors_name_the_path_or_the_field() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let error = generate(&file.join("solids"), &tiny(), &|_, _| ()).unwrap_err().to_string();
        assert!(error.contains(&*file.join("solids").to_string_lossy()), "{error}");
        assert!(matches!(
            generate(Path::new("/"), &tiny(), &|_, _| ()),
            Err(SolidsError::Occupied { .. })
        ));
        for (config, field) in [
            (SolidsConfig { size: 7, ..tiny() }, "size"),
            (SolidsConfig { quality: 0, ..tiny() }, "quality"),
            (SolidsConfig { train_per_class: 0, test_per_class: 0, ..tiny() }, "pictures"),
            (
                SolidsConfig { train_per_class: usize::MAX, test_per_class: usize::MAX, ..tiny() },
                "pictures",
            ),
        ] {
            let error =
                generate(&root.path().join("out"), &config, &|_, _| ()).unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
        assert_eq!(files(root.path()), [file]);
    }
}

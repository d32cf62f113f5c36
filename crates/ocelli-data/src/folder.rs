//! Images in one folder per class.

use std::path::{Path, PathBuf};

use ocelli_core::{ClassNames, Dataset, DecodeLimits, Image, SampleError, decode};

use crate::DataError;
use crate::walk::{self, Ignored};

/// What to do about a class folder without an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyClasses {
    /// An error that names the folder.
    #[default]
    Refuse,
    /// Keep the class; the network gets an output for it.
    Allow,
}

/// How a folder is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct FolderOptions {
    /// What a decoder may take.
    pub limits: DecodeLimits,
    /// What to do about a class folder without an image.
    pub empty_classes: EmptyClasses,
}

/// A dataset of the layout `root/CLASS/**/IMAGE`.
///
/// Classes stand in the byte order of their folders' names, as torchvision's `ImageFolder` has them;
/// files stand class by class, folder by folder, in byte order. Only names are read on opening.
/// Hidden files and files that are not images by their extension are ignored and counted.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    root: PathBuf,
    classes: ClassNames,
    samples: Vec<(PathBuf, u32)>,
    limits: DecodeLimits,
    ignored: Ignored,
}

impl ImageFolder {
    /// Opens `root`, whose folders are the classes.
    ///
    /// # Errors
    /// Where `root` is missing, is no folder or cannot be read, has no class folder or only one, or
    /// where a class folder holds no image.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_with(root, &FolderOptions::default())
    }

    /// Opens `root` as [`open`](Self::open) does, with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(root: impl AsRef<Path>, options: &FolderOptions) -> Result<Self, DataError> {
        let root = root.as_ref();
        let (folders, ignored) = class_folders(root)?;
        let names =
            folders.iter().map(|folder| walk::name_of(folder)).collect::<Result<Vec<_>, _>>()?;
        if let [class] = names.as_slice() {
            return Err(DataError::OneClass { root: root.to_path_buf(), class: class.clone() });
        }
        let mut found = Self::empty(root, ClassNames::new(names)?, options, ignored);
        for (class, folder) in folders.iter().enumerate() {
            let (images, ignored) = found.add(folder, class)?;
            if images == 0 && options.empty_classes == EmptyClasses::Refuse {
                return Err(DataError::EmptyClass {
                    folder: folder.clone(),
                    files: ignored.hidden + ignored.other,
                });
            }
        }
        found.not_empty()
    }

    /// Opens `root` with classes known before, such as those of the training images or of a model. Its
    /// folders may be fewer than the classes, and may be empty.
    ///
    /// # Errors
    /// Where `root` is missing, is no folder or cannot be read, has a folder that is not among the
    /// classes, or has no image.
    pub fn open_as(
        root: impl AsRef<Path>,
        classes: &ClassNames,
        options: &FolderOptions,
    ) -> Result<Self, DataError> {
        let root = root.as_ref();
        let (folders, ignored) = class_folders(root)?;
        let mut found = Self::empty(root, classes.clone(), options, ignored);
        for folder in folders {
            let name = walk::name_of(&folder)?;
            let class = classes.index(&name).ok_or_else(|| extra_class(root, name, classes))?;
            found.add(&folder, class)?;
        }
        // The given classes need not be in byte order, and the loader's order starts from this one.
        found.samples.sort_by_key(|&(_, class)| class);
        found.not_empty()
    }

    /// The dataset's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An image's file; `None` where `index` is not below the number of images.
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.samples.get(index).map(|(path, _)| path.as_path())
    }

    /// What was passed over on opening.
    pub fn ignored(&self) -> Ignored {
        self.ignored
    }

    fn empty(root: &Path, classes: ClassNames, options: &FolderOptions, ignored: Ignored) -> Self {
        Self {
            root: root.to_path_buf(),
            classes,
            samples: Vec::new(),
            limits: options.limits,
            ignored,
        }
    }

    /// Adds the images of a class folder; says how many, and what it passed over.
    fn add(&mut self, folder: &Path, class: usize) -> Result<(usize, Ignored), DataError> {
        let (images, ignored) = walk::images_below(folder, &self.root)?;
        let count = images.len();
        self.samples.extend(images.into_iter().map(|path| (path, class as u32)));
        self.ignored.add(ignored);
        Ok((count, ignored))
    }

    fn not_empty(self) -> Result<Self, DataError> {
        if self.samples.is_empty() {
            Err(DataError::NoImages { root: self.root })
        } else {
            Ok(self)
        }
    }
}

/// The class folders of a dataset, at least one.
fn class_folders(root: &Path) -> Result<(Vec<PathBuf>, Ignored), DataError> {
    let listing = walk::list(root)?;
    if listing.folders.is_empty() {
        return Err(DataError::NoClasses { root: root.to_path_buf(), files: listing.images.len() });
    }
    let mut ignored = listing.ignored;
    ignored.other += listing.images.len();
    Ok((listing.folders, ignored))
}

fn extra_class(root: &Path, class: String, classes: &ClassNames) -> DataError {
    let mut some = classes.as_slice().iter().take(5).map(String::as_str).collect::<Vec<_>>();
    if classes.len() > some.len() {
        some.push("...");
    }
    DataError::ExtraClass {
        root: root.to_path_buf(),
        class,
        known: classes.len(),
        some: some.join(", "),
    }
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn classes(&self) -> &ClassNames {
        &self.classes
    }

    fn target(&self, index: usize) -> usize {
        self.samples[index].1 as usize
    }

    fn image(&self, index: usize) -> Result<Image, SampleError> {
        decode::open(&self.samples[index].0, &self.limits)
    }

    fn describe(&self, index: usize) -> String {
        self.samples[index].0.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::{names, tree};

    #[test]
    fn classes_and_files_stand_in_byte_order() {
        let root = tree(&[
            "b/2.png",
            "b/10.png",
            "a b/x.png",
            "Z/deep/er/y.PNG",
            "Z/notes.txt",
            "readme.md",
        ]);
        let folder = ImageFolder::open(root.path()).unwrap();
        assert_eq!(folder.classes().as_slice(), ["Z", "a b", "b"]);
        let files = ["Z/deep/er/y.PNG", "a b/x.png", "b/10.png", "b/2.png"];
        let targets = [0, 1, 2, 2];
        for (index, (file, target)) in files.iter().zip(targets).enumerate() {
            assert_eq!(folder.path(index), Some(root.path().join(file).as_path()));
            assert_eq!(folder.target(index), target);
            assert_eq!(folder.describe(index), root.path().join(file).display().to_string());
        }
        assert_eq!(folder.len(), 4);
        assert_eq!(folder.ignored(), Ignored { hidden: 0, other: 2 });
        assert_eq!(folder.image(3).unwrap().width(), 4);
    }

    #[test]
    fn what_is_no_dataset_is_refused_with_its_name() {
        let root = tree(&[
            "one/1.png",
            "flat/1.jpg",
            "flat/2.jpg",
            "gap/a/1.png",
            "gap/b/notes.heic",
            "file",
        ]);
        let open = |name: &str| ImageFolder::open(root.path().join(name)).unwrap_err();
        assert!(matches!(open("absent"), DataError::Missing { path } if path.ends_with("absent")));
        assert!(matches!(open("file"), DataError::NotAFolder { path } if path.ends_with("file")));
        assert!(matches!(open("flat"), DataError::NoClasses { files: 2, .. }));
        assert!(
            matches!(open("gap"), DataError::EmptyClass { folder, files: 1 } if folder.ends_with("gap/b"))
        );
        fs::remove_dir_all(root.path().join("gap")).unwrap();
        fs::remove_dir_all(root.path().join("flat")).unwrap();
        let error = open("");
        assert!(matches!(&error, DataError::OneClass { class, .. } if class == "one"), "{error}");
    }

    #[test]
    fn empty_classes_can_be_allowed_but_not_all() {
        let root = tree(&["a/1.png", "b/notes.txt"]);
        let options = FolderOptions { empty_classes: EmptyClasses::Allow, ..Default::default() };
        let folder = ImageFolder::open_with(root.path(), &options).unwrap();
        assert_eq!((folder.len(), folder.classes().len()), (1, 2));
        fs::remove_file(root.path().join("a/1.png")).unwrap();
        let error = ImageFolder::open_with(root.path(), &options).unwrap_err();
        assert!(matches!(error, DataError::NoImages { .. }), "{error}");
    }

    #[test]
    fn known_classes_keep_their_order() {
        let root = tree(&["a/1.png", "c/1.png"]);
        let folder =
            ImageFolder::open_as(root.path(), &names(&["c", "b", "a"]), &Default::default())
                .unwrap();
        assert_eq!([folder.target(0), folder.target(1)], [0, 2]);
        let error = ImageFolder::open_as(root.path(), &names(&["a", "b"]), &Default::default())
            .unwrap_err();
        assert!(matches!(&error, DataError::ExtraClass { class, .. } if class == "c"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_name_need_not_be_text_and_a_class_name_must() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let root = tree(&["a/1.png", "b/1.png"]);
        let odd = OsStr::from_bytes(b"\xff.png");
        fs::rename(root.path().join("a/1.png"), root.path().join("a").join(odd)).unwrap();
        let folder = ImageFolder::open(root.path()).unwrap();
        assert_eq!(folder.image(0).unwrap().height(), 3);
        fs::rename(root.path().join("b"), root.path().join(OsStr::from_bytes(b"b\xff"))).unwrap();
        assert!(matches!(ImageFolder::open(root.path()), Err(DataError::ClassName { .. })));
    }
}

//! Finding image files in folders, in an order that does not depend on the file system.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::DataError;

/// Extensions of the formats that can be decoded, in lower case.
pub const EXTENSIONS: [&str; 16] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "tif", "tiff", "bmp", "pnm", "pbm", "pgm",
    "ppm", "pam", "tga",
];

/// Files and folders that were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Hidden files and folders (and `__MACOSX` folders).
    pub hidden: usize,
    /// Files that are no images by their extension.
    pub other: usize,
}

impl Ignored {
    /// Adds another count.
    pub(crate) fn add(&mut self, more: Self) {
        self.hidden += more.hidden;
        self.other += more.other;
    }
}

/// What lies directly in a folder, sorted by the byte values of the names.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub folders: Vec<PathBuf>,
    pub images: Vec<PathBuf>,
    pub ignored: Ignored,
}

/// Lists a folder. Links are followed; a broken one with an image's extension counts as an image, so
/// that the policy for unreadable files decides about it.
pub(crate) fn list(folder: &Path) -> Result<Listing, DataError> {
    let mut found = Listing::default();
    let entries = fs::read_dir(folder).map_err(|cause| fault(folder, cause))?;
    for entry in entries {
        let entry = entry.map_err(|cause| fault(folder, cause))?;
        let path = entry.path();
        // The kind comes with the entry; only a link needs a look at what it leads to.
        let is_folder = match entry.file_type() {
            Ok(kind) if !kind.is_symlink() => kind.is_dir(),
            _ => path.is_dir(),
        };
        if is_hidden(&path) {
            found.ignored.hidden += 1;
        } else if is_folder {
            found.folders.push(path);
        } else if has_image_extension(&path) {
            found.images.push(path);
        } else {
            found.ignored.other += 1;
        }
    }
    found.folders.sort_by(|a, b| bytes(a).cmp(bytes(b)));
    found.images.sort_by(|a, b| bytes(a).cmp(bytes(b)));
    Ok(found)
}

/// All images in a folder and the folders below it, folder by folder in the byte order of their paths, and within each
/// by name.
///
/// # Errors
/// Where a folder cannot be read.
pub fn find_images(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(below(folder, HashSet::new())?.0)
}

/// The same without `root`, as torchvision finds them.
pub(crate) fn images_below(
    folder: &Path,
    root: &Path,
) -> Result<(Vec<PathBuf>, Ignored), DataError> {
    below(folder, HashSet::from([canonical(root)?]))
}

/// All images in folders that were not seen before: one that is reached twice through links is read once, so a loop of
/// links ends.
fn below(folder: &Path, mut seen: HashSet<PathBuf>) -> Result<(Vec<PathBuf>, Ignored), DataError> {
    let mut pending = vec![folder.to_path_buf()];
    let mut listings = Vec::new();
    let mut ignored = Ignored::default();
    while let Some(folder) = pending.pop() {
        if !seen.insert(canonical(&folder)?) {
            continue;
        }
        let listing = list(&folder)?;
        ignored.add(listing.ignored);
        // A stack gives back the last first: so the first folder in byte order is read first.
        pending.extend(listing.folders.into_iter().rev());
        listings.push((folder, listing.images));
    }
    listings.sort_by(|a, b| bytes(&a.0).cmp(bytes(&b.0)));
    Ok((listings.into_iter().flat_map(|(_, images)| images).collect(), ignored))
}

/// The right error for a folder that cannot be read.
pub(crate) fn fault(path: &Path, cause: std::io::Error) -> DataError {
    let path = path.to_path_buf();
    match cause.kind() {
        ErrorKind::NotFound => DataError::Missing { path },
        ErrorKind::NotADirectory => DataError::NotAFolder { path },
        _ if path.is_file() => DataError::NotAFolder { path },
        _ => DataError::Read { path, cause },
    }
}

/// A folder's last name, which must be text.
pub(crate) fn name_of(folder: &Path) -> Result<String, DataError> {
    let name = folder.file_name().and_then(OsStr::to_str);
    name.map(str::to_owned).ok_or_else(|| DataError::ClassName { folder: folder.to_path_buf() })
}

fn canonical(path: &Path) -> Result<PathBuf, DataError> {
    fs::canonicalize(path).map_err(|cause| fault(path, cause))
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// `__MACOSX` is what a Mac's zip leaves beside the real folders; its files are hidden ones.
fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX")
}

fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> (Vec<String>, Ignored) {
        let (paths, ignored) = images_below(folder, folder.parent().unwrap()).unwrap();
        let relative =
            |path: PathBuf| path.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/");
        (paths.into_iter().map(relative).collect(), ignored)
    }

    #[test]
    fn folders_come_in_byte_order_with_their_files_before_those_below() {
        let root = tempfile::tempdir().unwrap();
        let class = root.path().join("class");
        for file in [
            "b/1.jpg",
            "b-c/2.png",
            "z.JPG",
            "B.webp",
            "b/d/0.jpg",
            "a.txt",
            ".hidden.jpg",
            "é.png",
        ] {
            let path = class.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        let (found, ignored) = names(&class);
        assert_eq!(found, ["B.webp", "z.JPG", "é.png", "b/1.jpg", "b-c/2.png", "b/d/0.jpg"]);
        assert_eq!(ignored, Ignored { hidden: 1, other: 1 });
    }

    #[cfg(unix)]
    #[test]
    fn loops_of_links_end_and_a_folder_is_read_once() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let class = root.path().join("class");
        fs::create_dir_all(class.join("inner")).unwrap();
        fs::write(class.join("inner/1.png"), b"").unwrap();
        symlink(&class, class.join("inner/up")).unwrap();
        symlink(root.path(), class.join("inner/top")).unwrap();
        symlink(class.join("inner"), class.join("twice")).unwrap();
        symlink(class.join("self.jpg"), class.join("self.jpg")).unwrap();
        assert_eq!(names(&class).0, ["self.jpg", "inner/1.png"]);
    }
}

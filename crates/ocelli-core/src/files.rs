//! Files that appear whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file could not be written; what stood there before still does.
#[derive(Debug, Error)]
#[error("cannot write {path}: {source}", path = path.display())]
pub struct WriteError {
    /// The file that should have been written.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Writes a file aside, syncs it and renames it into place.
///
/// # Errors
/// Where the folder cannot be written or the disk is full; the path is named, the partial file is
/// removed, and a file that stood at `path` is left as it was.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    replace(
        path,
        |aside| Ok(BufWriter::new(File::create(aside)?)),
        fill,
        |file| file.get_ref().sync_all(),
    )
    .map_err(|source| WriteError { path: path.to_path_buf(), source })
}

/// Creates a folder with its parents.
///
/// # Errors
/// Where it cannot be created; the path is named.
pub fn create_folder(path: &Path) -> Result<(), WriteError> {
    std::fs::create_dir_all(path).map_err(|source| WriteError { path: path.to_path_buf(), source })
}

fn replace<W: Write>(
    path: &Path,
    open: impl FnOnce(&Path) -> io::Result<W>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    sync: impl FnOnce(&W) -> io::Result<()>,
) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".partial");
    let aside = PathBuf::from(aside);
    let write = || {
        let mut writer = open(&aside)?;
        fill(&mut writer)?;
        writer.flush()?;
        sync(&writer)?;
        std::fs::rename(&aside, path)
    };
    // A folder that stands at the path, or a failed removal, must not hide the first error.
    write().inspect_err(|_| drop(std::fs::remove_file(&aside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full after some bytes.
    struct Full<W>(W, usize);

    impl<W: Write> Write for Full<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = bytes.len().min(self.1);
            if room == 0 && !bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.1 -= room;
            self.0.write(&bytes[..room])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[test]
    fn a_full_disk_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        write_whole(&path, |file| file.write_all(b"first")).unwrap();
        for room in 0..6 {
            let open = |aside: &Path| Ok(Full(File::create(aside)?, room));
            let error =
                replace(&path, open, |file| file.write_all(b"second"), |_| Ok(())).map(drop);
            if room < 6 {
                assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
            }
            assert_eq!(std::fs::read(&path).unwrap(), b"first");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_path_under_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = write_whole(&file.join("below"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("below"), "{error}");
        assert!(create_folder(&file.join("folder")).is_err());
    }
}

//! `torch.save` since PyTorch 1.6: a zip archive, uncompressed, of `NAME/data.pkl` and the storages
//! `NAME/data/KEY`.

use std::collections::HashMap;
use std::io::{Cursor, copy, sink};
use std::ops::Range;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::fault::{Fault, Result};
use super::machine::run;
use super::object::{Objects, Storage};
use super::state;
use super::stream::Stream;
use super::tensors::{Storages, collect};
use crate::weights::{Checkpoint, Choice, Format, WeightsError};

const PICKLE: &str = "data.pkl";

pub(in crate::weights) fn read(
    path: &Path,
    bytes: &[u8],
    choice: Choice,
) -> std::result::Result<Checkpoint, WeightsError> {
    parse(bytes, choice).map_err(|fault| fault.named(path))
}

fn parse(bytes: &[u8], choice: Choice) -> Result<Checkpoint> {
    let mut archive = Archive::open(bytes)?;
    let pickle = archive.entry(PICKLE)?;
    let mut objects = Objects::default();
    let root = run(&mut Stream::new(&bytes[pickle]), &mut objects)?;
    let state = state::find(&objects, root, choice)?;
    let tensors = collect(&objects, &state, &mut archive, bytes.len())?;
    let (metadata, format) = (Default::default(), Format::PickleZip);
    Ok(Checkpoint { tensors, metadata, format, skipped: state.skipped })
}

struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder that holds everything, with its slash.
    folder: String,
    /// Storages whose checksums have been compared.
    known: HashMap<String, Range<usize>>,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| Fault::Damaged(format!("truncated or no zip archive: {error}")))?;
        let folder = folder(&zip)?;
        let mut archive = Self { bytes, zip, folder, known: HashMap::new() };
        if archive.has("constants.pkl") {
            return Fault::unsupported(
                "it is a TorchScript program; load it with torch.jit.load and save its state_dict",
            );
        }
        if archive.has("byteorder") {
            let order = archive.entry("byteorder")?;
            if bytes[order].trim_ascii() != b"little" {
                return Fault::unsupported(
                    "it was written on a big-endian machine; save it again on another",
                );
            }
        }
        Ok(archive)
    }

    fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(&format!("{}{name}", self.folder)).is_some()
    }

    /// Where an entry's bytes lie, once their checksum has been compared.
    fn entry(&mut self, name: &str) -> Result<Range<usize>> {
        let full = format!("{}{name}", self.folder);
        let damaged = |error: &dyn std::fmt::Display| Fault::Damaged(format!("{full}: {error}"));
        let mut entry = self.zip.by_name(&full).map_err(|error| damaged(&error))?;
        if entry.compression() != CompressionMethod::Stored {
            return Fault::unsupported(format!(
                "{full} is compressed, which torch.save never does; save it again with PyTorch"
            ));
        }
        let length = usize::try_from(entry.size()).ok();
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let range = start.zip(length).and_then(|(start, length)| {
            let range = start..start.checked_add(length)?;
            self.bytes.get(range.clone()).map(|_| range)
        });
        let range = range.ok_or_else(|| damaged(&"it lies outside the file"))?;
        copy(&mut entry, &mut sink()).map_err(|error| damaged(&error))?;
        Ok(range)
    }
}

impl Storages for Archive<'_> {
    fn bytes(&mut self, key: &str, storage: &Storage) -> Result<&[u8]> {
        let range = match self.known.get(key) {
            Some(range) => range.clone(),
            None => self.entry(&format!("data/{key}"))?,
        };
        self.known.insert(key.to_owned(), range.clone());
        let claimed = usize::try_from(storage.length).ok();
        let claimed = claimed.and_then(|length| length.checked_mul(storage.dtype.size()));
        if claimed.is_none_or(|claimed| claimed > range.len()) {
            let (claimed, have) = (storage.length, range.len());
            let reason = format!("its storage of {claimed} elements has only {have} bytes");
            return Fault::damaged(reason);
        }
        Ok(&self.bytes[range])
    }
}

/// PyTorch puts everything into one folder named after the file.
fn folder(zip: &ZipArchive<Cursor<&[u8]>>) -> Result<String> {
    let mut folders = zip.file_names_raw().filter_map(|name| {
        let folder = std::str::from_utf8(name).ok()?.strip_suffix(PICKLE)?;
        let depth = folder.matches('/').count();
        (depth == 0 && folder.is_empty() || depth == 1 && folder.ends_with('/')).then_some(folder)
    });
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder.to_owned()),
        (None, _) => {
            Fault::unsupported("it is a zip archive without a data.pkl: not of torch.save")
        }
        (Some(_), Some(_)) => Fault::damaged("it has more than one data.pkl"),
    }
}

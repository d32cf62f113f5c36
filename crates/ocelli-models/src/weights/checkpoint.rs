//! A file of weights, whole, whatever its format.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use ocelli_nn::DiskTensor;

use super::{RawTensor, WeightsError, pickle, safetensors, state_dict};

/// A file of weights, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The tensors by name, in the file's order, without the wrappers' prefixes (see [`read`]).
    pub tensors: IndexMap<String, RawTensor>,
    /// The metadata of a safetensors file; empty for a pickle.
    pub metadata: BTreeMap<String, String>,
    /// The format it was in.
    pub format: Format,
    /// Entries of the state dict that are not tensors, and were left out.
    pub skipped: usize,
}

impl Checkpoint {
    /// The tensors as f32, as a network takes them over.
    pub fn to_disk(&self) -> Vec<(String, DiskTensor)> {
        let disk = |tensor: &RawTensor| DiskTensor {
            shape: tensor.shape.clone(),
            values: tensor.to_f32(),
        };
        self.tensors.iter().map(|(name, tensor)| (name.clone(), disk(tensor))).collect()
    }
}

/// How a file of weights was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// `torch.save` since PyTorch 1.6: a zip archive around a pickle.
    PickleZip,
    /// `torch.save` before PyTorch 1.6: pickles, then the storages.
    PickleLegacy,
}

/// Which weights to take from a training checkpoint that has two sets of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// The trained weights.
    #[default]
    Model,
    /// Their exponential moving average, where the file has one; else the trained weights.
    Ema,
}

/// Reads a file of weights; its content says which format it has, not its name.
///
/// In a pickle the state dict is the first dictionary found under `state_dict`, `model_state_dict`,
/// `model`, `module` or `net` (in this order, one inside another too), else the dictionary whose values
/// are tensors. The prefixes of wrappers are removed: `module.` (DataParallel) and `_orig_mod.`
/// (torch.compile) wherever they stand first, `model.` where every name has it. `num_batches_tracked`
/// stays in.
///
/// # Errors
/// [`WeightsError`] names the file, and the tensor where it is one tensor's fault. A hostile file is an
/// error: nothing in it is executed, and memory stays within a small multiple of its length.
pub fn read(path: &Path) -> Result<Checkpoint, WeightsError> {
    read_choice(path, Choice::Model)
}

/// As [`read`], with a choice between the trained weights and their moving average, which is looked for
/// under `state_dict_ema`, `model_ema`, `ema_state_dict` and `ema`.
///
/// # Errors
/// As [`read`].
pub fn read_choice(path: &Path, choice: Choice) -> Result<Checkpoint, WeightsError> {
    let bytes =
        std::fs::read(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
    let mut checkpoint = parse(path, &bytes, choice)?;
    checkpoint.tensors = state_dict::without_wrappers(checkpoint.tensors);
    Ok(checkpoint)
}

/// `path` serves the messages only.
pub(super) fn parse(path: &Path, bytes: &[u8], choice: Choice) -> Result<Checkpoint, WeightsError> {
    match Guess::from(bytes) {
        Guess::Zip => pickle::read_archive(path, bytes, choice),
        Guess::Pickle => pickle::read_legacy(path, bytes, choice),
        Guess::Safetensors => safetensors::read(path, bytes),
        Guess::Other(found) => {
            Err(WeightsError::Format { path: path.to_owned(), found: found.to_owned() })
        }
    }
}

enum Guess {
    Zip,
    Pickle,
    Safetensors,
    Other(&'static str),
}

impl Guess {
    fn from(bytes: &[u8]) -> Self {
        let text = bytes.trim_ascii_start();
        let tar = |at| bytes.get(at..).is_some_and(|rest: &[u8]| rest.starts_with(b"ustar"));
        match bytes {
            [] => Guess::Other("it is empty"),
            // The length of the header in 8 bytes, of which the last are always 0, then the header.
            [_, _, _, _, 0, 0, 0, 0, b'{', ..] => Guess::Safetensors,
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Guess::Zip,
            // The second is how protocols 0 and 1 spell torch's magic number.
            [0x80, ..] | [b'L', b'1', b'1', b'9', ..] => Guess::Pickle,
            _ if tar(257) => Guess::Other(
                "a tar archive, as PyTorch before 0.1.12 wrote (or a download to unpack first)",
            ),
            _ if text.starts_with(b"<") => Guess::Other("a web page (a failed download?)"),
            _ if text.starts_with(b"version https://git-lfs") => {
                Guess::Other("a Git LFS pointer; run `git lfs pull` for the file itself")
            }
            [0x1f, 0x8b, ..] => Guess::Other("a gzip file; unpack it first"),
            [0x89, b'H', b'D', b'F', ..] => Guess::Other("an HDF5 file (Keras?)"),
            _ if bytes.len() < 16 => Guess::Other("a few bytes (a failed download?)"),
            _ => Guess::Other("an unknown format"),
        }
    }
}

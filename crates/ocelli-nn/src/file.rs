//! Weights on disk: safetensors, in PyTorch's axis order.

use std::collections::HashMap;
use std::path::Path;

use indexmap::IndexMap;
use ocelli_core::files;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{Error, Result};

/// A tensor as it stands in a file: PyTorch's shape and order, as f32.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskTensor {
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// The values, last axis fastest.
    pub values: Vec<f32>,
}

/// Reads a safetensors file of f32 tensors, with its metadata.
///
/// # Errors
/// Where the file cannot be read, is damaged or cut short, or holds another type than f32; names the
/// file and the tensor.
pub fn read_safetensors(
    path: &Path,
) -> Result<(IndexMap<String, DiskTensor>, HashMap<String, String>)> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::File { path: path.to_path_buf(), reason: error.to_string() })?;
    parse_safetensors(&bytes, path)
}

/// [`read_safetensors`] of a file's bytes; `path` names them in messages.
///
/// # Errors
/// As [`read_safetensors`].
pub fn parse_safetensors(
    bytes: &[u8],
    path: &Path,
) -> Result<(IndexMap<String, DiskTensor>, HashMap<String, String>)> {
    let fail = |reason: String| Error::File { path: path.to_path_buf(), reason };
    let broken = |error| fail(format!("not a whole safetensors file: {error}"));
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let mut out = IndexMap::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(fail(format!("`{name}` is {:?}, not F32", view.dtype())));
        }
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        out.insert(name.to_string(), DiskTensor { shape: view.shape().to_vec(), values });
    }
    Ok((out, header.metadata().clone().unwrap_or_default()))
}

/// Writes tensors as f32 safetensors with metadata. The file appears whole or not at all: it is written
/// aside, synced and renamed.
///
/// # Errors
/// Where the folder cannot be written or the disk is full; names the file.
pub fn write_safetensors(
    path: &Path,
    tensors: &[(String, DiskTensor)],
    metadata: HashMap<String, String>,
) -> Result<()> {
    let fail = |reason: String| Error::File { path: path.to_path_buf(), reason };
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, tensor)| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, tensor), bytes)| {
            Ok((name, TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| fail(error.to_string()))?;
    let whole =
        safetensors::serialize(views, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    files::write_whole(path, |file| file.write_all(&whole))
        .map_err(|error| fail(format!("cannot be written: {}", error.source)))
}

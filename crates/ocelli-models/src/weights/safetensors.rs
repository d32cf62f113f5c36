//! safetensors files: the crate's checks, with errors that name the tensor.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use safetensors::{Dtype as FileDtype, SafeTensorError, SafeTensors};
use serde_json::Value;

use super::{Checkpoint, Dtype, Format, RawTensor, WeightsError};

pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Checkpoint, WeightsError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| explain(path, bytes, &error))?;
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|error| explain(path, bytes, &error))?;
    let mut tensors = IndexMap::with_capacity(file.len());
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|error| explain(path, bytes, &error))?;
        let dtype = dtype(view.dtype()).ok_or_else(|| WeightsError::Tensor {
            path: path.to_owned(),
            tensor: name.clone(),
            reason: format!("its type {:?} is not supported; convert it to F32", view.dtype()),
        })?;
        let tensor = RawTensor { shape: view.shape().to_vec(), dtype, data: view.data().to_vec() };
        tensors.insert(name, tensor);
    }
    let metadata: BTreeMap<_, _> = header.metadata().clone().into_iter().flatten().collect();
    Ok(Checkpoint { tensors, metadata, format: Format::Safetensors, skipped: 0 })
}

fn dtype(dtype: FileDtype) -> Option<Dtype> {
    Some(match dtype {
        FileDtype::F16 => Dtype::F16,
        FileDtype::BF16 => Dtype::Bf16,
        FileDtype::F32 => Dtype::F32,
        FileDtype::F64 => Dtype::F64,
        FileDtype::I8 => Dtype::I8,
        FileDtype::U8 => Dtype::U8,
        FileDtype::I16 => Dtype::I16,
        FileDtype::I32 => Dtype::I32,
        FileDtype::I64 => Dtype::I64,
        FileDtype::BOOL => Dtype::Bool,
        _ => return None,
    })
}

/// The crate says what is wrong; the header, read again, says with which tensor.
fn explain(path: &Path, bytes: &[u8], error: &SafeTensorError) -> WeightsError {
    let damaged = |reason| WeightsError::Damaged { path: path.to_owned(), reason };
    let Some(header) = header(bytes) else {
        let length = bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let rest = bytes.len().saturating_sub(8) as u64;
        return damaged(if length > rest {
            format!(
                "truncated: its header has {length} bytes, the file has {rest} after the length"
            )
        } else {
            error.to_string()
        });
    };
    let Value::Object(entries) = &header.json else {
        return damaged("its header is not a JSON object".to_owned());
    };
    let mut end = 0;
    for (tensor, entry) in entries.iter().filter(|entry| entry.0 != "__metadata__") {
        match entry_end(entry) {
            Ok(entry_end) => end = end.max(entry_end),
            Err(reason) => {
                let tensor = tensor.clone();
                return WeightsError::Tensor { path: path.to_owned(), tensor, reason };
            }
        }
    }
    let have = (bytes.len() - header.end) as u64;
    match error {
        _ if end > have => damaged(format!(
            "truncated: its tensors have {end} bytes, the file has {have}; download it again"
        )),
        SafeTensorError::InvalidOffset(name) => WeightsError::Tensor {
            path: path.to_owned(),
            tensor: name.clone(),
            reason: "its bytes overlap another tensor's, or leave a gap".to_owned(),
        },
        SafeTensorError::MetadataIncompleteBuffer => {
            damaged(format!("its tensors have {end} bytes, the file has {have}"))
        }
        _ => damaged(error.to_string()),
    }
}

struct Header {
    json: Value,
    end: usize,
}

fn header(bytes: &[u8]) -> Option<Header> {
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let end = length.checked_add(8)?;
    let json = serde_json::from_slice(bytes.get(8..end)?).ok()?;
    Some(Header { json, end })
}

/// Where a tensor's bytes end, if its entry makes sense.
fn entry_end(entry: &Value) -> Result<u64, String> {
    let dtype = entry["dtype"].as_str().ok_or("it has no type")?;
    let dtype: FileDtype = serde_json::from_value(Value::from(dtype))
        .map_err(|_| format!("its type {dtype} is unknown; convert it to F32"))?;
    let numbers = |key: &str| -> Option<Vec<u64>> {
        entry[key].as_array()?.iter().map(Value::as_u64).collect()
    };
    let shape = numbers("shape").ok_or("its shape is not a list of lengths")?;
    let &[start, end] = numbers("data_offsets").as_deref().unwrap_or(&[]) else {
        return Err("it has no data_offsets".to_owned());
    };
    let bits = shape.iter().try_fold(dtype.bitsize() as u64, |n, &axis| n.checked_mul(axis));
    match (bits, end.checked_sub(start)) {
        (Some(bits), Some(have)) if bits.div_ceil(8) == have => Ok(end),
        _ => {
            Err(format!("its shape {shape:?} of {dtype:?} does not fill its bytes {start}..{end}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Choice;
    use crate::weights::checkpoint::parse;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend((0..data).map(|i| i as u8));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Checkpoint, WeightsError> {
        parse(Path::new("w.safetensors"), bytes, Choice::Model)
    }

    fn complaint(header: &str, data: usize) -> String {
        read(&file(header, data)).unwrap_err().to_string()
    }

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},
        "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;

    #[test]
    fn tensors_come_in_the_files_order() {
        let checkpoint = read(&file(TWO, 8)).unwrap();
        assert_eq!(checkpoint.format, Format::Safetensors);
        assert_eq!(checkpoint.metadata["format"], "pt");
        assert!(checkpoint.tensors.keys().eq(["a", "b"]));
        let b = RawTensor { shape: vec![2], dtype: Dtype::F16, data: vec![4, 5, 6, 7] };
        assert_eq!(checkpoint.tensors["b"], b);
        assert_eq!(checkpoint.tensors["a"].len(), 1);
    }

    #[test]
    fn a_truncated_file_says_so_at_every_length() {
        let whole = file(TWO, 8);
        for length in 9..whole.len() {
            let error = read(&whole[..length]).unwrap_err().to_string();
            assert!(error.starts_with("w.safetensors is damaged: truncated"), "{length}: {error}");
        }
        for length in 0..9 {
            assert!(matches!(read(&whole[..length]), Err(WeightsError::Format { .. })));
        }
        assert!(complaint(TWO, 9).contains("its tensors have 8 bytes, the file has 9"));
    }

    #[test]
    fn errors_name_the_tensor() {
        let overlap = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
                          "b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
        assert_eq!(
            complaint(overlap, 6),
            "w.safetensors: tensor `b`: its bytes overlap another tensor's, or leave a gap"
        );
        let unknown = r#"{"a":{"dtype":"F7","shape":[4],"data_offsets":[0,4]}}"#;
        assert!(complaint(unknown, 4).contains("tensor `a`: its type F7 is unknown"));
        let complex = r#"{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#;
        assert!(complaint(complex, 8).contains("tensor `a`: its type C64 is not supported"));
        let short = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#;
        assert!(complaint(short, 4).contains("tensor `a`: its shape [2] of F32 does not fill"));
        let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#;
        assert!(complaint(huge, 4).contains("tensor `a`"));
        let none = r#"{"a":{"dtype":"F32","shape":[1]}}"#;
        assert!(complaint(none, 4).contains("tensor `a`: it has no data_offsets"));
        assert!(complaint("{\"a\":", 4).contains("damaged"));
    }
}

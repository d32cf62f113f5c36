//! Copies tensors out of their storages: any strides in, contiguous out.

use std::ops::Range;

use indexmap::IndexMap;

use super::fault::{Fault, Result};
use super::object::{Objects, Storage, Tensor, Value};
use super::state::State;
use crate::weights::RawTensor;

/// Tied weights and expanded tensors take more memory than their file; this much more and no more.
const MAX_GROWTH: usize = 8;
const MAX_EXTRA: usize = 1 << 20;

/// Where the storages of a file lie.
pub(super) trait Storages {
    /// The bytes of a storage, at least the length it claims.
    fn bytes(&mut self, key: &str, storage: &Storage) -> Result<&[u8]>;
}

/// The tensors of a state dict; `file` is the length of the whole file.
pub(super) fn collect(
    objects: &Objects,
    state: &State,
    storages: &mut impl Storages,
    file: usize,
) -> Result<IndexMap<String, RawTensor>> {
    let mut budget = file.saturating_mul(MAX_GROWTH).saturating_add(MAX_EXTRA);
    let mut tensors = IndexMap::with_capacity(state.tensors.len());
    for &(name, tensor) in &state.tensors {
        let named = |reason: String| Fault::Tensor { tensor: name.to_owned(), reason };
        let layout = Layout::of(tensor).map_err(named)?;
        let wanted = layout.length * tensor.storage.dtype.size();
        budget = budget.checked_sub(wanted).ok_or_else(|| {
            let limit = format!("{MAX_GROWTH} times the file's length");
            named(format!("the tensors up to this one would take more than {limit}"))
        })?;
        let key = key(objects, tensor.storage.key).map_err(named)?;
        let bytes = storages.bytes(&key, &tensor.storage).map_err(|fault| match fault {
            Fault::Damaged(reason) => named(reason),
            other => other,
        })?;
        tensors.insert(name.to_owned(), layout.copy(tensor, bytes).map_err(named)?);
    }
    Ok(tensors)
}

/// Keys are strings; very old files have numbers.
pub(super) fn key(objects: &Objects, key: Value) -> std::result::Result<String, String> {
    match key {
        Value::Int(key) => Ok(key.to_string()),
        _ => match objects.str(key) {
            Some(key) if key.len() <= 256 => Ok(key.to_owned()),
            _ => Err("its storage has no usable name".to_owned()),
        },
    }
}

/// A tensor's place in its storage, checked.
struct Layout {
    shape: Vec<usize>,
    strides: Vec<usize>,
    first: usize,
    length: usize,
}

impl Layout {
    fn of(tensor: &Tensor) -> std::result::Result<Self, String> {
        let size = tensor.storage.dtype.size();
        let whole = usize::try_from(tensor.storage.length)
            .ok()
            .filter(|whole| whole.checked_mul(size).is_some())
            .ok_or_else(|| format!("its storage has {} elements", tensor.storage.length))?;
        let window = window(tensor, whole)
            .ok_or_else(|| format!("its view leaves its storage of {whole} elements"))?;
        let claims = || {
            let Tensor { offset, shape, strides, .. } = tensor;
            format!("shape {shape:?}, strides {strides:?} and offset {offset}")
        };
        let outside = || {
            let available = window.len();
            format!("{} lead outside its storage of {available} elements", claims())
        };
        let shape = unsigned(&tensor.shape).ok_or_else(|| format!("{} make no sense", claims()))?;
        let mut strides =
            unsigned(&tensor.strides).ok_or_else(|| format!("{} make no sense", claims()))?;
        let offset = usize::try_from(tensor.offset).map_err(|_| outside())?;
        if shape.contains(&0) {
            return Ok(Self { shape, strides, first: 0, length: 0 });
        }
        let product = |n: usize, &axis: &usize| n.checked_mul(axis);
        let length = shape.iter().try_fold(1, product).ok_or_else(outside)?;
        length.checked_mul(size).ok_or_else(outside)?;
        // The stride of an axis of length 1 may be anything, and is never walked.
        strides.iter_mut().zip(&shape).for_each(|(stride, &axis)| *stride *= usize::from(axis > 1));
        let mut last = offset;
        for (axis, stride) in shape.iter().zip(&strides) {
            let reach = (axis - 1).checked_mul(*stride);
            last = reach.and_then(|reach| last.checked_add(reach)).ok_or_else(outside)?;
        }
        if last >= window.len() {
            return Err(outside());
        }
        Ok(Self { shape, strides, first: window.start + offset, length })
    }

    fn copy(&self, tensor: &Tensor, storage: &[u8]) -> std::result::Result<RawTensor, String> {
        let dtype = tensor.storage.dtype;
        let size = dtype.size();
        let short = || format!("its storage has only {} bytes", storage.len());
        let mut data = Vec::with_capacity(self.length * size);
        if self.length > 0 {
            let source = storage.get(self.first * size..).ok_or_else(short)?;
            if self.is_contiguous() {
                data.extend_from_slice(source.get(..self.length * size).ok_or_else(short)?);
            } else {
                self.gather(source, size, &mut data).ok_or_else(short)?;
            }
        }
        Ok(RawTensor { shape: self.shape.clone(), dtype, data })
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&axis, &stride)| {
            let fits = axis == 1 || stride == expected;
            expected *= axis;
            fits
        })
    }

    /// Walks the indices in row-major order, like an odometer.
    fn gather(&self, source: &[u8], size: usize, data: &mut Vec<u8>) -> Option<()> {
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..self.length {
            data.extend_from_slice(source.get(at * size..(at + 1) * size)?);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                at += self.strides[axis];
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= self.strides[axis] * self.shape[axis];
                index[axis] = 0;
            }
        }
        Some(())
    }
}

/// The elements of the storage that the tensor may use.
fn window(tensor: &Tensor, whole: usize) -> Option<Range<usize>> {
    let Some((first, length)) = tensor.storage.view else { return Some(0..whole) };
    let first = usize::try_from(first).ok()?;
    let end = first.checked_add(usize::try_from(length).ok()?)?;
    (end <= whole).then_some(first..end)
}

fn unsigned(values: &[i64]) -> Option<Vec<usize>> {
    values.iter().map(|&value| usize::try_from(value).ok()).collect()
}

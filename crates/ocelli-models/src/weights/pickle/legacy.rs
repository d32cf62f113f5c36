//! `torch.save` before PyTorch 1.6: five pickles (magic number, protocol version, system, the object,
//! the keys of its storages), then each storage as its length and its elements.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use super::fault::{Fault, Result};
use super::machine::run;
use super::object::{Object, Objects, Storage, Value};
use super::state;
use super::stream::Stream;
use super::tensors::{Storages, collect, key};
use crate::weights::{Checkpoint, Choice, Dtype, Format, WeightsError};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i64 = 1001;

pub(in crate::weights) fn read(
    path: &Path,
    bytes: &[u8],
    choice: Choice,
) -> std::result::Result<Checkpoint, WeightsError> {
    parse(bytes, choice).map_err(|fault| fault.named(path))
}

fn parse(bytes: &[u8], choice: Choice) -> Result<Checkpoint> {
    let mut stream = Stream::new(bytes);
    let mut objects = Objects::default();
    preamble(&mut stream, &mut objects)?;
    let root = run(&mut stream, &mut objects)?;
    let keys = run(&mut stream, &mut objects)?;
    let state = state::find(&objects, root, choice)?;
    let mut storages = Sections { bytes, ranges: sections(bytes, &mut stream, &objects, keys)? };
    let tensors = collect(&objects, &state, &mut storages, bytes.len())?;
    let (metadata, format) = (Default::default(), Format::PickleLegacy);
    Ok(Checkpoint { tensors, metadata, format, skipped: state.skipped })
}

fn preamble(stream: &mut Stream, objects: &mut Objects) -> Result<()> {
    let magic = run(stream, objects)?;
    if !matches!(objects.get(magic), Some(Object::Long(MAGIC))) {
        return Fault::unsupported(
            "it is a plain pickle; only files of torch.save, or safetensors, are read",
        );
    }
    let protocol = run(stream, objects)?;
    if protocol != Value::Int(PROTOCOL) {
        return Fault::damaged("its version of the legacy format is not 1001");
    }
    let system = run(stream, objects)?;
    let little = objects.dict(system).and_then(|system| objects.entry(system, "little_endian"));
    if little == Some(Value::Bool(false)) {
        return Fault::unsupported(
            "it was written on a big-endian machine; save it again on another",
        );
    }
    Ok(())
}

struct Sections<'a> {
    bytes: &'a [u8],
    ranges: HashMap<String, Range<usize>>,
}

impl Storages for Sections<'_> {
    fn bytes(&mut self, key: &str, _: &Storage) -> Result<&[u8]> {
        match self.ranges.get(key) {
            Some(range) => Ok(&self.bytes[range.clone()]),
            None => Fault::damaged(format!("its storage {key} is not in the file")),
        }
    }
}

/// The storages follow the list of their keys, in its order; their types stand in the persistent ids.
fn sections(
    bytes: &[u8],
    stream: &mut Stream,
    objects: &Objects,
    keys: Value,
) -> Result<HashMap<String, Range<usize>>> {
    let Some(Object::List(keys)) = objects.get(keys) else {
        return Fault::damaged("it has no list of storages");
    };
    let mut types: HashMap<String, Dtype> = HashMap::new();
    for storage in objects.storages() {
        types.insert(key(objects, storage.key).map_err(Fault::Damaged)?, storage.dtype);
    }
    let mut ranges = HashMap::new();
    for &value in keys {
        let name = key(objects, value).map_err(Fault::Damaged)?;
        let Some(dtype) = types.get(&name) else {
            return Fault::damaged(format!("nothing uses its storage {name}"));
        };
        let section = section(stream, *dtype)
            .map_err(|_| Fault::Damaged(format!("truncated: storage {name} is not complete")))?;
        debug_assert!(section.end <= bytes.len());
        ranges.insert(name, section);
    }
    Ok(ranges)
}

fn section(stream: &mut Stream, dtype: Dtype) -> Result<Range<usize>> {
    let length = usize::try_from(stream.u64()?).ok();
    let length = length.and_then(|length| length.checked_mul(dtype.size()));
    let start = stream.position();
    stream.take(length.unwrap_or(usize::MAX))?;
    Ok(start..stream.position())
}

//! Finds the dictionary of tensors in what a training script saved.

use super::fault::{Fault, Result};
use super::object::{Object, Objects, Tensor, Value};
use crate::weights::Choice;

/// Where scripts keep the trained weights.
const MODEL: [&str; 5] = ["state_dict", "model_state_dict", "model", "module", "net"];
/// Where scripts keep the moving average of the weights.
const EMA: [&str; 4] = ["state_dict_ema", "model_ema", "ema_state_dict", "ema"];
/// How deep a state dict may be wrapped.
const MAX_DEPTH: usize = 4;
/// Longer than any path in a network.
const MAX_NAME: usize = 1024;

/// A state dict: its tensors in order, and how many entries are something else.
pub(super) struct State<'o> {
    pub tensors: Vec<(&'o str, &'o Tensor)>,
    pub skipped: usize,
}

pub(super) fn find(objects: &Objects, root: Value, choice: Choice) -> Result<State<'_>> {
    let ema = match choice {
        Choice::Ema => search(objects, root, &EMA, MAX_DEPTH),
        Choice::Model => None,
    };
    ema.or_else(|| search(objects, root, &MODEL, MAX_DEPTH))
        .or_else(|| tensors(objects, root))
        .ok_or_else(|| Fault::NoTensors(describe(objects, root)))
}

/// The state dict under the first key that has one.
fn search<'o>(
    objects: &'o Objects,
    value: Value,
    keys: &[&str],
    depth: usize,
) -> Option<State<'o>> {
    let dict = objects.dict(value)?;
    let depth = depth.checked_sub(1)?;
    keys.iter()
        .filter_map(|key| objects.entry(dict, key))
        .find_map(|inner| search(objects, inner, &MODEL, depth).or_else(|| tensors(objects, inner)))
}

fn tensors(objects: &Objects, value: Value) -> Option<State<'_>> {
    let mut state = State { tensors: vec![], skipped: 0 };
    for &(name, value) in objects.dict(value)? {
        match (objects.str(name), objects.get(value)) {
            (Some(name), Some(Object::Tensor(tensor))) if name.len() <= MAX_NAME => {
                state.tensors.push((name, tensor));
            }
            _ => state.skipped += 1,
        }
    }
    (!state.tensors.is_empty()).then_some(state)
}

fn describe(objects: &Objects, root: Value) -> String {
    let Some(dict) = objects.dict(root) else {
        return format!("it holds {}, not a dict", objects.kind(root));
    };
    if dict.is_empty() {
        return "it holds an empty dict".to_owned();
    }
    let entry = |&(key, value): &(Value, Value)| {
        let key = objects.str(key).unwrap_or("?").chars().take(40).collect::<String>();
        format!("{key:?}: {}", objects.kind(value))
    };
    let shown: Vec<String> = dict.iter().take(12).map(entry).collect();
    let more = if dict.len() > shown.len() { ", ..." } else { "" };
    format!("it holds a dict of {{{}{more}}}", shown.join(", "))
}

//! The calls that a pickle makes: containers, and the constructors of PyTorch's tensors.

use super::fault::{Fault, Result};
use super::globals::Global;
use super::object::{Object, Objects, Storage, Tensor, Value};

/// As many axes as NumPy allows.
const MAX_AXES: usize = 64;

/// `callable(*args)`, for `REDUCE`, `NEWOBJ` and their kin.
pub(super) fn call(objects: &mut Objects, callable: Value, args: Value) -> Result<Value> {
    let global = match objects.get(callable) {
        Some(Object::Global(global)) => *global,
        Some(Object::Opaque) => Global::Opaque,
        _ => return Fault::damaged(format!("{} is called", objects.kind(callable))),
    };
    let Some(arguments) = objects.tuple(args) else {
        return Fault::damaged(format!("the arguments of a call are {}", objects.kind(args)));
    };
    let made = match (global, arguments) {
        (Global::Dict, _) => Object::Dict(pairs(objects, arguments)),
        (Global::Size, &[axes]) => return Ok(axes),
        (Global::RebuildTensor, &[storage, offset, shape, strides])
        | (Global::RebuildTensorV2, &[storage, offset, shape, strides, ..]) => {
            Object::Tensor(tensor(objects, storage, offset, shape, strides)?)
        }
        (Global::RebuildParameter, &[data, ..]) => return Ok(data),
        (Global::Opaque, _) => Object::Opaque,
        (Global::Storage(_), _) => {
            return Fault::unsupported("a storage is pickled by itself, which is not read");
        }
        (global, _) => {
            let found = arguments.len();
            return Fault::damaged(format!("{global:?} is called with {found} arguments"));
        }
    };
    if let Object::Dict(items) = &made {
        objects.charge(items.len())?;
    }
    objects.add(made)
}

/// `OrderedDict([[key, value], ...])`, as Python 2 pickled it; other arguments carry no entries.
fn pairs(objects: &Objects, arguments: &[Value]) -> Vec<(Value, Value)> {
    let &[list] = arguments else { return Vec::new() };
    let Some(Object::List(items)) = objects.get(list) else { return Vec::new() };
    let pair = |item: &Value| match objects.get(*item) {
        Some(Object::List(pair) | Object::Tuple(pair)) => match pair[..] {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    };
    items.iter().filter_map(pair).collect()
}

fn tensor(
    objects: &Objects,
    storage: Value,
    offset: Value,
    shape: Value,
    strides: Value,
) -> Result<Tensor> {
    let Some(&Object::Storage(storage)) = objects.get(storage) else {
        return Fault::damaged(format!("a tensor is made of {}", objects.kind(storage)));
    };
    let Value::Int(offset) = offset else {
        return Fault::damaged("the offset of a tensor is no number");
    };
    let shape = axes(objects, shape)?;
    let strides = axes(objects, strides)?;
    if shape.len() != strides.len() {
        let (axes, given) = (shape.len(), strides.len());
        return Fault::damaged(format!("a tensor of {axes} axes has {given} strides"));
    }
    Ok(Tensor { storage, offset, shape, strides })
}

fn axes(objects: &Objects, value: Value) -> Result<Vec<i64>> {
    let Some(Object::Tuple(axes) | Object::List(axes)) = objects.get(value) else {
        return Fault::damaged(format!("the shape of a tensor is {}", objects.kind(value)));
    };
    if axes.len() > MAX_AXES {
        return Fault::damaged(format!("a tensor has {} axes", axes.len()));
    }
    let length = |axis: &Value| match axis {
        Value::Int(length) => Ok(*length),
        _ => Fault::damaged("the shape of a tensor holds something else than ints"),
    };
    axes.iter().map(length).collect()
}

/// What a persistent id stands for: `('storage', type, key, device, length[, view])`, where a view is
/// `(key, first element, length)`.
pub(super) fn persistent(objects: &Objects, id: Value) -> Result<Storage> {
    let found = || format!("a persistent id of an unknown form ({})", objects.kind(id));
    let bad = || Fault::Damaged(found());
    let items = objects.tuple(id).ok_or_else(bad)?;
    let (&[kind, class, key, _device, length], view) = items.split_first_chunk().ok_or_else(bad)?;
    if objects.str(kind) != Some("storage") {
        return Err(bad());
    }
    let (Some(&Object::Global(Global::Storage(dtype))), Value::Int(length)) =
        (objects.get(class), length)
    else {
        return Err(bad());
    };
    let view = match view {
        [] | [Value::None] => None,
        &[view] => match objects.tuple(view) {
            Some(&[_key, Value::Int(first), Value::Int(length)]) => Some((first, length)),
            _ => return Err(bad()),
        },
        _ => return Err(bad()),
    };
    Ok(Storage { dtype, key, length, view })
}

//! What a pickle can build. Containers refer to each other by index, as Python's do by reference, so
//! that a container may still be filled after something else holds it, or hold itself.

use super::fault::{Fault, Result};
use super::globals::Global;
use crate::weights::Dtype;

/// More objects than any checkpoint has, few enough for any machine.
const LIMIT: usize = 1 << 22;

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Ref(usize),
}

#[derive(Debug)]
pub(super) enum Object {
    Str(String),
    /// An integer beyond 64 bits.
    Long(i128),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
    /// Something harmless that no tensor depends on.
    Opaque,
}

/// A persistent id: the storage itself lies elsewhere in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage {
    pub dtype: Dtype,
    pub key: Value,
    /// Elements of the whole storage.
    pub length: i64,
    /// Files of PyTorch 0.3 and before: the part that this storage is, first element and length.
    pub view: Option<(i64, i64)>,
}

/// A tensor as described; nothing of it has been checked.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub storage: Storage,
    pub offset: i64,
    pub shape: Vec<i64>,
    pub strides: Vec<i64>,
}

/// All objects of one pickle.
#[derive(Debug, Default)]
pub(super) struct Objects {
    all: Vec<Object>,
    charged: usize,
}

impl Objects {
    pub(super) fn add(&mut self, object: Object) -> Result<Value> {
        self.charge(1)?;
        self.all.push(object);
        Ok(Value::Ref(self.all.len() - 1))
    }

    /// Counts values that are copied without costing bytes of the file.
    pub(super) fn charge(&mut self, values: usize) -> Result<()> {
        self.charged = self.charged.saturating_add(values);
        if self.charged > LIMIT {
            return Fault::unsupported(format!("its pickle makes more than {LIMIT} objects"));
        }
        Ok(())
    }

    pub(super) fn get(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Ref(index) => self.all.get(index),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, value: Value) -> Option<&mut Object> {
        match value {
            Value::Ref(index) => self.all.get_mut(index),
            _ => None,
        }
    }

    pub(super) fn str(&self, value: Value) -> Option<&str> {
        match self.get(value)? {
            Object::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.get(value)? {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.get(value)? {
            Object::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a string key; the last one wins, as in Python.
    pub(super) fn entry(&self, dict: &[(Value, Value)], key: &str) -> Option<Value> {
        dict.iter().rev().find(|(name, _)| self.str(*name) == Some(key)).map(|&(_, value)| value)
    }

    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.all.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// What a value is, for messages.
    pub(super) fn kind(&self, value: Value) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an int",
            Value::Float => "a float",
            Value::Ref(_) => match self.get(value) {
                Some(Object::Str(_)) => "a str",
                Some(Object::Long(_)) => "a long int",
                Some(Object::List(_)) => "a list",
                Some(Object::Tuple(_)) => "a tuple",
                Some(Object::Dict(_)) => "a dict",
                Some(Object::Global(_)) => "a function or class",
                Some(Object::Storage(_)) => "a storage",
                Some(Object::Tensor(_)) => "a tensor",
                Some(Object::Opaque) | None => "an object",
            },
        }
    }
}

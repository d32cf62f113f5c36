//! The pickle machine: a stack, a memo, and the opcodes of protocols 0 to 5.
//!
//! The language is described in the comments of Python's `pickletools` module. Left out are the
//! opcodes that reach outside the stream (extension codes, out-of-band buffers, textual persistent ids).

use std::collections::HashMap;

use super::fault::{Fault, Result};
use super::globals::{Global, permitted};
use super::literal::{decimal, little_endian, unquoted};
use super::object::{Object, Objects, Value};
use super::rebuild::{call, persistent};
use super::stream::{Stream, Width};

/// Far more than a checkpoint's pickle has (about 200 bytes a tensor), few enough for any machine.
const LIMIT: usize = 1 << 25;

/// Reads one pickle from the stream and returns what it leaves on the stack.
pub(super) fn run(stream: &mut Stream, objects: &mut Objects) -> Result<Value> {
    let start = stream.position();
    let mut machine =
        Machine { stream, objects, stack: vec![], marks: vec![], memo: HashMap::new() };
    loop {
        let position = machine.stream.position();
        if position - start > LIMIT {
            return Fault::unsupported(format!("its pickle is longer than {} MiB", LIMIT >> 20));
        }
        if let Some(result) = machine.step().map_err(|fault| fault.at(position))? {
            return Ok(result);
        }
    }
}

struct Machine<'m, 'a> {
    stream: &'m mut Stream<'a>,
    objects: &'m mut Objects,
    stack: Vec<Value>,
    /// Heights of the stack at each open MARK.
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
}

impl Machine<'_, '_> {
    /// Executes one opcode; `STOP` gives the result.
    fn step(&mut self) -> Result<Option<Value>> {
        let opcode = self.stream.u8()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            // PROTO and FRAME only announce.
            0x80 => drop(self.stream.take(1)?),
            0x95 => drop(self.stream.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.discard()?,
            b'1' => drop(self.pop_mark()?),
            b'2' => self.duplicate()?,
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b => self.integer(opcode)?,
            b'F' => {
                self.stream.line()?;
                self.stack.push(Value::Float);
            }
            b'G' => {
                self.stream.f64()?;
                self.stack.push(Value::Float);
            }
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d => self.string(opcode)?,
            b'B' | b'C' | 0x8e | 0x96 => self.bytes(opcode)?,
            b']' => self.push(Object::List(vec![]))?,
            b'}' => self.push(Object::Dict(vec![]))?,
            b')' => self.push(Object::Tuple(vec![]))?,
            0x8f => self.push(Object::Opaque)?,
            b'l' | b't' | b'd' | 0x91 => self.gather(opcode)?,
            0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84))?,
            b'a' | b'e' | 0x90 => self.append(opcode)?,
            b's' | b'u' => self.set_items(opcode)?,
            b'g' | b'h' | b'j' | b'p' | b'q' | b'r' | 0x94 => self.memory(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'R' | 0x81 | 0x92 | b'i' | b'o' => self.call(opcode)?,
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                let storage = persistent(self.objects, id)?;
                self.push(Object::Storage(storage))?;
            }
            0x82..=0x84 => return Fault::unsupported("its pickle uses copyreg extension codes"),
            0x97 | 0x98 => return Fault::unsupported("its pickle keeps buffers outside itself"),
            b'P' => return Fault::damaged("a persistent id in text form"),
            _ => return Fault::damaged(format!("unknown pickle opcode {opcode:#04x}")),
        }
        Ok(None)
    }

    fn push(&mut self, object: Object) -> Result<()> {
        let value = self.objects.add(object)?;
        self.stack.push(value);
        Ok(())
    }

    /// Never reaches below the last MARK.
    fn pop(&mut self) -> Result<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(value) if self.stack.len() >= floor => Ok(value),
            _ => Fault::damaged("a pickle opcode without an operand"),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Fault::damaged("a pickle opcode without its MARK"),
        }
    }

    fn top(&self) -> Result<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&value) if self.stack.len() > floor => Ok(value),
            _ => Fault::damaged("a pickle opcode without an operand"),
        }
    }

    /// POP takes a MARK where one is on top.
    fn discard(&mut self) -> Result<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn duplicate(&mut self) -> Result<()> {
        let top = self.top()?;
        self.stack.push(top);
        Ok(())
    }

    fn integer(&mut self, opcode: u8) -> Result<()> {
        let number = match opcode {
            b'J' => i128::from(self.stream.i32()?),
            b'K' => i128::from(self.stream.u8()?),
            b'M' => i128::from(self.stream.u16()?),
            0x8a => little_endian(self.stream.counted(Width::One)?)?,
            0x8b => little_endian(self.stream.counted(Width::Four)?)?,
            _ => match self.stream.line()? {
                // How protocol 0 and 1 spell bools.
                line @ (b"00" | b"01") if opcode == b'I' => {
                    self.stack.push(Value::Bool(line == b"01"));
                    return Ok(());
                }
                line => decimal(line)?,
            },
        };
        let value = match i64::try_from(number) {
            Ok(small) => Value::Int(small),
            Err(_) => self.objects.add(Object::Long(number))?,
        };
        self.stack.push(value);
        Ok(())
    }

    fn string(&mut self, opcode: u8) -> Result<()> {
        let bytes = match opcode {
            b'S' => unquoted(self.stream.line()?)?,
            b'V' => self.stream.line()?,
            b'U' | 0x8c => self.stream.counted(Width::One)?,
            b'T' | b'X' => self.stream.counted(Width::Four)?,
            _ => self.stream.counted(Width::Eight)?,
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(Object::Str(text.to_owned())),
            // Python 2's str may hold any bytes; no name does.
            Err(_) if matches!(opcode, b'S' | b'T' | b'U') => self.push(Object::Opaque),
            Err(_) => Fault::damaged("a string that is not UTF-8"),
        }
    }

    /// Bytes are walked over: nothing we make needs them.
    fn bytes(&mut self, opcode: u8) -> Result<()> {
        self.stream.counted(match opcode {
            b'C' => Width::One,
            b'B' => Width::Four,
            _ => Width::Eight,
        })?;
        self.push(Object::Opaque)
    }

    fn gather(&mut self, opcode: u8) -> Result<()> {
        let items = self.pop_mark()?;
        self.push(match opcode {
            b'l' => Object::List(items),
            b't' => Object::Tuple(items),
            b'd' => Object::Dict(paired(&items)?),
            _ => Object::Opaque,
        })
    }

    fn short_tuple(&mut self, length: usize) -> Result<()> {
        let mut items = vec![Value::None; length];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push(Object::Tuple(items))
    }

    fn append(&mut self, opcode: u8) -> Result<()> {
        let items = if opcode == b'a' { vec![self.pop()?] } else { self.pop_mark()? };
        let target = self.top()?;
        match self.objects.get_mut(target) {
            Some(Object::List(list)) => list.extend(items),
            Some(Object::Opaque) => {}
            _ => return Fault::damaged(format!("append to {}", self.objects.kind(target))),
        }
        Ok(())
    }

    fn set_items(&mut self, opcode: u8) -> Result<()> {
        let items = if opcode == b's' {
            let value = self.pop()?;
            vec![self.pop()?, value]
        } else {
            self.pop_mark()?
        };
        let items = paired(&items)?;
        let target = self.top()?;
        match self.objects.get_mut(target) {
            Some(Object::Dict(dict)) => dict.extend(items),
            Some(Object::Opaque) => {}
            _ => return Fault::damaged(format!("entries set in {}", self.objects.kind(target))),
        }
        Ok(())
    }

    /// GET and PUT in their widths, and MEMOIZE.
    fn memory(&mut self, opcode: u8) -> Result<()> {
        let slot = match opcode {
            b'h' | b'q' => u64::from(self.stream.u8()?),
            b'j' | b'r' => u64::from(self.stream.u32()?),
            0x94 => self.memo.len() as u64,
            _ => u64::try_from(decimal(self.stream.line()?)?)
                .map_err(|_| Fault::Damaged("a negative memo slot".to_owned()))?,
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            let Some(&value) = self.memo.get(&slot) else {
                return Fault::damaged(format!("memo slot {slot} is empty"));
            };
            self.stack.push(value);
        } else {
            self.memo.insert(slot, self.top()?);
        }
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Result<()> {
        let global = if opcode == b'c' {
            self.named_global()?
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            let (Some(module), Some(name)) = (self.objects.str(module), self.objects.str(name))
            else {
                return Fault::damaged("a global whose name is no string");
            };
            permitted(module, name)?
        };
        self.push(Object::Global(global))
    }

    fn named_global(&mut self) -> Result<Global> {
        let module = String::from_utf8_lossy(self.stream.line()?);
        let name = String::from_utf8_lossy(self.stream.line()?);
        permitted(&module, &name)
    }

    fn call(&mut self, opcode: u8) -> Result<()> {
        let (callable, args) = match opcode {
            b'i' => {
                let global = self.named_global()?;
                let args = self.pop_mark()?;
                (self.objects.add(Object::Global(global))?, self.objects.add(Object::Tuple(args))?)
            }
            b'o' => {
                let mut args = self.pop_mark()?;
                if args.is_empty() {
                    return Fault::damaged("OBJ without a class");
                }
                let class = args.remove(0);
                (class, self.objects.add(Object::Tuple(args))?)
            }
            _ => {
                if opcode == 0x92 {
                    // Keyword arguments: no constructor we honour takes any.
                    self.pop()?;
                }
                let args = self.pop()?;
                (self.pop()?, args)
            }
        };
        let made = call(self.objects, callable, args)?;
        self.stack.push(made);
        Ok(())
    }

    /// Attributes, such as the `_metadata` of a state dict, are dropped.
    fn build(&mut self) -> Result<()> {
        self.pop()?;
        let target = self.top()?;
        match self.objects.get(target) {
            Some(Object::Dict(_) | Object::Opaque | Object::Tensor(_)) => Ok(()),
            _ => Fault::damaged(format!("attributes set on {}", self.objects.kind(target))),
        }
    }
}

fn paired(items: &[Value]) -> Result<Vec<(Value, Value)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Fault::damaged("a key without a value");
    }
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

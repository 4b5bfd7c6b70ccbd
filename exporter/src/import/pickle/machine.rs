//! The pickle machine.
//!
//! **Source**: CPython's `pickletools` for the opcodes of protocols 2 to 5; PyTorch's `torch.serialization` for storages
//! as persistent identifiers.

use std::collections::HashMap;

use thiserror::Error;

use super::object::{Arena, Id, Known, NumpyType, Object, Storage, StorageType, Tensor};

/// Most arguments of a call. What one operation copies is bounded, so that time and memory grow with the pickle only.
const MAX_ARGUMENTS: usize = 16;
/// Most axes of a tensor.
const MAX_AXES: usize = 8;
/// Longest name of a storage, and text that stands for bytes.
const MAX_TEXT_BYTES: usize = 64;

/// Why a pickle is not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PickleError {
    /// The bytes end too early.
    #[error("the pickle ends after {at} bytes, in the middle of an operation")]
    Truncated {
        /// Length in bytes.
        at: usize,
    },
    /// An operation that no checkpoint needs.
    #[error(
        "the pickle has the operation {opcode:#04x} at byte {at}, expected one that only builds data"
    )]
    Opcode {
        /// The operation.
        opcode: u8,
        /// Where.
        at: usize,
    },
    /// A function or type outside the list of harmless ones.
    #[error("the pickle names `{global}` at byte {at}, expected tensors and plain data only")]
    Forbidden {
        /// Module and name.
        global: String,
        /// Where.
        at: usize,
    },
    /// An operation without its operands.
    #[error("the pickle's operation at byte {at} lacks an operand: {expected}")]
    Operand {
        /// Where.
        at: usize,
        /// What it needs.
        expected: &'static str,
    },
    /// A text that is no UTF-8.
    #[error("the pickle has a text at byte {at} that is no UTF-8")]
    Text {
        /// Where.
        at: usize,
    },
    /// A reference to nothing.
    #[error("the pickle refers to object {index} at byte {at}, which it has not stored")]
    Memo {
        /// The reference.
        index: u64,
        /// Where.
        at: usize,
    },
}

/// Reads a pickle into an arena and gives the place of its object.
///
/// **Errors**: [`PickleError`].
pub fn read(bytes: &[u8]) -> Result<(Arena, Id), PickleError> {
    let mut machine = Machine {
        bytes,
        position: 0,
        at: 0,
        arena: Arena::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        if let Some(result) = machine.step()? {
            return Ok((machine.arena, result));
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Start of the current operation.
    at: usize,
    arena: Arena,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// Runs one operation; the last one gives the result.
    fn step(&mut self) -> Result<Option<Id>, PickleError> {
        self.at = self.position;
        let opcode = self.take::<1>()?[0];
        match opcode {
            // PROTO, FRAME
            0x80 => {
                self.take::<1>()?;
            }
            0x95 => {
                self.take::<8>()?;
            }
            // STOP
            b'.' => return self.pop().map(Some),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Object::None),
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
            b'J' => {
                let value = i32::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()));
            }
            b'K' => {
                let value = u8::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()));
            }
            0x8a => {
                let length = u8::from_le_bytes(self.take()?);
                self.long(length.into())?;
            }
            0x8b => {
                let length = u32::from_le_bytes(self.take()?);
                self.long(length.into())?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.take()?);
                self.push(Object::Float(value));
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8, SHORT_BINSTRING, BINSTRING
            0x8c | b'U' => {
                let length = u8::from_le_bytes(self.take()?);
                self.text(length.into())?;
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.take()?);
                self.text(length.into())?;
            }
            0x8d => {
                let length = u64::from_le_bytes(self.take()?);
                self.text(length)?;
            }
            // SHORT_BINBYTES, BINBYTES
            b'C' => {
                let length = u8::from_le_bytes(self.take()?);
                let bytes = self.slice(length.into())?.to_vec();
                self.push(Object::Bytes(bytes));
            }
            b'B' => {
                let length = u32::from_le_bytes(self.take()?);
                let bytes = self.slice(length.into())?.to_vec();
                self.push(Object::Bytes(bytes));
            }
            // EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET
            b'}' => self.push(Object::Dict(Vec::new())),
            b']' | b')' | 0x8f => self.push(Object::Sequence(Vec::new())),
            // MARK, POP, POP_MARK, DUP
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // TUPLE, LIST, FROZENSET, TUPLE1, TUPLE2, TUPLE3, DICT
            b't' | b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Object::Sequence(items));
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Object::Sequence(items));
            }
            b'd' => {
                let items = self.pop_mark()?;
                let entries = self.pairs(items)?;
                self.push(Object::Dict(entries));
            }
            // APPEND, APPENDS, ADDITEMS, SETITEM, SETITEMS
            b'a' => {
                let items = self.pop_many(1)?;
                self.extend(items)?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set(items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set(items)?;
            }
            // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
            b'q' => {
                let index = u8::from_le_bytes(self.take()?);
                self.store(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.take()?);
                self.store(index.into())?;
            }
            0x94 => self.store(self.memo.len() as u64)?,
            b'h' => {
                let index = u8::from_le_bytes(self.take()?);
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.take()?);
                self.recall(index.into())?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(&module, &name)?;
            }
            0x93 => {
                let names = self.pop_many(2)?;
                let text = |id| match self.arena.get(id) {
                    Object::Text(text) => Ok(text.clone()),
                    _ => Err(self.operand("two texts")),
                };
                let (module, name) = (text(names[0])?, text(names[1])?);
                self.global(&module, &name)?;
            }
            // REDUCE, BUILD, BINPERSID
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            opcode => {
                return Err(PickleError::Opcode {
                    opcode,
                    at: self.at,
                });
            }
        }
        Ok(None)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let taken = self.bytes[self.position..].first_chunk::<N>().copied();
        self.position += N;
        taken.ok_or(PickleError::Truncated {
            at: self.bytes.len(),
        })
    }

    fn slice(&mut self, length: u64) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.position..];
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or(PickleError::Truncated {
                at: self.bytes.len(),
            })?;
        self.position += taken.len();
        Ok(taken)
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let rest = &self.bytes[self.position..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .ok_or(PickleError::Truncated {
                at: self.bytes.len(),
            })?;
        self.position += length + 1;
        let line =
            std::str::from_utf8(&rest[..length]).map_err(|_| PickleError::Text { at: self.at })?;
        Ok(line.trim_end_matches('\r').to_owned())
    }

    fn text(&mut self, length: u64) -> Result<(), PickleError> {
        let bytes = self.slice(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| PickleError::Text { at: self.at })?;
        self.push(Object::Text(text.to_owned()));
        Ok(())
    }

    /// A little-endian two's complement integer; one beyond 64 bits is nothing that a checkpoint needs.
    fn long(&mut self, length: u64) -> Result<(), PickleError> {
        let bytes = self.slice(length)?;
        let object = if bytes.len() <= 8 {
            let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) {
                0xff
            } else {
                0
            };
            let mut buffer = [sign; 8];
            buffer[..bytes.len()].copy_from_slice(bytes);
            Object::Int(i64::from_le_bytes(buffer))
        } else {
            Object::Opaque
        };
        self.push(object);
        Ok(())
    }

    fn push(&mut self, object: Object) {
        let id = self.arena.add(object);
        self.stack.push(id);
    }

    fn operand(&self, expected: &'static str) -> PickleError {
        PickleError::Operand {
            at: self.at,
            expected,
        }
    }

    /// Takes from the stack, down to the last mark at most.
    fn pop(&mut self) -> Result<Id, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.operand("an object"));
        }
        self.stack.pop().ok_or_else(|| self.operand("an object"))
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, PickleError> {
        let mut items = (0..count)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.operand("a mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&self) -> Result<Id, PickleError> {
        self.stack
            .last()
            .copied()
            .ok_or_else(|| self.operand("an object"))
    }

    fn pairs(&self, items: Vec<Id>) -> Result<Vec<(Id, Id)>, PickleError> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self.operand("keys and values"));
        };
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let list = self.top()?;
        match self.arena.get_mut(list) {
            Object::Sequence(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.operand("a list")),
        }
    }

    fn set(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let pairs = self.pairs(items)?;
        let dict = self.top()?;
        match self.arena.get_mut(dict) {
            Object::Dict(entries) => {
                entries.extend(pairs);
                Ok(())
            }
            _ => Err(self.operand("a dictionary")),
        }
    }

    fn store(&mut self, index: u64) -> Result<(), PickleError> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<(), PickleError> {
        let id = self
            .memo
            .get(&index)
            .copied()
            .ok_or(PickleError::Memo { index, at: self.at })?;
        self.stack.push(id);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        let known = known(module, name).ok_or_else(|| PickleError::Forbidden {
            global: format!("{module}.{name}").chars().take(120).collect(),
            at: self.at,
        })?;
        self.push(Object::Known(known));
        Ok(())
    }

    /// Stands in for a call: puts together what the few known functions would.
    fn reduce(&mut self) -> Result<(), PickleError> {
        let operands = self.pop_many(2)?;
        let (&Object::Known(function), Object::Sequence(arguments)) =
            (self.arena.get(operands[0]), self.arena.get(operands[1]))
        else {
            return Err(self.operand("a function and its arguments"));
        };
        if arguments.len() > MAX_ARGUMENTS {
            return Err(self.operand("at most 16 arguments"));
        }
        let arguments = arguments.clone();
        let object = match (function, arguments.as_slice()) {
            (Known::OrderedDict, []) => Object::Dict(Vec::new()),
            (Known::RebuildTensor, [storage, offset, shape, strides, ..]) => {
                self.tensor(*storage, *offset, *shape, *strides)?
            }
            (Known::RebuildParameter, [tensor, ..]) | (Known::Size, [tensor]) => {
                self.stack.push(*tensor);
                return Ok(());
            }
            (Known::Device, _) => Object::Opaque,
            (Known::NumpyType, [code, ..]) => self.numpy_type(*code),
            (Known::NumpyScalar, [kind, value]) => self.numpy_scalar(*kind, *value),
            (Known::Encode, [text, ..]) => match self.arena.get(*text) {
                // Latin 1: how protocol 2 writes bytes.
                Object::Text(text) if text.len() <= MAX_TEXT_BYTES => {
                    Object::Bytes(text.chars().filter_map(|c| u8::try_from(c).ok()).collect())
                }
                _ => return Err(self.operand("a short text")),
            },
            _ => return Err(self.operand("a function that puts data together, with its arguments")),
        };
        self.push(object);
        Ok(())
    }

    /// Sets the state of an object: that of dictionaries is their attributes, of types their byte order; nobody asks.
    fn build(&mut self) -> Result<(), PickleError> {
        self.pop()?;
        match self.arena.get(self.top()?) {
            Object::Dict(_) | Object::NumpyType(_) | Object::Opaque | Object::Tensor(_) => Ok(()),
            _ => Err(self.operand("an object with a state")),
        }
    }

    /// `("storage", type, key, location, elements)`
    fn persistent(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        let broken = self.operand("a storage");
        let Object::Sequence(parts) = self.arena.get(id) else {
            return Err(broken);
        };
        let [tag, kind, key, ..] = parts.as_slice() else {
            return Err(broken);
        };
        match (
            self.arena.get(*tag),
            self.arena.get(*kind),
            self.arena.get(*key),
        ) {
            (Object::Text(tag), Object::Known(Known::StorageType(kind)), Object::Text(key))
                if tag == "storage" && key.len() <= MAX_TEXT_BYTES =>
            {
                let storage = Storage {
                    kind: *kind,
                    key: key.clone(),
                };
                self.push(Object::Storage(storage));
                Ok(())
            }
            _ => Err(broken),
        }
    }

    fn tensor(
        &self,
        storage: Id,
        offset: Id,
        shape: Id,
        strides: Id,
    ) -> Result<Object, PickleError> {
        let size = |id: &Id| match self.arena.get(*id) {
            Object::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        };
        let sizes = |id: Id| match self.arena.get(id) {
            Object::Sequence(items) if items.len() <= MAX_AXES => {
                items.iter().map(size).collect::<Option<Vec<_>>>()
            }
            _ => None,
        };
        match (
            self.arena.get(storage),
            size(&offset),
            sizes(shape),
            sizes(strides),
        ) {
            (Object::Storage(storage), Some(offset), Some(shape), Some(strides))
                if shape.len() == strides.len() =>
            {
                Ok(Object::Tensor(Tensor {
                    storage: storage.clone(),
                    offset,
                    shape,
                    strides,
                }))
            }
            _ => Err(self.operand("storage, offset, shape and strides of a tensor")),
        }
    }

    fn numpy_type(&self, code: Id) -> Object {
        let kind = match self.arena.get(code) {
            Object::Text(code) => match code.as_str() {
                "f8" => NumpyType::Float64,
                "f4" => NumpyType::Float32,
                "i8" => NumpyType::Int64,
                "i4" => NumpyType::Int32,
                _ => return Object::Opaque,
            },
            _ => return Object::Opaque,
        };
        Object::NumpyType(kind)
    }

    fn numpy_scalar(&self, kind: Id, value: Id) -> Object {
        let (Object::NumpyType(kind), Object::Bytes(bytes)) =
            (self.arena.get(kind), self.arena.get(value))
        else {
            return Object::Opaque;
        };
        let wide = <[u8; 8]>::try_from(bytes.as_slice()).ok();
        let narrow = <[u8; 4]>::try_from(bytes.as_slice()).ok();
        match (kind, wide, narrow) {
            (NumpyType::Float64, Some(bytes), _) => Object::Float(f64::from_le_bytes(bytes)),
            (NumpyType::Int64, Some(bytes), _) => Object::Int(i64::from_le_bytes(bytes)),
            (NumpyType::Float32, _, Some(bytes)) => Object::Float(f32::from_le_bytes(bytes).into()),
            (NumpyType::Int32, _, Some(bytes)) => Object::Int(i32::from_le_bytes(bytes).into()),
            _ => Object::Opaque,
        }
    }
}

/// The harmless functions and types.
fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Known::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Known::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Known::RebuildParameter,
        ("torch", "Size") => Known::Size,
        ("torch", "device") => Known::Device,
        ("torch", "DoubleStorage") => Known::StorageType(StorageType::Double),
        ("torch", "FloatStorage") => Known::StorageType(StorageType::Float),
        ("torch", "HalfStorage") => Known::StorageType(StorageType::Half),
        ("torch", "BFloat16Storage") => Known::StorageType(StorageType::BFloat16),
        (
            "torch",
            "LongStorage" | "IntStorage" | "ShortStorage" | "CharStorage" | "ByteStorage"
            | "BoolStorage",
        ) => Known::StorageType(StorageType::Other),
        (
            "torch",
            "float32" | "float64" | "float16" | "bfloat16" | "int64" | "int32" | "int16" | "int8"
            | "uint8" | "bool",
        ) => Known::ElementType,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Known::NumpyScalar,
        ("numpy", "dtype") => Known::NumpyType,
        ("_codecs", "encode") => Known::Encode,
        _ => return None,
    })
}

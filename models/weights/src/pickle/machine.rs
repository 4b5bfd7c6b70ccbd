//! The pickle machine.
//!
//! **Source**: CPython's `pickletools` for the opcodes of protocols 2 to 5; PyTorch's `torch.serialization` for storages
//! as persistent identifiers.

use std::collections::HashMap;

use thiserror::Error;

use super::known::known;
use super::object::{Arena, Id, Object};

/// Why a pickle is not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PickleError {
    /// The bytes end too early.
    #[error("the pickle ends after {at} bytes, in the middle of an operation")]
    Truncated { at: usize },
    #[error(
        "the pickle has the operation {opcode:#04x} at byte {at}, expected one that only builds data"
    )]
    Opcode { opcode: u8, at: usize },
    /// A function or type outside the list of harmless ones.
    #[error("the pickle names `{global}` at byte {at}, expected tensors and plain data only")]
    Forbidden { global: String, at: usize },
    /// An operation without its operands.
    #[error("the pickle's operation at byte {at} lacks an operand: {expected}")]
    Operand { at: usize, expected: &'static str },
    /// A text that is not UTF-8.
    #[error("the pickle has a text at byte {at} that is not UTF-8")]
    Text { at: usize },
    /// The objects would take too much memory.
    #[error("the pickle of {bytes} bytes takes more than {most} bytes of memory at byte {at}")]
    Inflated {
        bytes: usize,
        most: usize,
        at: usize,
    },
    /// A reference to an object that was not stored.
    #[error("the pickle refers to object {index} at byte {at}, which it has not stored")]
    Memo { index: u64, at: usize },
}

/// Bytes that the objects of a pickle and their contents may take: a base, and a number per byte of the pickle. An
/// operation of one byte makes an object of tens of bytes, one of a few bytes a tensor of hundreds. Growing vectors
/// take up to three times as much for a moment.
const LEAST_OBJECT_BYTES: usize = 16 << 20;
const OBJECT_BYTES_PER_BYTE: usize = 4;

/// Bytes of an entry of the memo, with what its table leaves free.
const MEMO_BYTES: usize = 2 * size_of::<(u64, Id)>();

/// Reads a pickle into an arena and returns the index of its object.
///
/// **Errors**: [`PickleError`].
pub fn read(bytes: &[u8]) -> Result<(Arena, Id), PickleError> {
    let mut machine = PickleMachine {
        bytes,
        position: 0,
        at: 0,
        arena: Arena::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        taken: 0,
        most: bytes
            .len()
            .saturating_mul(OBJECT_BYTES_PER_BYTE)
            .saturating_add(LEAST_OBJECT_BYTES),
    };
    loop {
        if let Some(result) = machine.step()? {
            return Ok((machine.arena, result));
        }
    }
}

pub(super) struct PickleMachine<'a> {
    bytes: &'a [u8],
    position: usize,
    /// Start of the current operation.
    at: usize,
    pub(super) arena: Arena,
    pub(super) stack: Vec<Id>,
    marks: Vec<u32>,
    memo: HashMap<u64, Id>,
    /// Bytes that objects take, and references to them.
    taken: usize,
    most: usize,
}

impl<'a> PickleMachine<'a> {
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
            b'N' => self.push(Object::None)?,
            0x88 => self.push(Object::Bool(true))?,
            0x89 => self.push(Object::Bool(false))?,
            // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
            b'J' => {
                let value = i32::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()))?;
            }
            b'K' => {
                let value = u8::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.take()?);
                self.push(Object::Int(value.into()))?;
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
                self.push(Object::Float(value))?;
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
                let bytes = self.slice(length.into())?.into();
                self.push(Object::Bytes(bytes))?;
            }
            b'B' => {
                let length = u32::from_le_bytes(self.take()?);
                let bytes = self.slice(length.into())?.into();
                self.push(Object::Bytes(bytes))?;
            }
            // EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET
            b'}' => self.push(Object::Dict(Vec::new()))?,
            b']' | b')' | 0x8f => self.push(Object::Sequence(Vec::new()))?,
            // MARK, POP, POP_MARK, DUP
            b'(' => {
                self.take_memory(size_of::<u32>())?;
                // As many as there are bytes at most, and these are counted by 32 bits.
                self.marks.push(self.stack.len() as u32);
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.top()?;
                self.push_id(top)?;
            }
            // TUPLE, LIST, FROZENSET, TUPLE1, TUPLE2, TUPLE3, DICT
            b't' | b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Object::Sequence(items))?;
            }
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Object::Sequence(items))?;
            }
            b'd' => {
                let items = self.pop_mark()?;
                let entries = self.pairs(items)?;
                self.push(Object::Dict(entries))?;
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
        self.push(Object::Text(text.into()))
    }

    /// A little-endian two's complement integer; one beyond 64 bits becomes an opaque object.
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
        self.push(object)
    }

    /// Counts bytes of memory that are needed.
    ///
    /// **Errors**: more than a pickle of this size may take.
    fn take_memory(&mut self, bytes: usize) -> Result<(), PickleError> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken <= self.most {
            return Ok(());
        }
        Err(PickleError::Inflated {
            bytes: self.bytes.len(),
            most: self.most,
            at: self.at,
        })
    }

    pub(super) fn push(&mut self, object: Object) -> Result<(), PickleError> {
        self.take_memory(size_of::<Object>().saturating_add(object.bytes_behind()))?;
        let id = self.arena.add(object);
        let id = id.ok_or_else(|| self.operand("fewer objects"))?;
        self.push_id(id)
    }

    pub(super) fn push_id(&mut self, id: Id) -> Result<(), PickleError> {
        // On the stack, and in what it becomes a part of.
        self.take_memory(2 * size_of::<Id>())?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn operand(&self, expected: &'static str) -> PickleError {
        PickleError::Operand {
            at: self.at,
            expected,
        }
    }

    /// Pops from the stack, down to the last mark at most.
    pub(super) fn pop(&mut self) -> Result<Id, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0) as usize;
        if self.stack.len() <= floor {
            return Err(self.operand("an object"));
        }
        self.stack.pop().ok_or_else(|| self.operand("an object"))
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, PickleError> {
        let mut items = (0..count)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.operand("a mark"))?;
        Ok(self.stack.split_off(mark as usize))
    }

    pub(super) fn top(&self) -> Result<Id, PickleError> {
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
        self.take_memory(MEMO_BYTES)?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<(), PickleError> {
        let id = self
            .memo
            .get(&index)
            .copied()
            .ok_or(PickleError::Memo { index, at: self.at })?;
        self.push_id(id)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        let known = known(module, name).ok_or_else(|| PickleError::Forbidden {
            global: format!("{module}.{name}").chars().take(120).collect(),
            at: self.at,
        })?;
        self.push(Object::Known(known))
    }
}

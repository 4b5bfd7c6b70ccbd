//! Substitutes for the calls of a pickle.

use super::machine::{PickleError, PickleMachine};
use super::object::{Id, Known, NumpyType, Object, Storage, Tensor};

/// Most arguments of a call. Copies of one operation are bounded, so that time and memory are linear in the pickle.
const MAX_ARGUMENTS: usize = 16;
/// Most axes of a tensor.
const MAX_AXES: usize = 8;
/// Longest name of a storage, and text that stands for bytes.
const MAX_TEXT_BYTES: usize = 64;

impl PickleMachine<'_> {
    /// Evaluates a call of one of the few known functions.
    pub(super) fn reduce(&mut self) -> Result<(), PickleError> {
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
                return self.push_id(*tensor);
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
        self.push(object)
    }

    /// Sets the state of an object: the attributes of dictionaries, the byte order of types. Neither is used.
    pub(super) fn build(&mut self) -> Result<(), PickleError> {
        self.pop()?;
        match self.arena.get(self.top()?) {
            Object::Dict(_) | Object::NumpyType(_) | Object::Opaque | Object::Tensor(_) => Ok(()),
            _ => Err(self.operand("an object with a state")),
        }
    }

    /// `("storage", type, key, location, elements)`
    pub(super) fn persistent(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        let broken = self.operand("a storage");
        let Object::Sequence(parts) = self.arena.get(id) else {
            return Err(broken);
        };
        let [tag, kind, key, _, elements, ..] = parts.as_slice() else {
            return Err(broken);
        };
        match (
            self.arena.get(*tag),
            self.arena.get(*kind),
            self.arena.get(*key),
            self.size(*elements),
        ) {
            (
                Object::Text(tag),
                Object::Known(Known::StorageType(kind)),
                Object::Text(key),
                Some(elements),
            ) if **tag == *"storage" && key.len() <= MAX_TEXT_BYTES => {
                let storage = Storage {
                    kind: *kind,
                    key: key.to_string(),
                    elements,
                };
                self.push(Object::Storage(Box::new(storage)))
            }
            _ => Err(broken),
        }
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.arena.get(id) {
            Object::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        }
    }

    fn tensor(
        &self,
        storage: Id,
        offset: Id,
        shape: Id,
        strides: Id,
    ) -> Result<Object, PickleError> {
        let sizes = |id: Id| match self.arena.get(id) {
            Object::Sequence(items) if items.len() <= MAX_AXES => items
                .iter()
                .map(|id| self.size(*id))
                .collect::<Option<Vec<_>>>(),
            _ => None,
        };
        match (
            self.arena.get(storage),
            self.size(offset),
            sizes(shape),
            sizes(strides),
        ) {
            (Object::Storage(storage), Some(offset), Some(shape), Some(strides))
                if shape.len() == strides.len() =>
            {
                Ok(Object::Tensor(Box::new(Tensor {
                    storage: Storage::clone(storage),
                    offset,
                    shape,
                    strides,
                })))
            }
            _ => Err(self.operand("storage, offset, shape and strides of a tensor")),
        }
    }

    fn numpy_type(&self, code: Id) -> Object {
        let kind = match self.arena.get(code) {
            Object::Text(code) => match &**code {
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
        let wide = <[u8; 8]>::try_from(&**bytes).ok();
        let narrow = <[u8; 4]>::try_from(&**bytes).ok();
        match (kind, wide, narrow) {
            (NumpyType::Float64, Some(bytes), _) => Object::Float(f64::from_le_bytes(bytes)),
            (NumpyType::Int64, Some(bytes), _) => Object::Int(i64::from_le_bytes(bytes)),
            (NumpyType::Float32, _, Some(bytes)) => Object::Float(f32::from_le_bytes(bytes).into()),
            (NumpyType::Int32, _, Some(bytes)) => Object::Int(i32::from_le_bytes(bytes).into()),
            _ => Object::Opaque,
        }
    }
}

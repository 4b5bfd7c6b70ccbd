//! Objects of a pickle.

/// Place of an object in its arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(super) u32);

/// Element type of a tensor's storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageType {
    Double,
    Float,
    /// 16-bit IEEE floats.
    Half,
    /// 16-bit brain floats.
    BFloat16,
    /// Any other type; its elements are never read.
    Other,
}

impl StorageType {
    /// Bytes of an element; none of types that are not read.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::Double => Some(8),
            Self::Float => Some(4),
            Self::Half | Self::BFloat16 => Some(2),
            Self::Other => None,
        }
    }
}

/// Where the elements of a tensor are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub kind: StorageType,
    /// Name of the archive's entry.
    pub key: String,
    /// Stated number of elements.
    pub elements: usize,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Elements between neighbors, per axis.
    pub strides: Vec<usize>,
}

/// Functions and types that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    StorageType(StorageType),
    /// A type that only occurs as a value: `torch.float32`.
    ElementType,
    Device,
    NumpyScalar,
    NumpyType,
    Encode,
}

/// An element type of NumPy, for scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumpyType {
    /// `f8`
    Float64,
    /// `f4`
    Float32,
    /// `i8`
    Int64,
    /// `i4`
    Int32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    None,
    /// `True`, `False`
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    /// A list, tuple or set.
    Sequence(Vec<Id>),
    /// A dictionary in order of insertion.
    Dict(Vec<(Id, Id)>),
    /// A function or type.
    Known(Known),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
    /// An element type of NumPy.
    NumpyType(NumpyType),
    /// A harmless value that is never used: a device, an element type, a larger integer.
    Opaque,
}

/// Overhead and alignment of an allocator.
const BLOCK_BYTES: usize = 2 * size_of::<usize>();

impl Object {
    /// Bytes of its own heap memory when it is created; elements of lists and dictionaries are counted as they are
    /// added.
    pub(super) fn bytes_behind(&self) -> usize {
        let storage = |storage: &Storage| storage.key.capacity() + BLOCK_BYTES;
        match self {
            Self::Text(text) => text.len() + BLOCK_BYTES,
            Self::Bytes(bytes) => bytes.len() + BLOCK_BYTES,
            Self::Storage(behind) => size_of::<Storage>() + BLOCK_BYTES + storage(behind),
            Self::Tensor(tensor) => {
                let sizes = tensor.shape.capacity() + tensor.strides.capacity();
                let lists = sizes * size_of::<usize>() + 2 * BLOCK_BYTES;
                size_of::<Tensor>() + BLOCK_BYTES + storage(&tensor.storage) + lists
            }
            _ => 0,
        }
    }
}

/// The objects of a pickle.
#[derive(Debug, Clone, Default)]
pub struct Arena {
    objects: Vec<Object>,
}

impl Arena {
    /// Adds an object; none if there are too many to count.
    pub(super) fn add(&mut self, object: Object) -> Option<Id> {
        let id = Id(u32::try_from(self.objects.len()).ok()?);
        self.objects.push(object);
        Some(id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut Object {
        &mut self.objects[id.0 as usize]
    }

    /// The object at a place.
    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id.0 as usize]
    }

    /// The value under a text key of a dictionary; the last one, if there are several.
    pub fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let Object::Dict(entries) = self.get(dict) else {
            return None;
        };
        entries
            .iter()
            .rev()
            .find(|(found, _)| matches!(self.get(*found), Object::Text(text) if **text == *key))
            .map(|(_, value)| *value)
    }
}

//! Tensors and the types of values.

use prost::Message;
use prost::bytes::Bytes;

#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// Element type, one of [`TensorDataType`].
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Which part of a larger tensor this is (opaque).
    #[prost(bytes = "vec", optional, tag = "3")]
    pub segment: Option<Vec<u8>>,
    /// Elements, if 32-bit floats and not in `raw_data`.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements, if integers or 16-bit floats and not in `raw_data`.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements, if strings.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Elements, if 64-bit integers and not in `raw_data`.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// Elements in C order, little-endian; decoded from [`Bytes`] as a view.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    /// Elements, if 64-bit floats and not in `raw_data`.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements, if unsigned integers and not in `raw_data`.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    #[prost(string, optional, tag = "12")]
    pub doc_string: Option<String>,
    /// File that holds the elements (opaque).
    #[prost(bytes = "vec", repeated, tag = "13")]
    pub external_data: Vec<Vec<u8>>,
    /// Where the elements are: 0 here, 1 in another file.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
    /// Names and texts (opaque).
    #[prost(bytes = "vec", repeated, tag = "16")]
    pub metadata_props: Vec<Vec<u8>>,
}

impl TensorProto {
    /// A constant of these elements, little-endian in C order.
    pub fn constant(
        name: &str,
        shape: &[usize],
        data_type: TensorDataType,
        bytes: Vec<u8>,
    ) -> Self {
        Self {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: Some(data_type as i32),
            name: Some(name.into()),
            raw_data: Some(bytes.into()),
            ..Self::default()
        }
    }

    /// A constant of 32-bit floats in C order.
    pub fn of_floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self::constant(name, shape, TensorDataType::Float, bytes.collect())
    }

    /// Number of fields with elements; more than one is contradictory.
    pub fn places(&self) -> usize {
        [
            self.raw_data.is_some(),
            !self.float_data.is_empty(),
            !self.int32_data.is_empty(),
            !self.string_data.is_empty(),
            !self.int64_data.is_empty(),
            !self.double_data.is_empty(),
            !self.uint64_data.is_empty(),
        ]
        .into_iter()
        .map(usize::from)
        .sum()
    }
}

/// Element types that networks here use, by their number in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum TensorDataType {
    Float = 1,
    Int64 = 7,
    Float16 = 10,
}

/// Name and type of a value.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    #[prost(string, optional, tag = "3")]
    pub doc_string: Option<String>,
    /// Names and texts (opaque).
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub metadata_props: Vec<Vec<u8>>,
}

/// Type of a value.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// The type, if a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
    /// The type, if a sequence (opaque).
    #[prost(bytes = "vec", optional, tag = "4")]
    pub sequence_type: Option<Vec<u8>>,
    /// The type, if a map (opaque).
    #[prost(bytes = "vec", optional, tag = "5")]
    pub map_type: Option<Vec<u8>>,
    /// Denotation of the value.
    #[prost(string, optional, tag = "6")]
    pub denotation: Option<String>,
    /// The type, if of another kind (opaque).
    #[prost(bytes = "vec", optional, tag = "7")]
    pub opaque_type: Option<Vec<u8>>,
    /// The type, if a sparse tensor (opaque).
    #[prost(bytes = "vec", optional, tag = "8")]
    pub sparse_tensor_type: Option<Vec<u8>>,
    /// The type, if optional (opaque).
    #[prost(bytes = "vec", optional, tag = "9")]
    pub optional_type: Option<Vec<u8>>,
}

/// Type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// Element type, one of [`TensorDataType`].
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// Shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// Size of one axis: a number or a name.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// The name of a size that is free.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
    /// Denotation of the axis.
    #[prost(string, optional, tag = "3")]
    pub denotation: Option<String>,
}

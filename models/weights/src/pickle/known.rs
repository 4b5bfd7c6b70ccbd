//! The functions and types that a pickle may name.

use super::object::{Known, StorageType};

/// The known meaning of a global of a pickle; `None` for globals outside of the list of harmless ones.
pub(super) fn known(module: &str, name: &str) -> Option<Known> {
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

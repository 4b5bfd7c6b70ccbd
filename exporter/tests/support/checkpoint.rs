//! Writes checkpoints like PyTorch's, and malformed ones.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use vesal_exporter::weights::StateDict;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A pickled object: operations that leave it on the stack.
pub type Pickled = Vec<u8>;

pub fn text(text: &str) -> Pickled {
    let mut bytes = vec![b'X'];
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

pub fn int(value: usize) -> Pickled {
    let mut bytes = vec![b'J'];
    bytes.extend((value as i32).to_le_bytes());
    bytes
}

pub fn float(value: f64) -> Pickled {
    let mut bytes = vec![b'G'];
    bytes.extend(value.to_be_bytes());
    bytes
}

pub fn tuple(items: &[Pickled]) -> Pickled {
    [b"(".to_vec(), items.concat(), b"t".to_vec()].concat()
}

pub fn ints(values: &[usize]) -> Pickled {
    tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
}

pub fn global(module: &str, name: &str) -> Pickled {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn call(function: Pickled, arguments: &[Pickled]) -> Pickled {
    [function, tuple(arguments), b"R".to_vec()].concat()
}

pub fn dict(entries: &[(&str, Pickled)]) -> Pickled {
    let entries: Vec<u8> = entries
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"}(".to_vec(), entries, b"u".to_vec()].concat()
}

/// A tensor that has a storage for itself.
pub fn tensor(
    storage: &str,
    key: &str,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
) -> Pickled {
    view(storage, key, shape.iter().product(), offset, shape, strides)
}

/// A view of a storage of this many elements: 32-bit floats, or of another type.
pub fn view(
    storage: &str,
    key: &str,
    elements: usize,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
) -> Pickled {
    let id = [
        text("storage"),
        global("torch", storage),
        text(key),
        text("cpu"),
        int(elements),
    ];
    let hooks = call(global("collections", "OrderedDict"), &[]);
    call(
        global("torch._utils", "_rebuild_tensor_v2"),
        &[
            [tuple(&id), b"Q".to_vec()].concat(),
            int(offset),
            ints(shape),
            ints(strides),
            vec![0x89],
            hooks,
        ],
    )
}

pub fn contiguous(shape: &[usize]) -> Vec<usize> {
    (0..shape.len())
        .map(|axis| shape[axis + 1..].iter().product())
        .collect()
}

pub fn pickle(object: Pickled) -> Vec<u8> {
    [vec![0x80, 2], object, b".".to_vec()].concat()
}

/// An archive with this pickle and these storages.
pub fn archive(path: &Path, pickle: &[u8], storages: &[(String, Vec<u8>)]) {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    let mut add = |name: String, bytes: &[u8]| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    add("model/data.pkl".into(), pickle);
    add("model/byteorder".into(), b"little");
    for (key, bytes) in storages {
        add(format!("model/data/{key}"), bytes);
    }
    zip.finish().unwrap();
}

/// How a checkpoint's tensors lie in their storages.
#[derive(Clone, Copy, PartialEq)]
pub enum Layout {
    Contiguous,
    /// Channels last, as Auto3DSeg trains.
    ChannelsLast,
}

/// Writes a checkpoint of these tensors, every name with this prefix, and further entries beside them.
pub fn write(
    path: &Path,
    tensors: &StateDict,
    prefix: &str,
    layout: Layout,
    more: &[(&str, Pickled)],
) {
    let mut storages = Vec::new();
    let mut entries = Vec::new();
    for (index, (name, data)) in tensors.iter().enumerate() {
        let shape = data.shape.to_vec();
        let values = data.as_slice::<f32>().unwrap();
        let mut strides = contiguous(&shape);
        if layout == Layout::ChannelsLast && shape.len() == 5 {
            let [_, c, x, y, z] = shape[..] else {
                unreachable!()
            };
            strides = vec![c * x * y * z, 1, y * z * c, z * c, c];
        }
        let mut stored = vec![0.; values.len()];
        for (flat, value) in values.iter().enumerate() {
            let of_axis = contiguous(&shape);
            let place: usize = (0..shape.len())
                .map(|axis| flat / of_axis[axis] % shape[axis] * strides[axis])
                .sum();
            stored[place] = *value;
        }
        let bytes = stored
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        storages.push((index.to_string(), bytes));
        entries.push((
            format!("{prefix}{name}"),
            tensor("FloatStorage", &index.to_string(), 0, &shape, &strides),
        ));
    }
    let items: Vec<u8> = entries
        .into_iter()
        .flat_map(|(name, value)| [text(&name), value].concat())
        .collect();
    let state_dict = [
        call(global("collections", "OrderedDict"), &[]),
        b"(".to_vec(),
        items,
        b"u".to_vec(),
        dict(&[("_metadata", int(1))]),
        b"b".to_vec(),
    ]
    .concat();
    let mut top = vec![("state_dict", state_dict)];
    top.extend(more.iter().cloned());
    archive(path, &pickle(dict(&top)), &storages);
}

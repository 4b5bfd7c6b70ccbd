//! Golden training steps of networks: facts, arrays, weights, and losses that the trainer does not have.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::PathBuf;

use burn::backend::Autodiff;
use burn::module::ParamId;
use burn::optim::GradientsParams;
use burn::tensor::activation::{log_softmax, sigmoid};
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use burn_store::{ModuleSnapshot, TensorSnapshot};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use vesal_kernels::downsample;
use vesal_models::Network;
use vesal_models::monai::{self, Arguments};
use zip::ZipArchive;

use crate::shared;

pub type B = Autodiff<Flex>;

/// A network's facts, arrays and checkpoint.
pub struct Golden {
    pub facts: Value,
    arrays: ZipArchive<File>,
    folder: PathBuf,
}

impl Golden {
    /// Positions in C order and values of an array that is stored completely or in samples.
    pub fn stored(&mut self, name: &str) -> Vec<(usize, f32)> {
        if let Some((_, values)) = self.array(name, "<f4", f32::from_le_bytes) {
            return values.into_iter().enumerate().collect();
        }
        let places = self.array(&format!("{name}_index"), "<i4", i32::from_le_bytes);
        let values = self.array(&format!("{name}_value"), "<f4", f32::from_le_bytes);
        let ((_, places), (_, values)) = (places.unwrap(), values.unwrap());
        let places = places
            .into_iter()
            .map(|place| usize::try_from(place).unwrap());
        places.zip(values).collect()
    }

    /// Shape and values in C order of an array of this type; `None` where there is no array of this name.
    ///
    /// **Source**: NumPy's format `NPY` of version 1: magic, version, length of the header, the header as a dictionary.
    pub fn array<T, const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        decode: fn([u8; N]) -> T,
    ) -> Option<(Vec<usize>, Vec<T>)> {
        let mut bytes = Vec::new();
        let mut entry = self.arrays.by_name(&format!("{name}.npy")).ok()?;
        entry.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
        let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let header = std::str::from_utf8(&bytes[10..end]).unwrap();
        assert!(header.contains(&format!("'descr': '{kind}'")), "{header}");
        assert!(header.contains("'fortran_order': False"), "{header}");
        let (_, shape) = header.split_once('(').unwrap();
        let (shape, _) = shape.split_once(')').unwrap();
        let sides = shape.split(',').map(str::trim);
        let sides = sides.filter(|side| !side.is_empty());
        let shape: Vec<usize> = sides.map(|side| side.parse().unwrap()).collect();
        let values: Vec<T> = bytes[end..]
            .as_chunks::<N>()
            .0
            .iter()
            .map(|&value| decode(value))
            .collect();
        assert_eq!(values.len(), shape.iter().product::<usize>());
        Some((shape, values))
    }

    /// Four times the error of PyTorch's own single precision.
    pub fn tolerance(&self) -> f32 {
        let cases = self.facts["cases"].as_array().unwrap();
        let error = |case: &Value| case["float32_error"].as_f64().unwrap();
        (4.0 * cases.iter().map(error).fold(0.0, f64::max) + 1e-5) as f32
    }

    #[track_caller]
    pub fn assert_close(&mut self, name: &str, found: &[f32]) {
        let (tolerance, stored) = (self.tolerance(), self.stored(name));
        assert!(!stored.is_empty());
        for (place, expected) in stored {
            let difference = (found[place] - expected).abs();
            assert!(
                difference <= tolerance,
                "{name}[{place}] is {}, expected {expected} within {tolerance:e}",
                found[place]
            );
        }
    }

    /// The network with its stored weights, and its parameters by path.
    pub fn network(&self) -> Network<B> {
        // Some files have the network's arguments alone.
        let config = match &self.facts["config"] {
            whole if whole.get("network").is_some() => whole.clone(),
            network => json!({ "network": network }),
        };
        let config = config.as_object().unwrap();
        let arguments = Arguments {
            path: "config",
            map: config,
            root: config,
        };
        let config = monai::network(&arguments).unwrap().unwrap();
        let mut network = vesal_models::init::<B>(&config, &Default::default()).unwrap();
        let expected: BTreeMap<String, Vec<usize>> = network
            .collect(None, None, true)
            .iter()
            .map(|tensor| (tensor.full_path(), tensor.shape.to_vec()))
            .collect();
        let weights = self.weights();
        assert!(weights.keys().eq(expected.keys()));
        let snapshots = weights.into_iter().map(|(name, values)| {
            let data = TensorData::new(values, expected[&name].clone());
            let path = name.split('.').map(str::to_owned).collect();
            TensorSnapshot::from_data(data, path, Vec::new(), ParamId::new())
        });
        network.apply(snapshots.collect(), None, None, true);
        network
    }

    /// Floats of the checkpoint, whose tensors lie in the order of the state dict, each in a file of its own.
    fn weights(&self) -> BTreeMap<String, Vec<f32>> {
        let file = self.facts["checkpoint"]["file"].as_str().unwrap();
        let mut bytes = Vec::new();
        let packed = File::open(self.folder.join(file)).unwrap();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        let pickle = archive
            .file_names()
            .find(|name| name.ends_with("/data.pkl"));
        let root = pickle.unwrap().strip_suffix("data.pkl").unwrap().to_owned();
        let mut weights = BTreeMap::new();
        let state_dict = self.facts["state_dict"].as_object().unwrap();
        for (index, (name, shape)) in state_dict.iter().enumerate() {
            // Types are stated where they are not all the same.
            if shape[0].is_string() && shape[0] != "float32" {
                continue;
            }
            let mut bytes = Vec::new();
            let mut entry = archive.by_name(&format!("{root}data/{index}")).unwrap();
            entry.read_to_end(&mut bytes).unwrap();
            let values = bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b));
            weights.insert(name.clone(), values.collect());
        }
        weights
    }
}

/// All networks of a folder of golden algorithms; none where it is absent.
pub fn networks(algorithm: &str) -> Vec<Golden> {
    let Some(folder) = shared::find(&format!("golden/algorithms/{algorithm}")) else {
        return Vec::new();
    };
    let files = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    assert!(!files.is_empty());
    let networks = files.iter().map(|file| Golden {
        facts: serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap(),
        arrays: ZipArchive::new(File::open(file.with_extension("npz")).unwrap()).unwrap(),
        folder: folder.clone(),
    });
    networks.collect()
}

pub fn values<const D: usize>(tensor: Tensor<Flex, D>) -> Vec<f32> {
    tensor.into_data().into_vec().unwrap()
}

/// `[N, X, Y, Z, K]` → values in the order of `[N, K, X, Y, Z]`.
pub fn channels_first(tensor: Tensor<B, 5>) -> Vec<f32> {
    values(tensor.inner().permute([0, 4, 1, 2, 3]))
}

/// MONAI's `DiceCELoss(sigmoid=True, batch=True)` of several regions, which uses the cross entropy of a softmax. The
/// trainer's loss treats each region by itself, so that the gradients are compared with this loss instead.
///
/// **Shapes**: logits `[N, X, Y, Z, R]`, regions as bits `[N, X, Y, Z]`.
pub fn regions_of_a_softmax(outputs: &[Tensor<B, 5>], bits: &Tensor<B, 4, Int>) -> Tensor<B, 1> {
    let losses = outputs.iter().enumerate().map(|(level, logits)| {
        let [n, x, y, z, count] = logits.dims();
        let voxels = n * x * y * z;
        let bits = downsample(bits.clone(), [x, y, z]).reshape([voxels]);
        let masks = (0..count).map(|region| {
            let shifted = bits.clone().div_scalar(1 << region);
            shifted.remainder_scalar(2).float()
        });
        let truth = Tensor::stack::<2>(masks.collect(), 1);
        let logits = logits.clone().reshape([voxels, count]);
        let p = sigmoid(logits.clone());
        let overlap = (p.clone() * truth.clone()).sum_dim(0);
        let sizes = (p.clone() * p + truth.clone()).sum_dim(0);
        let dice = (overlap.mul_scalar(-2.0) / sizes.add_scalar(1e-5)).add_scalar(1.0);
        let entropy = (log_softmax(logits, 1) * truth).sum().neg();
        let loss = dice.mean() + entropy.div_scalar(voxels as f32);
        loss.mul_scalar(0.5f32.powi(level as i32))
    });
    losses.reduce(|sum, loss| sum + loss).unwrap()
}

/// Class indices, or regions as bits, `[N, X, Y, Z]`.
pub fn target(shape: &[usize], target: &[u8], sigmoid: bool) -> Tensor<B, 4, Int> {
    let [n, channels, x, y, z] = shape.try_into().unwrap();
    let voxels = x * y * z;
    assert!(sigmoid || channels == 1);
    let at = |index: usize| {
        let (case, voxel) = (index / voxels, index % voxels);
        let of_channel = |channel: usize| {
            let value = target[(case * channels + channel) * voxels + voxel];
            i32::from(value) << channel
        };
        (0..channels).map(of_channel).sum::<i32>()
    };
    let values: Vec<i32> = (0..n * voxels).map(at).collect();
    Tensor::from_data(TensorData::new(values, [n, x, y, z]), &Default::default())
}

/// Parameters by path.
pub fn parameters(network: &Network<B>) -> HashMap<String, (ParamId, Vec<f32>)> {
    let tensors = network.collect(None, None, true);
    let tensors = tensors.iter().map(|tensor| {
        let values = tensor.to_data().unwrap().into_vec().unwrap();
        (tensor.full_path(), (tensor.tensor_id.unwrap(), values))
    });
    tensors.collect()
}

/// The gradient of a parameter of this rank in the state dict, where convolutions of planes have 4 axes; `None` where it
/// has none.
pub fn gradient(gradients: &GradientsParams, id: ParamId, rank: usize) -> Option<Vec<f32>> {
    match rank {
        1 => gradients.get::<Flex, 1>(id).map(values),
        2 => gradients.get::<Flex, 2>(id).map(values),
        _ => gradients.get::<Flex, 5>(id).map(values),
    }
}

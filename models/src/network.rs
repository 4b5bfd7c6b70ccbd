//! The registry of networks.

#![allow(
    clippy::large_enum_variant,
    reason = "networks are few, and have some kilobytes beside their weights"
)]

use burn::module::{AutodiffModule, Devices, Module, ModuleMapper, ModuleVisitor};
use burn::record::Record;
use burn::tensor::backend::{AutodiffBackend, Backend};
use vesal_network::{ConfigError, NetworkConfig};

use crate::families::segresnet_ds::SegResNetDs;
use crate::families::segresnet2d::SegResNet2d;
use crate::families::swinunetr::SwinUnetr;
use crate::ops::NetworkOps;
use crate::segmentation::{Heads, SegmentationNetwork};

/// Declares [`Network`] from the networks of all families.
///
/// A closed enum rather than a trait object, because Burn's visitors and mappers are generic over the rank of tensors.
/// `Module` is written here rather than derived, because the derived one puts the variant's name into parameter paths,
/// which have to equal the keys of MONAI's state dict.
macro_rules! networks {
    ($($variant:ident($network:ident)),+ $(,)?) => {
        /// A network of any family.
        #[derive(Debug, Clone)]
        pub enum Network<B: Backend> {
            $($variant($network<B>)),+
        }

        /// Burn's record of a network.
        #[derive(Record)]
        pub enum NetworkRecord<B: Backend> {
            $($variant(<$network<B> as Module<B>>::Record)),+
        }

        impl<B: Backend> Module<B> for Network<B> {
            type Record = NetworkRecord<B>;

            fn collect_devices(&self, devices: Devices<B>) -> Devices<B> {
                match self { $(Self::$variant(network) => network.collect_devices(devices)),+ }
            }

            fn fork(self, device: &B::Device) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.fork(device))),+ }
            }

            fn to_device(self, device: &B::Device) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.to_device(device))),+ }
            }

            fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
                match self { $(Self::$variant(network) => network.visit(visitor)),+ }
            }

            fn map<M: ModuleMapper<B>>(self, mapper: &mut M) -> Self {
                match self { $(Self::$variant(network) => Self::$variant(network.map(mapper))),+ }
            }

            fn load_record(self, record: Self::Record) -> Self {
                match (self, record) {
                    $((Self::$variant(network), NetworkRecord::$variant(record)) => {
                        Self::$variant(network.load_record(record))
                    })+
                    #[allow(unreachable_patterns)]
                    _ => panic!("a record of another family of networks"),
                }
            }

            fn into_record(self) -> Self::Record {
                match self { $(Self::$variant(network) => NetworkRecord::$variant(network.into_record())),+ }
            }
        }

        impl<B: AutodiffBackend> AutodiffModule<B> for Network<B> {
            type InnerModule = Network<B::InnerBackend>;

            fn valid(&self) -> Self::InnerModule {
                match self { $(Self::$variant(network) => Network::$variant(network.valid())),+ }
            }

            fn from_inner(network: Self::InnerModule) -> Self {
                match network {
                    $(Network::$variant(network) => Self::$variant(AutodiffModule::from_inner(network))),+
                }
            }
        }

        impl<B: Backend> SegmentationNetwork<B> for Network<B> {
            fn run<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value, heads: Heads) -> Vec<O::Value> {
                match self { $(Self::$variant(network) => network.run(ops, input, heads)),+ }
            }

            fn shape_factor(&self) -> [usize; 3] {
                match self { $(Self::$variant(network) => network.shape_factor()),+ }
            }
        }

        /// Builds a network with fresh weights (PyTorch's default initialization).
        ///
        /// **Errors**: as [`NetworkConfig::validate`].
        pub fn init<B: Backend>(config: &NetworkConfig, device: &B::Device) -> Result<Network<B>, ConfigError> {
            config.validate()?;
            Ok(match config {
                $(NetworkConfig::$variant(config) => Network::$variant($network::new(config, device))),+
            })
        }
    };
}

networks! {
    SegresnetDs(SegResNetDs),
    Segresnet2d(SegResNet2d),
    Swinunetr(SwinUnetr),
}

//! The registry of network families.

use serde::{Deserialize, Serialize};

use crate::dints::DintsConfig;
use crate::error::{ArchitectureError, ConfigError, WindowSizeError};
use crate::family::{Activations, Family};
use crate::segresnet_ds::SegResNetDsConfig;
use crate::segresnet2d::SegResNet2dConfig;
use crate::shapes::Shapes;
use crate::swinunetr::SwinUnetrConfig;

/// Declares [`NetworkConfig`] from its families and their keys in files.
macro_rules! families {
    ($($key:literal => $variant:ident($config:ty)),+ $(,)?) => {
        /// A network by its family and hyperparameters, as plans, run records and exports state it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub enum NetworkConfig {
            $(#[serde(rename = $key)] $variant($config)),+
        }

        $(impl From<$config> for NetworkConfig {
            fn from(config: $config) -> Self {
                Self::$variant(config)
            }
        })+

        impl NetworkConfig {
            /// Checks the hyperparameters.
            ///
            /// **Errors**: [`ConfigError`] names the first field that is out of range.
            pub fn validate(&self) -> Result<(), ConfigError> {
                match self { $(Self::$variant(config) => config.validate()),+ }
            }

            pub fn in_channels(&self) -> usize {
                match self { $(Self::$variant(config) => config.in_channels()),+ }
            }

            pub fn out_channels(&self) -> usize {
                match self { $(Self::$variant(config) => config.out_channels()),+ }
            }

            /// Divisor of each spatial axis of the input.
            pub fn shape_factor(&self) -> [usize; 3] {
                match self { $(Self::$variant(config) => config.shape_factor()),+ }
            }

            /// Checks that the network can process windows of this size, see [`Family::check_window`].
            ///
            /// **Errors**: [`WindowSizeError`].
            pub fn check_window(&self, window: [usize; 3]) -> Result<(), WindowSizeError> {
                match self { $(Self::$variant(config) => config.check_window(window)),+ }
            }

            /// Whether the output of each plane depends on that plane alone, see [`Family::is_planar`].
            pub fn is_planar(&self) -> bool {
                match self { $(Self::$variant(config) => config.is_planar()),+ }
            }

            /// Most values that one operation rearranges by indices, see [`Family::most_indices`].
            pub fn most_indices(&self, window: [usize; 3]) -> usize {
                match self { $(Self::$variant(config) => config.most_indices(window)),+ }
            }

            /// Path and shape of every tensor, see [`Family::tensors`].
            pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
                match self { $(Self::$variant(config) => Family::tensors(config)),+ }
            }

            /// Number of parameters.
            pub fn parameters(&self) -> u64 {
                match self { $(Self::$variant(config) => config.parameters()),+ }
            }

            /// Whether a tensor belongs to a last layer, see [`Family::is_head`].
            pub fn is_head(&self, tensor: &str) -> bool {
                match self { $(Self::$variant(_) => <$config>::is_head(tensor)),+ }
            }

            /// Whether a tensor is the weight of a convolution that reads the image, see [`Family::reads_image`].
            pub fn reads_image(&self, tensor: &str) -> bool {
                match self { $(Self::$variant(_) => <$config>::reads_image(tensor)),+ }
            }

            /// Tensors that a training step on a patch of this size holds.
            pub fn activations(&self, patch: [usize; 3]) -> Activations {
                match self { $(Self::$variant(config) => config.activations(patch)),+ }
            }

            /// Name of the family in files.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$variant(_) => $key),+ }
            }

            /// Name of the family in messages.
            pub fn family(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$config>::NAME),+ }
            }

            /// Infers family and hyperparameters from the shapes of a state dict.
            ///
            /// **Errors**: [`ArchitectureError`].
            pub fn infer(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError> {
                let families: &[(fn(&Shapes<'_>) -> bool, Infer)] = &[
                    $((<$config>::recognizes, |shapes| <$config>::infer(shapes).map(Self::$variant))),+
                ];
                let recognized = families.iter().find(|(recognizes, _)| recognizes(shapes));
                match recognized {
                    Some((_, infer)) => infer(shapes),
                    None => Err(ArchitectureError::Unknown {
                        found: shapes.first().to_owned(),
                        families: &[$(<$config>::NAME),+],
                    }),
                }
            }

            fn facts(&self) -> Vec<(&'static str, String)> {
                match self { $(Self::$variant(config) => config.facts()),+ }
            }

            /// Name and facts of the network that these tensors belong to, as [`Family::facts_of`] where the family is
            /// this one.
            fn found(&self, shapes: &Shapes<'_>) -> Result<(&'static str, Facts), ArchitectureError> {
                Ok(match self {
                    $(Self::$variant(config) if <$config>::recognizes(shapes) => {
                        (<$config>::NAME, config.facts_of(shapes)?)
                    })+
                    _ => {
                        let other = Self::infer(shapes)?;
                        (other.family(), other.facts())
                    }
                })
            }
        }
    };
}

type Facts = Vec<(&'static str, String)>;
type Infer = fn(&Shapes<'_>) -> Result<NetworkConfig, ArchitectureError>;

families! {
    "segresnet_ds" => SegresnetDs(SegResNetDsConfig),
    "segresnet2d" => Segresnet2d(SegResNet2dConfig),
    "dints" => Dints(DintsConfig),
    "swinunetr" => Swinunetr(SwinUnetrConfig),
}

impl NetworkConfig {
    /// Checks that tensors of these shapes are the weights of this network, before anything is built: a wrong
    /// description costs no memory.
    ///
    /// **Errors**: [`ArchitectureError::Contradiction`] for the first hyperparameter that differs, and as
    /// [`infer`](Self::infer).
    pub fn check_shapes(&self, shapes: &Shapes<'_>) -> Result<(), ArchitectureError> {
        let (family, facts) = self.found(shapes)?;
        let with_family = |family: &str, facts: Facts| {
            std::iter::once(("family", family.to_owned())).chain(facts)
        };
        let described = with_family(self.family(), self.facts());
        let found = with_family(family, facts);
        match described
            .zip(found)
            .find(|(described, found)| described != found)
        {
            None => Ok(()),
            Some(((field, described), (_, found))) => Err(ArchitectureError::Contradiction {
                field,
                described,
                found,
            }),
        }
    }
}

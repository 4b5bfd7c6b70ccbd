//! What is assumed of networks that come without a description.

use vesal_network::NetworkConfig;

use super::overrides::ImportOverrides;
use super::template::Template;

/// What a checkpoint and its folder state.
#[derive(Debug, Clone, Copy)]
pub(super) struct StatedParts {
    /// The network's arguments; otherwise it is told from its weights.
    pub network: bool,
    /// Settings of training, of any kind.
    pub settings: bool,
}

impl StatedParts {
    /// Adds what is assumed, before other assumptions.
    pub fn assume(
        self,
        network: &NetworkConfig,
        flags: &ImportOverrides,
        assumptions: &mut Vec<String>,
    ) {
        let mut assumed = Vec::new();
        if !self.network {
            let layers = match network {
                // Its normalizations have no weights and its activations are fixed.
                NetworkConfig::Swinunetr(_) => None,
                // Its running statistics tell its normalization.
                NetworkConfig::Segresnet2d(_) => Some("ReLU"),
                NetworkConfig::SegresnetDs(_) | NetworkConfig::Dints(_) => {
                    Some("instance normalization and ReLU")
                }
            };
            assumed.extend(layers.map(|layers| {
                format!("{layers}; the weights do not tell, and other networks are not imported")
            }));
        }
        // The other templates say so themselves.
        if !self.settings && !Template::of(network).is_uniform() {
            if flags.activation.is_none() {
                assumed.push(SOFTMAX.to_owned());
            }
            if flags.spacing.is_none() {
                assumed.push("images are not resampled; `--spacing X,Y,Z` states the spacing in mm of training".into());
            }
        }
        assumptions.splice(0..0, assumed);
    }
}

/// The assumption about classes.
pub(super) const SOFTMAX: &str =
    "classes exclude each other (softmax); `--activation sigmoid` states that they are regions";

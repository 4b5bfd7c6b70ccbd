//! The order in which neighboring tokens are merged.

use serde::{Deserialize, Serialize};

/// The order in which the channels of eight neighbors are concatenated when tokens are merged. State dicts of both are
/// the same, the networks differ.
///
/// **Source**: MONAI's `PatchMerging`, whose order changed with version 1.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PatchMerging {
    /// MONAI since 1.5.0.
    #[default]
    #[serde(rename = "monai_1_5")]
    Monai15,
    /// MONAI up to 1.4.0: two neighbors are taken twice, and two never.
    #[serde(rename = "monai_1_4")]
    Monai14,
}

impl PatchMerging {
    /// Offsets of the neighbors along X, Y and Z, in order.
    pub fn octants(self) -> [[usize; 3]; 8] {
        let [first, second, third] = match self {
            Self::Monai15 => [[1, 1, 0], [1, 0, 1], [0, 1, 1]],
            Self::Monai14 => [[1, 0, 1], [0, 1, 0], [0, 0, 1]],
        };
        [
            [0, 0, 0],
            [1, 0, 0],
            [0, 1, 0],
            [0, 0, 1],
            first,
            second,
            third,
            [1, 1, 1],
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_neighbor_is_merged_once_since_1_5() {
        let mut octants = PatchMerging::Monai15.octants();
        octants.sort_unstable();
        let all = std::array::from_fn(|octant| [octant >> 2, octant >> 1 & 1, octant & 1]);
        assert_eq!(octants, all);
        let old = PatchMerging::Monai14.octants();
        assert!(!old.contains(&[1, 1, 0]) && !old.contains(&[0, 1, 1]));
    }
}

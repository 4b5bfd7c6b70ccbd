//! Settings whose value is one of several names.

use std::fmt;

use serde::{Deserialize, Serialize};
use vesal_network::PatchMerging;

use super::value::{Choice, SettingValue, Type};

macro_rules! choices {
    ($(
        $(#[doc = $about:literal])+
        $type:ident {
            $(
                $(#[doc = $doc:literal])+
                $variant:ident = $name:literal $(or $alias:literal)*,
            )+
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $type {
            $(
                $(#[doc = $doc])+
                #[serde(rename = $name $(, alias = $alias)*)]
                $variant,
            )+
        }

        impl $type {
            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl fmt::Debug for $type {
            /// Writes the name as settings spell it.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl SettingValue for $type {
            const TYPE: Type = Type::Name(&[$(
                Choice {
                    name: $name,
                    aliases: &[$($alias),*],
                    doc: concat!($($doc),+),
                },
            )+]);
        }
    )+};
}

choices! {
    /// Where patches are cut.
    CropMode {
        /// around voxels drawn with equal chance from each class, background included
        Ratio = "ratio",
        /// anywhere
        Rand = "rand",
    }

    /// Set of random changes to patches, by Auto3DSeg's names.
    AugmentMode {
        /// affine, smoothing, scale and shift of intensities, noise
        Default = "default",
        /// nothing
        None = "none",
        /// for CT with axial slices: histogram shift, contrast, in-plane affine
        CtAx1 = "ct_ax_1",
        /// for MR: affine, noise, smoothing, scale around the mean, contrast of the image and of its negative
        Mri1 = "mri_1",
    }

    /// How intensities are normalized, by Auto3DSeg's names.
    NormalizeMode {
        /// the range of intensities, through a sigmoid or (swinunetr, dints) clipped: CT
        Range = "range" or "ct",
        /// zero mean and unit deviation over the voxels that are not zero: MR
        Meanstd = "meanstd" or "mri" or "mr",
        /// the same with outliers pressed together by a hyperbolic tangent
        Meanstdtanh = "meanstdtanh",
        /// deviations from the smallest intensity through a sigmoid: PET
        Pet = "pet",
        /// intensities as they are
        None = "none",
    }

    /// Which spacing images are resampled to, by Auto3DSeg's names.
    ResampleMode {
        /// the median in x and y; in z the 10th percentile, at least the mean of x and y
        Auto = "auto",
        /// the median
        Median = "median",
        /// the median in x and y, the 10th percentile in z
        Median10 = "median10",
        /// 1 mm
        Ones = "ones",
    }
}

impl SettingValue for PatchMerging {
    const TYPE: Type = Type::Name(&[
        Choice {
            name: "monai_1_5",
            aliases: &[],
            doc: "every neighbor once: MONAI since 1.5.0",
        },
        Choice {
            name: "monai_1_4",
            aliases: &[],
            doc: "two neighbors twice, and two never: MONAI up to 1.4.0, which published weights were trained with",
        },
    ]);
}

impl Default for AugmentMode {
    /// The value for train plans that were written before the setting existed.
    fn default() -> Self {
        Self::Default
    }
}

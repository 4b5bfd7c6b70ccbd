//! Data stats as they are written: the tree of Auto3DSeg's `datastats.yaml`.

use serde::{Deserialize, Serialize};

pub use super::histogram::{EvenHistogram, Histogram};

/// `datastats.yaml`: statistics of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataStats<S = StatsSummary> {
    pub stats_summary: S,
}

/// `datastats_by_case.yaml`: statistics of a dataset and of each case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataStatsByCase<S = StatsSummary> {
    pub stats_summary: S,
    /// In the datalist's order.
    pub stats_by_cases: Vec<CaseStats>,
    pub excluded_cases: Vec<ExcludedCase>,
}

/// A case that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcludedCase {
    pub case: String,
    /// Why it could not be used.
    pub reason: String,
}

/// Statistics over all cases: with labels, or of images alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
// There is one per dataset, so that its size does not matter.
#[allow(clippy::large_enum_variant)]
pub enum DatasetSummary {
    /// Of images and labels.
    Labeled(StatsSummary),
    /// Of images alone, for which nothing can be planned.
    ImagesOnly(ImagesSummary),
}

impl DatasetSummary {
    /// The statistics of images and labels, if there are labels.
    pub fn labeled(&self) -> Option<&StatsSummary> {
        match self {
            Self::Labeled(summary) => Some(summary),
            Self::ImagesOnly(_) => None,
        }
    }

    /// Labels besides 0 that occur, in ascending order.
    pub fn foreground_labels(&self) -> Vec<u16> {
        let labels = self.labeled().map(|summary| &summary.label_stats.labels);
        let labels = labels.into_iter().flatten().copied();
        labels.filter(|&label| label > 0).collect()
    }

    pub fn image_stats(&self) -> &ImageSummary {
        match self {
            Self::Labeled(summary) => &summary.image_stats,
            Self::ImagesOnly(summary) => &summary.image_stats,
        }
    }
}

/// Statistics of images without labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImagesSummary {
    pub image_stats: ImageSummary,
    /// Histograms, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_histogram: Option<HistogramSummary>,
    pub n_cases: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramSummary {
    /// One per channel.
    pub histogram: Vec<Histogram>,
}

/// Statistics over all cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatsSummary {
    pub image_stats: ImageSummary,
    /// Intensities under any label.
    pub image_foreground_stats: ForegroundSummary,
    /// Labels, their volume fractions and the intensities under them.
    pub label_stats: LabelSummary,
    /// Histograms, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_histogram: Option<HistogramSummary>,
    pub n_cases: usize,
}

/// Grids, after reorientation to RAS, and intensities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageSummary {
    /// Shape in voxels.
    pub shape: Spread<[usize; 3], [f64; 3]>,
    pub channels: Spread<usize, f64>,
    /// Shape of the bounding box of voxels above 0, in voxels.
    pub cropped_shape: Spread<[usize; 3], [f64; 3]>,
    /// Spacing in mm.
    pub spacing: Spread<[f64; 3]>,
    /// Shape times spacing, in mm.
    pub sizemm: Spread<[f64; 3]>,
    /// Intensities within the bounding box of voxels above 0, averaged over cases and channels.
    pub intensity: IntensityStats,
    /// The same per channel.
    #[serde(default)]
    pub intensity_by_channel: Vec<IntensityStats>,
}

/// Intensities under any label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForegroundSummary {
    /// Averaged over channels and over the cases with foreground.
    pub intensity: IntensityStats,
    /// The same per channel.
    pub intensity_by_channel: Vec<IntensityStats>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelSummary {
    /// Values that occur, in ascending order.
    pub labels: Vec<u16>,
    /// Intensities under any label but 0.
    pub image_intensity: IntensityStats,
    /// One entry for each of `labels`.
    pub label: Vec<LabelSpread>,
}

/// Statistics of one label over the cases where it occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelSpread {
    /// Fraction of all voxels, 0 to 1.
    pub foreground_percentage: Spread<f64>,
    /// Intensities under the label.
    pub image_intensity: IntensityStats,
    /// Bounding boxes of the connected components in voxels, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Spread<[usize; 3], [f64; 3]>>,
    /// Number of connected components, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ncomponents: Option<Spread<usize, f64>>,
}

/// Distribution of a quantity over cases. Percentiles of whole numbers are rounded down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread<T, F = T> {
    pub max: T,
    pub mean: F,
    pub median: F,
    pub min: T,
    /// Population standard deviation.
    pub stdev: F,
    /// The four percentiles below.
    pub percentile: [T; 4],
    pub percentile_00_5: T,
    pub percentile_10_0: T,
    pub percentile_90_0: T,
    pub percentile_99_5: T,
}

impl<T: Copy, F> Spread<T, F> {
    pub(super) fn new(max: T, mean: F, median: F, min: T, stdev: F, percentile: [T; 4]) -> Self {
        let [
            percentile_00_5,
            percentile_10_0,
            percentile_90_0,
            percentile_99_5,
        ] = percentile;
        Self {
            max,
            mean,
            median,
            min,
            stdev,
            percentile,
            percentile_00_5,
            percentile_10_0,
            percentile_90_0,
            percentile_99_5,
        }
    }

    /// The same distribution with values of another type.
    pub(super) fn map<U: Copy>(self, convert: impl Fn(T) -> U) -> Spread<U, F> {
        let percentile = self.percentile.map(&convert);
        Spread::new(
            convert(self.max),
            self.mean,
            self.median,
            convert(self.min),
            self.stdev,
            percentile,
        )
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntensityStats {
    pub max: f64,
    pub mean: f64,
    pub median: f64,
    pub min: f64,
    /// Population standard deviation.
    pub stdev: f64,
    /// The four percentiles below; `None` in averages over cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<[f64; 4]>,
    pub percentile_00_5: f64,
    pub percentile_10_0: f64,
    pub percentile_90_0: f64,
    pub percentile_99_5: f64,
}

/// Statistics of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseStats {
    pub case: String,
    /// Images, relative to the data root.
    pub image_filepath: Vec<String>,
    /// Label map, relative to the data root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_filepath: Option<String>,
    /// Axis codes of the files, such as `LPS`; all statistics are in RAS.
    pub orientation: String,
    pub image_stats: CaseImageStats,
    /// Intensities under any label; `None` without a label map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_foreground_stats: Option<CaseForegroundStats>,
    /// `None` without a label map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_stats: Option<CaseLabelStats>,
    /// Histogram of all voxels per channel in the requested bins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_histogram: Option<Vec<Histogram>>,
    /// For plots, per channel: intensities under any label, or within the bounding box of voxels above 0 where there is
    /// no label.
    pub intensity_histogram: Vec<EvenHistogram>,
}

/// Grid and intensities of a case; lists have one entry per channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseImageStats {
    /// Shape in voxels.
    pub shape: Vec<[usize; 3]>,
    pub channels: usize,
    /// Shape of the bounding box of voxels above 0, in voxels; the whole shape where there are none.
    pub cropped_shape: Vec<[usize; 3]>,
    /// Spacing in mm.
    pub spacing: [f64; 3],
    /// Shape times spacing, in mm.
    pub sizemm: [f64; 3],
    /// Intensities within the bounding box.
    pub intensity: Vec<IntensityStats>,
}

/// Intensities under any label of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseForegroundStats {
    /// One entry per channel; empty where the case has only background.
    pub intensity: Vec<IntensityStats>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseLabelStats {
    /// Values that occur, in ascending order.
    pub labels: Vec<u16>,
    /// Intensities under any label but 0, per channel; empty where the case has only background.
    pub image_intensity: Vec<IntensityStats>,
    /// One entry for each of `labels`.
    pub label: Vec<CaseLabel>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseLabel {
    /// Fraction of all voxels, 0 to 1.
    pub foreground_percentage: f64,
    /// Intensities under the label, per channel.
    pub image_intensity: Vec<IntensityStats>,
    /// Bounding boxes of the connected components in voxels, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<[usize; 3]>>,
    /// Number of connected components, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ncomponents: Option<usize>,
}

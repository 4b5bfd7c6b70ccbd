//! Data stats as they are written: the tree of Auto3DSeg's `datastats.yaml`.

use serde::{Deserialize, Serialize};

pub use super::histogram::{EvenHistogram, Histogram};

/// `datastats.yaml`: facts measured on a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataStats<S = StatsSummary> {
    /// Facts about all cases together.
    pub stats_summary: S,
}

/// `datastats_by_case.yaml`: the same with every case on its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataStatsByCase<S = StatsSummary> {
    /// Facts about all cases together.
    pub stats_summary: S,
    /// Facts about each case, in the datalist's order.
    pub stats_by_cases: Vec<CaseStats>,
    /// Cases that could not be used, and why.
    pub excluded_cases: Vec<ExcludedCase>,
}

/// A case that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcludedCase {
    /// Name of the case.
    pub case: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Facts about all cases together: with labels, or of images alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
// One per dataset: its size does not matter.
#[allow(clippy::large_enum_variant)]
pub enum DatasetSummary {
    /// Of images and labels.
    Labeled(StatsSummary),
    /// Of images alone, which nothing can be planned from.
    ImagesOnly(ImagesSummary),
}

impl DatasetSummary {
    /// The facts about images and labels, if there are labels.
    pub fn labeled(&self) -> Option<&StatsSummary> {
        match self {
            Self::Labeled(summary) => Some(summary),
            Self::ImagesOnly(_) => None,
        }
    }

    pub fn image_stats(&self) -> &ImageSummary {
        match self {
            Self::Labeled(summary) => &summary.image_stats,
            Self::ImagesOnly(summary) => &summary.image_stats,
        }
    }
}

/// Facts about images without labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImagesSummary {
    pub image_stats: ImageSummary,
    /// Histograms, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_histogram: Option<HistogramSummary>,
    pub n_cases: usize,
}

/// Histograms over all cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramSummary {
    /// Per channel.
    pub histogram: Vec<Histogram>,
}

/// Facts about all cases together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatsSummary {
    pub image_stats: ImageSummary,
    /// Intensities under any label.
    pub image_foreground_stats: ForegroundSummary,
    /// Labels, their share of the volume and the intensities under them.
    pub label_stats: LabelSummary,
    /// Histograms, where they were asked for.
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
    /// Shape of the box of voxels above 0, in voxels.
    pub cropped_shape: Spread<[usize; 3], [f64; 3]>,
    /// Spacing in mm.
    pub spacing: Spread<[f64; 3]>,
    /// Shape times spacing in mm.
    pub sizemm: Spread<[f64; 3]>,
    /// Intensities within the box of voxels above 0, averaged over cases and channels.
    pub intensity: IntensityStats,
    /// The same for each channel.
    #[serde(default)]
    pub intensity_by_channel: Vec<IntensityStats>,
}

/// Intensities under any label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForegroundSummary {
    /// Averaged over channels and over the cases that have a label.
    pub intensity: IntensityStats,
    /// The same for each channel.
    pub intensity_by_channel: Vec<IntensityStats>,
}

/// Labels of all cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelSummary {
    /// Values that occur, in order.
    pub labels: Vec<u16>,
    /// Intensities under any label but 0.
    pub image_intensity: IntensityStats,
    /// Each of `labels`.
    pub label: Vec<LabelSpread>,
}

/// One label in the cases where it occurs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelSpread {
    /// Its share of all voxels, as a fraction.
    pub foreground_percentage: Spread<f64>,
    /// Intensities under it.
    pub image_intensity: IntensityStats,
    /// Bounding boxes of its connected components in voxels, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Spread<[usize; 3], [f64; 3]>>,
    /// Number of its connected components, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ncomponents: Option<Spread<usize, f64>>,
}

/// How something is spread over cases. Whole numbers have percentiles that are rounded down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread<T, F = T> {
    pub max: T,
    pub mean: F,
    pub median: F,
    pub min: T,
    /// Population standard deviation.
    pub stdev: F,
    /// The four percentiles below, together.
    pub percentile: [T; 4],
    /// 0.5 % of cases are below.
    pub percentile_00_5: T,
    /// 10 % of cases are below.
    pub percentile_10_0: T,
    /// 90 % of cases are below.
    pub percentile_90_0: T,
    /// 99.5 % of cases are below.
    pub percentile_99_5: T,
}

impl<T: Copy, F> Spread<T, F> {
    /// Puts the figures together.
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

    /// The same spread of another type.
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

/// A distribution of intensities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntensityStats {
    pub max: f64,
    pub mean: f64,
    pub median: f64,
    pub min: f64,
    /// Population standard deviation.
    pub stdev: f64,
    /// The four percentiles below, together; of single cases only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<[f64; 4]>,
    /// 0.5 % are below.
    pub percentile_00_5: f64,
    /// 10 % are below.
    pub percentile_10_0: f64,
    /// 90 % are below.
    pub percentile_90_0: f64,
    /// 99.5 % are below.
    pub percentile_99_5: f64,
}

/// Facts about one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseStats {
    /// Name of the case.
    pub case: String,
    /// Its images, relative to the data root.
    pub image_filepath: Vec<String>,
    /// Its label map, relative to the data root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_filepath: Option<String>,
    /// Axis codes of its files, such as `LPS`; all figures are in RAS.
    pub orientation: String,
    pub image_stats: CaseImageStats,
    /// Intensities under any label; absent without a label map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_foreground_stats: Option<CaseForegroundStats>,
    /// Labels; absent without a label map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_stats: Option<CaseLabelStats>,
    /// All voxels of each channel in the bins that were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_histogram: Option<Vec<Histogram>>,
    /// For plots, per channel: intensities under any label; within the box of voxels above 0 where there is none.
    pub intensity_histogram: Vec<EvenHistogram>,
}

/// Grid and intensities of a case; lists have an entry per channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseImageStats {
    /// Shape in voxels.
    pub shape: Vec<[usize; 3]>,
    pub channels: usize,
    /// Shape of the box of voxels above 0, in voxels; the whole shape where none is.
    pub cropped_shape: Vec<[usize; 3]>,
    /// Spacing in mm.
    pub spacing: [f64; 3],
    /// Shape times spacing in mm.
    pub sizemm: [f64; 3],
    /// Intensities within the box.
    pub intensity: Vec<IntensityStats>,
}

/// Intensities under any label of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseForegroundStats {
    /// Per channel; empty where the case has background only.
    pub intensity: Vec<IntensityStats>,
}

/// Labels of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseLabelStats {
    /// Values that occur, in order.
    pub labels: Vec<u16>,
    /// Intensities under any label but 0, per channel; empty where the case has background only.
    pub image_intensity: Vec<IntensityStats>,
    /// Each of `labels`.
    pub label: Vec<CaseLabel>,
}

/// One label of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseLabel {
    /// Its share of all voxels, as a fraction.
    pub foreground_percentage: f64,
    /// Intensities under it, per channel.
    pub image_intensity: Vec<IntensityStats>,
    /// Bounding boxes of its connected components in voxels, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<[usize; 3]>>,
    /// Number of its connected components, where they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ncomponents: Option<usize>,
}

//! Measurement of one case, one channel at a time.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{ArrayView3, Axis};
use vesal_cases::datalist::Case;
use vesal_cases::read_channels;
use vesal_io::image::{DataType, ImageFile, ReadLimits};
use vesal_volume::measure::components;
use vesal_volume::orientation::{AxisTransform, Orientation};
use vesal_volume::{Geometry, LabelMap};

use super::channel::{self, ChannelStats, Digest};
use super::error::CaseAnalysisError;
use super::findings::{Finding, FindingKind};
use super::labels::{Centroid, LabelIndex};
use super::open::CaseToMeasure;
use super::options::AnalysisOptions;
use super::stats::{
    CaseForegroundStats, CaseImageStats, CaseLabel, CaseLabelStats, CaseStats, IntensityStats,
};

/// Measured cases by their position in the datalist.
pub(super) type Cohort = BTreeMap<usize, Measured>;

pub(super) struct Measured {
    /// The entry of `datastats_by_case.yaml`.
    pub stats: CaseStats,
    /// Facts that are compared with those of other cases.
    pub facts: Facts,
    /// Findings that do not exclude the case.
    pub warnings: Vec<Finding>,
}

impl Measured {
    /// A finding about the case, with its first image as the file.
    pub fn finding(&self, kind: FindingKind, message: String) -> Finding {
        Finding {
            files: self
                .stats
                .image_filepath
                .first()
                .into_iter()
                .cloned()
                .collect(),
            ..Finding::about(&self.stats.case, kind, message)
        }
    }
}

/// Facts that are compared between cases.
pub(super) struct Facts {
    /// Axis codes of the files.
    pub orientation: Orientation,
    /// One digest per channel.
    pub digests: Vec<Digest>,
    pub label_digest: Option<Digest>,
    /// Stored type of the first image.
    pub data_type: DataType,
    /// Positions of the labels besides 0.
    pub centroids: Vec<Centroid>,
    /// Least and largest right coordinate of the grid in mm.
    pub right_mm: [f64; 2],
    /// Index of the voxel in the middle of the foreground, or of the grid where there is no foreground.
    pub middle: [usize; 3],
}

impl CaseToMeasure<'_> {
    /// Peak memory of the measurement in bytes: a file as stored and as decoded, the labels, and one channel's voxels
    /// in another order.
    pub fn bytes(&self) -> u64 {
        let voxels = self
            .geometry
            .shape
            .iter()
            .map(|&side| side as u64)
            .product::<u64>();
        let mut most = 0;
        let mut labels = 0;
        if let Some((_, file)) = &self.labels {
            labels = voxels * size_of::<u16>() as u64;
            most = labels + file.header().voxel_bytes;
        }
        for image in &self.images {
            let header = image.header();
            let channel = voxels * size_of::<f32>() as u64;
            let decoded = channel * header.frames as u64;
            most = most.max(labels + decoded + header.voxel_bytes.max(channel));
        }
        for image in &self.further {
            let shape = image.header().geometry.shape;
            let voxels: u64 = shape.iter().map(|&side| side as u64).product();
            let decoded = voxels * size_of::<f32>() as u64;
            most = most.max(labels + decoded + image.header().voxel_bytes.max(decoded));
        }
        most
    }

    /// Reads the voxels and measures them.
    pub fn measure(self, options: &AnalysisOptions) -> Result<Measured, CaseAnalysisError> {
        let warnings = self.header_warnings();
        let Self {
            case,
            images,
            further,
            labels,
            geometry,
            orientation,
        } = self;
        let data_type = images[0].header().data_type;
        let (label_map, index) = match labels {
            Some((file, labels)) => {
                let map = labels.label_map(&ReadLimits::default())?;
                let index = LabelIndex::new(map.data.view());
                if let Some(named) = &options.labels
                    && !options.others_are_background
                {
                    check_names(file, &map, &index, named)?;
                }
                (Some(map), Some(index))
            }
            None => (None, None),
        };
        let grouped = label_map
            .as_ref()
            .map(|map| map.data.view())
            .zip(index.as_ref());
        let channels = measure_channels(case, images, grouped, options)?;
        check_further(case, further)?;

        let to_ras = AxisTransform::between(orientation, Orientation::RAS);
        let centroids = index
            .as_ref()
            .map_or(Vec::new(), |index| index.centroids(&geometry.affine));
        let facts = Facts {
            orientation,
            digests: channels.iter().map(|channel| channel.digest).collect(),
            label_digest: label_map
                .as_ref()
                .map(|map| channel::digest_labels(map.data.view())),
            data_type,
            middle: middle(&centroids, geometry.shape),
            centroids,
            right_mm: right_mm(&geometry),
        };
        let label_stats = match (index, label_map) {
            (Some(index), Some(map)) => Some(label_stats(index, map, to_ras, &channels, options)),
            _ => None,
        };
        let foreground = label_stats
            .as_ref()
            .map(|stats| stats.image_intensity.clone());
        let stats = CaseStats {
            case: case.id.clone(),
            image_filepath: case.images.clone(),
            label_filepath: case.label.clone(),
            orientation: orientation.to_string(),
            image_stats: image_stats(&geometry, to_ras, &channels),
            image_foreground_stats: foreground.map(|intensity| CaseForegroundStats { intensity }),
            label_stats,
            image_histogram: channels
                .iter()
                .map(|channel| channel.histogram.clone())
                .collect(),
            intensity_histogram: channels.into_iter().map(|channel| channel.plot).collect(),
        };
        Ok(Measured {
            stats,
            facts,
            warnings,
        })
    }
}

fn check_names(
    file: &str,
    map: &LabelMap,
    index: &LabelIndex,
    named: &BTreeSet<u16>,
) -> Result<(), CaseAnalysisError> {
    let is_unnamed = |label: &u16| *label > 0 && !named.contains(label);
    let found: Vec<u16> = index.labels().filter(is_unnamed).collect();
    if found.is_empty() {
        return Ok(());
    }
    let at = map
        .data
        .indexed_iter()
        .find(|(_, label)| is_unnamed(label))
        .map_or([0; 3], |(at, _)| at.into());
    Err(CaseAnalysisError::Labels {
        file: file.to_owned(),
        found,
        named: std::iter::once(0).chain(named.iter().copied()).collect(),
        at,
    })
}

/// Measures one channel after the other: the channels of a single file, or one channel per file.
fn measure_channels(
    case: &Case,
    images: Vec<ImageFile>,
    labels: Option<(ArrayView3<'_, u16>, &LabelIndex)>,
    options: &AnalysisOptions,
) -> Result<Vec<ChannelStats>, CaseAnalysisError> {
    let single = images.len() == 1;
    let mut channels = Vec::new();
    let mut scratch = Vec::new();
    for (file, image) in case.images.iter().zip(images) {
        let volume = read_channels(image, single, &ReadLimits::default())?;
        for voxels in volume.data.axis_iter(Axis(0)) {
            let histogram = options.histogram.as_ref();
            let histogram = histogram.map(|wanted| wanted.of_channel(channels.len()));
            channels.push(channel::measure(
                file,
                voxels,
                labels,
                histogram,
                &mut scratch,
            )?);
        }
    }
    Ok(channels)
}

/// Reads the secondary images and checks that each has one frame and is not constant.
fn check_further(case: &Case, images: Vec<ImageFile>) -> Result<(), CaseAnalysisError> {
    let mut scratch = Vec::new();
    for (file, image) in case.further.iter().zip(images) {
        let volume = image.volume(&ReadLimits::default())?;
        let voxels = volume.data.index_axis(Axis(0), 0);
        channel::measure(file, voxels, None, None, &mut scratch)?;
    }
    Ok(())
}

fn image_stats(
    geometry: &Geometry,
    to_ras: AxisTransform,
    channels: &[ChannelStats],
) -> CaseImageStats {
    let shape = to_ras.source.map(|axis| geometry.shape[axis]);
    let spacing = to_ras.source.map(|axis| geometry.affine.spacing()[axis]);
    let cropped = channels.iter().map(|channel| channel.foreground.shape());
    CaseImageStats {
        shape: vec![shape; channels.len()],
        channels: channels.len(),
        cropped_shape: cropped
            .map(|shape| to_ras.source.map(|axis| shape[axis]))
            .collect(),
        spacing,
        sizemm: std::array::from_fn(|axis| shape[axis] as f64 * spacing[axis]),
        intensity: channels
            .iter()
            .map(|channel| channel.intensity.clone())
            .collect(),
    }
}

fn label_stats(
    index: LabelIndex,
    map: LabelMap,
    to_ras: AxisTransform,
    channels: &[ChannelStats],
    options: &AnalysisOptions,
) -> CaseLabelStats {
    let voxels = map.data.len() as f64;
    let mut label: Vec<CaseLabel> = index
        .labels()
        .enumerate()
        .map(|(position, label)| CaseLabel {
            foreground_percentage: index.count(label) as f64 / voxels,
            image_intensity: channels
                .iter()
                .filter_map(|channel| channel.by_label.get(position).cloned())
                .collect(),
            shape: None,
            ncomponents: None,
        })
        .collect();
    if options.components {
        let ras = to_ras.apply_to_labels(map);
        let found = components(ras.data.view());
        for (stats, value) in label.iter_mut().zip(index.labels()) {
            let of_label = found.iter().filter(|component| component.label == value);
            let shapes: Vec<_> = of_label.map(|component| component.shape()).collect();
            stats.ncomponents = Some(shapes.len());
            stats.shape = Some(shapes);
        }
    }
    let foreground: Vec<IntensityStats> = channels
        .iter()
        .filter_map(|channel| channel.under_labels.clone())
        .collect();
    CaseLabelStats {
        labels: index.labels().collect(),
        image_intensity: foreground,
        label,
    }
}

/// Index of the voxel in the middle of the foreground; of the grid where there is no foreground.
fn middle(centroids: &[Centroid], shape: [usize; 3]) -> [usize; 3] {
    let voxels: f64 = centroids.iter().map(|label| label.voxels as f64).sum();
    std::array::from_fn(|axis| {
        if voxels == 0.0 {
            return shape[axis] / 2;
        }
        let moment: f64 = centroids
            .iter()
            .map(|label| label.voxels as f64 * label.voxel[axis])
            .sum();
        (moment / voxels).round() as usize
    })
}

/// Least and largest right coordinate of the grid's corners in mm.
fn right_mm(geometry: &Geometry) -> [f64; 2] {
    let corners = geometry.corners().map(|corner| corner[0]);
    [
        corners.into_iter().fold(f64::INFINITY, f64::min),
        corners.into_iter().fold(f64::NEG_INFINITY, f64::max),
    ]
}

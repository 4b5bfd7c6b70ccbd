//! The facts of an image file; without free text, which may name a patient.

use std::path::Path;

use serde::Serialize;
use vesal_cli::Text;
use vesal_io::image::{Believe, ByteOrder, ImageError, ImageFile, OpenOptions, ReadLimits};
use vesal_io::nifti::XForm;
use vesal_volume::Affine;
use vesal_volume::orientation::Orientation;

use crate::error::Error;

/// Facts about a volume.
#[derive(Debug, Serialize)]
pub struct VolumeFacts {
    path: String,
    format: &'static str,
    byte_order: &'static str,
    data_type: &'static str,
    dimensions: Vec<usize>,
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    orientation: String,
    affine: Affine,
    affine_from: &'static str,
    /// Distance in mm between voxel positions by qform and by sform, where it exceeds half a voxel.
    #[serde(skip_serializing_if = "Option::is_none")]
    forms_apart_mm: Option<f64>,
    space: &'static str,
    scaling: Option<ScalingFacts>,
    intensity: IntensityFacts,
}

#[derive(Debug, Serialize)]
struct ScalingFacts {
    slope: f64,
    intercept: f64,
}

/// Range of the finite values; null where there are none.
#[derive(Debug, Serialize)]
struct IntensityFacts {
    min: Option<f32>,
    max: Option<f32>,
    non_finite_voxels: u64,
}

impl VolumeFacts {
    /// Reads the header and scans the voxels, a few megabytes at a time; where sform and qform contradict each other,
    /// `believe` chooses one.
    ///
    /// **Errors**: the file is unusable.
    pub(super) fn of(path: &Path, believe: Option<Believe>) -> Result<Self, Error> {
        let attempt = || format!("cannot inspect `{}`", path.display());
        let failed = |error: ImageError| Error::Image(error).attempting(attempt());
        let opened = ImageFile::open(path, OpenOptions { believe }).map_err(failed)?;
        let header = opened.header().clone();
        let intensities = opened.intensities(&ReadLimits::default()).map_err(failed)?;
        let geometry = header.geometry;
        let orientation = Orientation::of(&geometry.affine)
            .map_err(|error| Error::Orientation(error).attempting(attempt()))?;
        Ok(Self {
            path: path.display().to_string(),
            format: header.format,
            byte_order: match header.byte_order {
                ByteOrder::Little => "little",
                ByteOrder::Big => "big",
            },
            data_type: header.data_type.name(),
            shape: geometry.shape,
            spacing_mm: geometry.affine.spacing(),
            orientation: orientation.to_string(),
            affine: geometry.affine,
            affine_from: header.affine_source,
            forms_apart_mm: header.forms_apart_mm,
            space: match header.space {
                XForm::Unknown => "unknown",
                XForm::ScannerAnat => "scanner",
                XForm::AlignedAnat => "aligned to another image",
                XForm::Talairach => "Talairach",
                XForm::Mni152 => "MNI 152",
                XForm::TemplateOther => "another template",
            },
            scaling: header.scaling.map(|scaling| ScalingFacts {
                slope: scaling.slope,
                intercept: scaling.intercept,
            }),
            intensity: IntensityFacts {
                min: intensities.min,
                max: intensities.max,
                non_finite_voxels: intensities.non_finite,
            },
            dimensions: header.dimensions,
        })
    }

    /// The facts as lines of text.
    pub fn text(&self) -> Text {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![format!("  {name}"), value]);
        row(
            "format",
            format!(
                "{}, {}, {}-endian",
                self.format, self.data_type, self.byte_order
            ),
        );
        row("shape", format!("{:?}", self.dimensions));
        row("spacing", format!("{:.3?} mm", self.spacing_mm));
        row("orientation", self.orientation.clone());
        row(
            "affine",
            format!("from {}, space: {}", self.affine_from, self.space),
        );
        if let Some(apart) = self.forms_apart_mm {
            row(
                "qform",
                format!("puts voxels up to {apart:.2} mm elsewhere"),
            );
        }
        for line in &self.affine.0[..3] {
            let entries: Vec<_> = line.iter().map(|entry| format!("{entry:>11.4}")).collect();
            row("", entries.concat().trim_end().to_owned());
        }
        if let Some(ScalingFacts { slope, intercept }) = self.scaling {
            row("scaling", format!("stored x {slope} + {intercept}"));
        }
        row(
            "intensity",
            match (self.intensity.min, self.intensity.max) {
                (Some(min), Some(max)) => format!("{min} to {max}"),
                _ => "no finite values".into(),
            },
        );
        if self.intensity.non_finite_voxels > 0 {
            row(
                "not finite",
                format!("{} voxels", self.intensity.non_finite_voxels),
            );
        }
        let mut text = Text::new();
        text.line(&self.path).table(&rows);
        text
    }
}

//! Spatial and channel axes, and the affine.

use ::nifti::XForm;
use vesal_volume::{Affine, Geometry};

use super::error::NrrdError;
use super::lines::{Field, HeaderLines};
use super::value::{per_axis, to_ras, unit_mm, vector, wrong};
use crate::image::affine::check;

/// Most axes of an array of the format.
const DIMENSION_MAX: usize = 16;

/// The axes of an array.
#[derive(Debug, PartialEq)]
pub(super) struct Axes {
    /// Sizes of all axes, in the order of the file.
    pub sizes: Vec<usize>,
    pub geometry: Geometry,
    pub channels: usize,
    /// Whether the channels of each voxel are contiguous.
    pub interleaved: bool,
    pub affine_source: &'static str,
    pub no_orientation: Option<&'static str>,
    pub space: XForm,
}

/// Role of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Axis {
    /// A spatial axis, with the step to the next voxel where it is stated.
    Space(Option<[f64; 3]>),
    Other,
}

impl Axes {
    pub fn of(lines: &HeaderLines) -> Result<Self, NrrdError> {
        let sizes = sizes(lines)?;
        let axes = axes(lines, sizes.len())?;
        let entries = |axis: usize| sizes[axis];
        let is_space = |axis: &usize| matches!(axes[*axis], Axis::Space(_));
        let in_space: Vec<usize> = (0..axes.len()).filter(is_space).collect();
        let &[x, y, z] = in_space.as_slice() else {
            return Err(NrrdError::SpaceAxes {
                found: in_space.len(),
                dimension: axes.len(),
            });
        };
        let others = (0..axes.len()).filter(|axis| !is_space(axis) && entries(*axis) > 1);
        let others: Vec<usize> = others.collect();
        let (channels, interleaved) = match others.as_slice() {
            [] => (1, false),
            &[axis] if axis < x => (entries(axis), true),
            &[axis] if axis > z => (entries(axis), false),
            &[axis] => {
                let entries = entries(axis);
                return Err(NrrdError::ChannelsBetween { axis, entries });
            }
            several => {
                let found = several.len();
                return Err(NrrdError::ChannelAxes { found });
            }
        };
        let step = |axis: usize| match axes[axis] {
            Axis::Space(step) => step,
            Axis::Other => None,
        };
        let (affine, affine_source) = match (step(x), step(y), step(z)) {
            (Some(x), Some(y), Some(z)) => (placed(lines, [x, y, z])?, "space directions"),
            _ => (unplaced(lines, &in_space, sizes.len())?, "spacings"),
        };
        check(&affine).map_err(|defect| NrrdError::Affine {
            from: affine_source,
            defect,
        })?;
        let is_placed = affine_source == "space directions";
        Ok(Self {
            geometry: Geometry {
                shape: [x, y, z].map(entries),
                affine,
            },
            channels,
            interleaved,
            affine_source,
            no_orientation: (!is_placed).then_some("no `space directions`"),
            space: if is_placed {
                XForm::ScannerAnat
            } else {
                XForm::Unknown
            },
            sizes,
        })
    }
}

fn sizes(lines: &HeaderLines) -> Result<Vec<usize>, NrrdError> {
    let text = lines.required(Field::Dimension)?;
    let dimension: Option<usize> = text.parse().ok();
    let dimension = dimension.filter(|dimension| (1..=DIMENSION_MAX).contains(dimension));
    let dimension =
        dimension.ok_or_else(|| wrong(Field::Dimension, text, "a whole number from 1 to 16"))?;
    per_axis(
        Field::Sizes,
        lines.required(Field::Sizes)?,
        dimension,
        |word| {
            let size = word.parse().ok().filter(|&size: &usize| size > 0);
            size.ok_or_else(|| wrong(Field::Sizes, word, "a whole number from 1"))
        },
    )
}

/// Role of each axis: by `space directions`, else by `kinds`, else all three axes are spatial.
fn axes(lines: &HeaderLines, dimension: usize) -> Result<Vec<Axis>, NrrdError> {
    let kinds = lines
        .get(Field::Kinds)
        .map(|text| per_axis(Field::Kinds, text, dimension, kind))
        .transpose()?;
    if let Some(text) = lines.get(Field::SpaceDirections) {
        // The space determines the length of a vector.
        to_ras(lines.get(Field::Space))?;
        return per_axis(Field::SpaceDirections, text, dimension, |word| {
            if word.eq_ignore_ascii_case("none") {
                Ok(Axis::Other)
            } else {
                let step = vector(Field::SpaceDirections, word)?;
                Ok(Axis::Space(Some(step)))
            }
        });
    }
    match kinds {
        Some(kinds) if kinds.contains(&Some(Axis::Space(None))) => Ok(kinds
            .into_iter()
            .map(|kind| kind.unwrap_or(Axis::Other))
            .collect()),
        _ if dimension <= 3 => Ok(vec![Axis::Space(None); dimension]),
        _ => Err(NrrdError::UnknownAxes { dimension }),
    }
}

/// Role of an axis by its kind; `None` for other kinds.
fn kind(word: &str) -> Result<Option<Axis>, NrrdError> {
    match word.to_ascii_lowercase().as_str() {
        "none" | "???" => Ok(None),
        "domain" | "space" => Ok(Some(Axis::Space(None))),
        "time" | "list" | "point" | "vector" | "covariant-vector" | "normal" | "stub"
        | "scalar" | "2-vector" | "3-vector" | "4-vector" | "3-gradient" | "3-normal" => {
            Ok(Some(Axis::Other))
        }
        "complex"
        | "quaternion"
        | "3-color"
        | "rgb-color"
        | "hsv-color"
        | "xyz-color"
        | "4-color"
        | "rgba-color"
        | "2d-symmetric-matrix"
        | "2d-masked-symmetric-matrix"
        | "2d-matrix"
        | "2d-masked-matrix"
        | "3d-symmetric-matrix"
        | "3d-masked-symmetric-matrix"
        | "3d-matrix"
        | "3d-masked-matrix" => Err(NrrdError::Unsupported {
            field: "voxel",
            found: format!("of kind `{word}`"),
            expected: "scalars, in a list or vector where there are several channels",
        }),
        _ => Err(wrong(
            Field::Kinds,
            word,
            "kinds of the format such as `domain` and `list`",
        )),
    }
}

/// The affine of stated directions, in RAS mm.
fn placed(lines: &HeaderLines, steps: [[f64; 3]; 3]) -> Result<Affine, NrrdError> {
    let signs = to_ras(lines.get(Field::Space))?;
    let mut factors = signs;
    if let Some(text) = lines.get(Field::SpaceUnits) {
        let units = per_axis(Field::SpaceUnits, text, 3, unit_mm)?;
        for (factor, unit) in factors.iter_mut().zip(units) {
            *factor *= unit;
        }
    }
    let origin = match lines.get(Field::SpaceOrigin) {
        Some(text) => vector(Field::SpaceOrigin, text)?,
        None => [0.0; 3],
    };
    let linear = std::array::from_fn(|row| steps.map(|step| step[row] * factors[row]));
    Ok(Affine::from_parts(
        linear,
        std::array::from_fn(|row| origin[row] * factors[row]),
    ))
}

/// The affine of a grid without orientation: by its spacings, or 1 mm where these are unknown.
fn unplaced(
    lines: &HeaderLines,
    in_space: &[usize],
    dimension: usize,
) -> Result<Affine, NrrdError> {
    let spacings = match lines.get(Field::Spacings) {
        None => vec![1.0; dimension],
        Some(text) => per_axis(Field::Spacings, text, dimension, |word| {
            let number: Option<f64> = word.parse().ok();
            match number {
                Some(unknown) if unknown.is_nan() => Ok(1.0),
                Some(mm) if mm > 0.0 => Ok(mm),
                _ => Err(wrong(Field::Spacings, word, "a number above 0, or `nan`")),
            }
        })?,
    };
    let spacing = std::array::from_fn(|axis| spacings[in_space[axis]]);
    let mut affine = Affine::from_spacing(spacing);
    for row in 0..2 {
        affine.0[row][row] = -affine.0[row][row];
    }
    Ok(affine)
}

//! The grid of the slices of a stack.

use vesal_volume::resample::spaced_geometry;
use vesal_volume::{Affine, Geometry};

use crate::dicom::frame_header::{FrameHeader, difference, dot};
use crate::dicom::slice::Slice;
use crate::dicom::slice_order::SAME_MM;
use crate::dicom::stack_finding::StackFinding;

/// Tolerance of even positions: a share of the step, and at least in mm.
const UNEVEN: f64 = 0.02;
const UNEVEN_MM: f64 = 0.01;

/// Largest displacement from first to last slice within their planes, in pixels, that counts as straight; the affine
/// includes it.
const STRAIGHT_PIXELS: f64 = 0.5;

/// Tolerance of the displacement within the planes from the line of the others, in pixels.
const OFF_LINE_PIXELS: f64 = 0.1;

/// Largest tilt that is resampled: gantries reach 30 degrees.
const TILT_DEGREES_MAX: f64 = 45.0;

/// Gaps beyond this many steps are not interpolated: two slices in a row may be missing.
const GAP_STEPS_MAX: f64 = 3.5;

/// The grid of a volume, and how its slices are mapped onto it.
#[derive(Debug, Clone)]
pub(super) struct StackLayout {
    /// Columns, rows and slices as they are read.
    pub read: [usize; 3],
    /// For each slice of the even stack, the slice before it and the weight of the next; `None` where the slices are
    /// even as they are.
    pub blends: Option<Vec<(usize, f32)>>,
    /// The even grid, whose slices may be sheared.
    pub even: Geometry,
    /// The grid of the volume: `even`, or a rectangular one.
    pub target: Geometry,
}

impl StackLayout {
    /// Lays out slices that are sorted and at different positions.
    pub fn of(slices: &[Slice], findings: &mut Vec<StackFinding>) -> Result<Self, StackFinding> {
        let (first, last) = match slices {
            [] => return Err(StackFinding::NoDepth),
            [only] => return Self::single(only, findings),
            [first, .., last] => (first.place(), last.place()),
        };
        let normal = first.normal_lps();
        let whole = difference(last, first);
        let height = dot(whole, normal);
        if height < SAME_MM {
            // All slices are in one plane.
            return Err(StackFinding::OffLine {
                off_mm: dot(whole, whole).sqrt(),
            });
        }
        let along: Vec<f64> = slices
            .iter()
            .map(|slice| dot(difference(slice.place(), first), normal))
            .collect();
        let pixel = first.pixel_mm[0].min(first.pixel_mm[1]);
        let off_mm = slices
            .iter()
            .zip(&along)
            .map(|(slice, along)| {
                let offset = difference(slice.place(), first);
                let off: [f64; 3] =
                    std::array::from_fn(|axis| offset[axis] - whole[axis] * along / height);
                dot(off, off).sqrt()
            })
            .fold(0.0, f64::max);
        if off_mm > OFF_LINE_PIXELS * pixel {
            return Err(StackFinding::OffLine { off_mm });
        }
        let (steps, blends) = blends(&along, findings)?;
        let step = whole.map(|mm| mm / steps as f64);
        let image = &slices[0].image.header;
        let even = Geometry {
            shape: [image.columns, image.rows, steps + 1],
            affine: affine(first, step),
        };
        let aside: [f64; 3] = std::array::from_fn(|axis| whole[axis] - height * normal[axis]);
        let aside = dot(aside, aside).sqrt();
        let mut target = even;
        if aside > STRAIGHT_PIXELS * pixel {
            let degrees = aside.atan2(height).to_degrees();
            let tilt = StackFinding::Tilt { degrees };
            if degrees > TILT_DEGREES_MAX {
                return Err(tilt);
            }
            let spacing = [first.pixel_mm[0], first.pixel_mm[1], height / steps as f64];
            let Ok(rectangular) = spaced_geometry(&even, spacing, [1.0, 1.0]) else {
                return Err(tilt);
            };
            target = rectangular;
            findings.push(tilt);
        }
        Ok(Self {
            read: [image.columns, image.rows, slices.len()],
            blends,
            even,
            target,
        })
    }

    fn single(only: &Slice, findings: &mut Vec<StackFinding>) -> Result<Self, StackFinding> {
        let place = only.place();
        let depth_mm = place.depth_mm.ok_or(StackFinding::NoDepth)?;
        findings.push(StackFinding::SingleSlice { depth_mm });
        let shape = [only.image.header.columns, only.image.header.rows, 1];
        let step = place.normal_lps().map(|component| component * depth_mm);
        let even = Geometry {
            shape,
            affine: affine(place, step),
        };
        Ok(Self {
            read: shape,
            blends: None,
            even,
            target: even,
        })
    }
}

/// Steps of the even grid between the first slice and the last, and the interpolation of its slices from those at
/// `along`.
type Blends = (usize, Option<Vec<(usize, f32)>>);

fn blends(along: &[f64], findings: &mut Vec<StackFinding>) -> Result<Blends, StackFinding> {
    let count = along.len() - 1;
    let height = along[count];
    if is_even(along) {
        return Ok((count, None));
    }
    let gaps: Vec<f64> = along.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut sorted = gaps.clone();
    sorted.sort_by(f64::total_cmp);
    let spacing_mm = sorted[(count - 1) / 2];
    let (least_mm, most_mm) = (sorted[0], sorted[count - 1]);
    if most_mm > GAP_STEPS_MAX * spacing_mm {
        return Err(StackFinding::LargeGap {
            gap_mm: most_mm,
            spacing_mm,
        });
    }
    let missing_in = |gap: &f64| (gap / spacing_mm).round().max(1.0) as usize - 1;
    let missing: usize = gaps.iter().map(missing_in).sum();
    let steps = count + missing;
    let step = height / steps as f64;
    let mut slot = 0;
    let in_slots = gaps.iter().zip(&along[1..]).all(|(gap, at)| {
        slot += 1 + missing_in(gap);
        is_near(*at, slot as f64 * step, step)
    });
    let steps = if missing > 0 && in_slots {
        findings.push(StackFinding::Missing {
            missing,
            gaps: gaps.iter().filter(|gap| missing_in(gap) > 0).count(),
            spacing_mm: step,
        });
        steps
    } else {
        findings.push(StackFinding::UnevenSpacing { least_mm, most_mm });
        (height / spacing_mm).round().max(1.0) as usize
    };
    let step = height / steps as f64;
    let blend = |index: usize| {
        let at = index as f64 * step;
        // The first and the last position are those of slices.
        let before = along.partition_point(|mm| *mm <= at).clamp(1, count) - 1;
        let share = (at - along[before]) / (along[before + 1] - along[before]);
        let (whole, share) = if is_near(at, along[before], step) {
            (before, 0.0)
        } else if is_near(at, along[before + 1], step) {
            (before, 1.0)
        } else {
            (before, share.clamp(0.0, 1.0))
        };
        (whole, share as f32)
    };
    Ok((steps, Some((0..=steps).map(blend).collect())))
}

/// Whether positions are evenly spaced.
pub(super) fn is_even(along: &[f64]) -> bool {
    let (Some(first), Some(last), steps) = (along.first(), along.last(), along.len() - 1) else {
        return true;
    };
    let step = (last - first) / steps.max(1) as f64;
    along
        .iter()
        .enumerate()
        .all(|(index, at)| is_near(*at, first + index as f64 * step, step))
}

fn is_near(at: f64, expected: f64, step: f64) -> bool {
    (at - expected).abs() <= (UNEVEN * step).max(UNEVEN_MM)
}

/// The affine of a grid whose first slice is `first`: columns, rows, and a step between slices.
fn affine(first: &FrameHeader, step_lps: [f64; 3]) -> Affine {
    let columns = [
        first
            .along_row_lps
            .map(|component| component * first.pixel_mm[0]),
        first
            .along_column_lps
            .map(|component| component * first.pixel_mm[1]),
        step_lps,
    ];
    // From LPS to RAS.
    const SIGN: [f64; 3] = [-1.0, -1.0, 1.0];
    // Adding zero turns -0 into 0.
    Affine::from_parts(
        std::array::from_fn(|row| std::array::from_fn(|axis| SIGN[row] * columns[axis][row] + 0.0)),
        std::array::from_fn(|row| SIGN[row] * first.position_lps[row] + 0.0),
    )
}

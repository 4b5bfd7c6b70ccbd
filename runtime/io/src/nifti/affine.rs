//! The affines of a header: sform, qform and `pixdim`, read and written.

use vesal_volume::Affine;

use crate::image::affine::{AffineDefect, check, directions};
use crate::image::format::Believe;
use crate::nifti::affine_source::AffineSource;
use crate::nifti::error::NiftiHeaderError;
use crate::nifti::rotation::{determinant, nearest_rotation, quaternion, rotation};

/// Largest angle between the directions of a voxel axis by sform and by qform. Beyond it, another axis or the opposite
/// direction is nearer. Registration to a template, which many tools store in the sform alone, rotates by less.
const CONTRADICTION_DEGREES: f64 = 45.0;

/// The affine fields of a header, in the widest types.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placement {
    pub sform_coded: bool,
    pub qform_coded: bool,
    pub sform: [[f64; 4]; 3],
    /// b, c, d.
    pub quaternion: [f64; 3],
    pub offset: [f64; 3],
    /// `pixdim[0]`: -1 mirrors the third axis.
    pub handedness: f64,
    /// `pixdim[1..=3]`.
    pub spacing: [f64; 3],
    /// Voxels along the axes that the header counts, at most three.
    pub shape: Vec<usize>,
    /// Precision of a stored quaternion: w² below it counts as zero.
    pub quaternion_epsilon: f64,
    /// Millimeters per unit of length of the header.
    pub unit_mm: f64,
}

impl Placement {
    /// The affine in use, in mm, and its source.
    ///
    /// **Errors**: it cannot be used; or sform and qform contradict each other, and the caller does not choose one.
    pub fn affine(
        &self,
        believe: Option<Believe>,
    ) -> Result<(Affine, AffineSource), NiftiHeaderError> {
        if self.sform_coded {
            let rows = self.sform;
            return match (self.in_mm(rows), self.usable_qform()) {
                (_, Some(qform)) if believe == Some(Believe::Qform) => {
                    Ok((qform, AffineSource::Qform))
                }
                (Ok(affine), Some(qform)) if believe.is_none() => {
                    contradiction(&affine, &qform).map_or(Ok((affine, AffineSource::Sform)), Err)
                }
                (Ok(affine), _) => Ok((affine, AffineSource::Sform)),
                (Err(_), Some(qform)) => Ok((qform, AffineSource::Qform)),
                (Err(defect), None) => Err(unusable(AffineSource::Sform, defect, rows.to_vec())),
            };
        }
        let (source, rows) = if self.qform_coded {
            let rows = self
                .qform()
                .map_err(|defect| unusable(AffineSource::Qform, defect, vec![]))?;
            (AffineSource::Qform, rows)
        } else {
            (AffineSource::Pixdim, self.base())
        };
        let affine = self
            .in_mm(rows)
            .map_err(|defect| unusable(source, defect, rows.to_vec()))?;
        Ok((affine, source))
    }

    /// The affine of the qform, if it has a code and can be used.
    pub fn usable_qform(&self) -> Option<Affine> {
        let coded = self.qform_coded.then(|| self.qform())?;
        coded.and_then(|rows| self.in_mm(rows)).ok()
    }

    /// The rows in mm, if they are an invertible map.
    fn in_mm(&self, rows: [[f64; 4]; 3]) -> Result<Affine, AffineDefect> {
        let mut affine = Affine::IDENTITY;
        for (to, from) in affine.0.iter_mut().zip(rows) {
            *to = from.map(|entry| entry * self.unit_mm);
        }
        check(&affine)?;
        Ok(affine)
    }

    /// **Source**: the NIfTI-1 standard, method 2; nibabel `get_qform`.
    fn qform(&self) -> Result<[[f64; 4]; 3], AffineDefect> {
        let [b, c, d] = self.quaternion;
        let squared_length = b * b + c * c + d * d;
        if !squared_length.is_finite() {
            return Err(AffineDefect::NotFinite);
        }
        // Rounded to f32, a half turn is slightly longer than one; more than that is not rounding.
        if squared_length > 1.0 + 1e-3 {
            return Err(AffineDefect::Quaternion { squared_length });
        }
        let rest = 1.0 - squared_length;
        let w = if rest < self.quaternion_epsilon {
            0.0
        } else {
            rest.sqrt()
        };
        let rotation = rotation([w, b, c, d]);
        let mut spacing = self.usable_spacing();
        if self.handedness == -1.0 {
            spacing[2] = -spacing[2];
        }
        Ok(std::array::from_fn(|row| {
            let [x, y, z] = std::array::from_fn(|column| rotation[row][column] * spacing[column]);
            [x, y, z, self.offset[row]]
        }))
    }

    /// **Source**: nibabel `shape_zoom_affine`.
    fn base(&self) -> [[f64; 4]; 3] {
        let mut zoom = [1.0; 3];
        let mut center = [0.0; 3];
        for (axis, &voxels) in self.shape.iter().take(3).enumerate() {
            zoom[axis] = self.usable_spacing()[axis];
            center[axis] = (voxels as f64 - 1.0) / 2.0;
        }
        zoom[0] = -zoom[0];
        std::array::from_fn(|row| {
            let mut entries = [0.0; 4];
            entries[row] = zoom[row];
            entries[3] = 0.0 - center[row] * zoom[row];
            entries
        })
    }

    /// `pixdim` as readers repair it: a missing spacing is 1, and its sign is ignored.
    fn usable_spacing(&self) -> [f64; 3] {
        self.spacing
            .map(|length| if length == 0.0 { 1.0 } else { length.abs() })
    }
}

/// The error of two affines that rotate or mirror the image relative to each other.
fn contradiction(sform: &Affine, qform: &Affine) -> Option<NiftiHeaderError> {
    let [by_sform, by_qform] = [sform, qform].map(directions);
    let cosine = |axis: usize| -> f64 {
        let products = (0..3).map(|row| by_sform[row][axis] * by_qform[row][axis]);
        products.sum()
    };
    let least = (0..3).map(cosine).fold(1.0, f64::min);
    let degrees = least.clamp(-1.0, 1.0).acos().to_degrees();
    let is_mirrored = determinant(&by_sform) * determinant(&by_qform) < 0.0;
    if degrees <= CONTRADICTION_DEGREES && !is_mirrored {
        return None;
    }
    let is_sideways = |axis: &usize| by_sform[0][*axis].abs() > 0.5;
    Some(NiftiHeaderError::Forms {
        degrees,
        is_mirrored,
        swaps_sides: (0..3)
            .filter(is_sideways)
            .any(|axis| by_sform[0][axis] * by_qform[0][axis] < 0.0),
    })
}

fn unusable(from: AffineSource, defect: AffineDefect, rows: Vec<[f64; 4]>) -> NiftiHeaderError {
    NiftiHeaderError::Affine { from, defect, rows }
}

/// The fields of a qform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Qform {
    /// `pixdim[0]`: 1 or -1.
    pub handedness: f64,
    /// b, c, d.
    pub quaternion: [f64; 3],
    /// Whether the fields state the affine exactly; with sheared axes they state the nearest rotation.
    pub exact: bool,
}

/// The qform nearest to an affine that passed [`check`](crate::image::affine::check).
pub(super) fn qform_of(affine: &Affine) -> Qform {
    let mut axes = directions(affine);
    let handedness = if determinant(&axes) < 0.0 { -1.0 } else { 1.0 };
    for row in &mut axes {
        row[2] *= handedness;
    }
    let nearest = nearest_rotation(axes);
    let apart = |row: usize, column: usize| (nearest[row][column] - axes[row][column]).abs();
    let exact = (0..9).all(|entry| apart(entry / 3, entry % 3) < 1e-4);
    let [w, b, c, d] = quaternion(&nearest);
    let sign = if w < 0.0 { -1.0 } else { 1.0 };
    Qform {
        handedness,
        quaternion: [b, c, d].map(|part| sign * part),
        exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement() -> Placement {
        Placement {
            sform_coded: false,
            qform_coded: false,
            sform: [[0.0; 4]; 3],
            quaternion: [0.0; 3],
            offset: [0.0; 3],
            handedness: 1.0,
            spacing: [2.0, 3.0, 4.0],
            shape: vec![3, 5, 1],
            quaternion_epsilon: f64::from(f32::EPSILON) * 3.0,
            unit_mm: 1.0,
        }
    }

    #[test]
    fn pixdim_alone_puts_the_origin_at_the_center_and_points_left() {
        let (affine, source) = placement().affine(None).unwrap();
        assert_eq!(source, AffineSource::Pixdim);
        let rows = [
            [-2.0, 0.0, 0.0, 2.0],
            [0.0, 3.0, 0.0, -6.0],
            [0.0, 0.0, 4.0, 0.0],
        ];
        assert_eq!(affine.0[..3], rows);
    }

    #[test]
    fn axes_that_the_header_does_not_count_have_spacing_one() {
        let (affine, _) = Placement {
            shape: vec![3, 5],
            ..placement()
        }
        .affine(None)
        .unwrap();
        assert_eq!(affine.0[2], [0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_half_turn_that_rounding_made_too_long_is_a_half_turn() {
        let long = Placement {
            qform_coded: true,
            quaternion: [0.0, 0.0, 1.000_000_1],
            offset: [7.0, 8.0, 9.0],
            ..placement()
        };
        let (affine, source) = long.affine(None).unwrap();
        assert_eq!(source, AffineSource::Qform);
        let rows = [
            [-2.0, 0.0, 0.0, 7.0],
            [0.0, -3.0, 0.0, 8.0],
            [0.0, 0.0, 4.0, 9.0],
        ];
        for (found, expected) in affine.0.iter().flatten().zip(rows.iter().flatten()) {
            assert!((found - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_qform_reproduces_mirrored_oblique_axes() {
        let turned = rotation([0.3, 0.5, -0.2, 0.7]);
        let mut affine = Affine::IDENTITY;
        for (row, directions) in affine.0.iter_mut().zip(turned) {
            for ((entry, direction), spacing) in
                row.iter_mut().zip(directions).zip([0.7, 1.5, -3.0])
            {
                *entry = direction * spacing;
            }
        }
        let fields = qform_of(&affine);
        assert!(fields.exact);
        assert_eq!(fields.handedness, -1.0);
        let again = Placement {
            qform_coded: true,
            quaternion: fields.quaternion,
            handedness: fields.handedness,
            spacing: affine.spacing(),
            ..placement()
        };
        let (found, _) = again.affine(None).unwrap();
        for (found, expected) in found.0.iter().flatten().zip(affine.0.iter().flatten()) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn sheared_axes_have_no_exact_qform() {
        let mut affine = Affine::IDENTITY;
        affine.0[1][2] = 0.2;
        assert!(!qform_of(&affine).exact);
        check(&affine).unwrap();
    }
}

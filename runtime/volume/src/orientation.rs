//! Orientation of voxel axes, and the permutations and flips between orientations.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array3, Array4, ArrayBase, ArrayView3, Axis, Ix4, RawData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::geometry::matrix;
use crate::geometry::{Affine, Geometry, GeometryError};
use crate::volume::{LabelMap, Volume};

mod flip;

use flip::flip;

/// Edge of the cubes in which axes are exchanged: a cube of input and one of output stay in the first-level cache,
/// whichever axis is contiguous in memory.
const TILE: usize = 16;

/// Why axis codes are not an orientation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "orientation is `{found}`, expected one letter each of R or L, A or P and S or I, such as `RAS`"
)]
pub struct OrientationError {
    pub found: String,
}

/// The anatomical direction in which an axis' index grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AxisCode {
    /// World axis, from 0: left to right, posterior to anterior, inferior to superior.
    pub world_axis: usize,
    /// Whether the index grows to the left, posterior or inferior.
    pub reversed: bool,
}

impl AxisCode {
    const LETTERS: [[char; 2]; 3] = [['R', 'L'], ['A', 'P'], ['S', 'I']];

    fn letter(self) -> char {
        Self::LETTERS[self.world_axis][usize::from(self.reversed)]
    }

    fn from_letter(letter: char) -> Option<Self> {
        let codes = (0..3).flat_map(|world_axis| {
            [false, true].map(|reversed| Self {
                world_axis,
                reversed,
            })
        });
        codes.into_iter().find(|code| code.letter() == letter)
    }
}

/// Axis codes of the three voxel axes; each names the direction in which the index grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Orientation([AxisCode; 3]);

impl Orientation {
    /// To the right, anterior and superior.
    pub const RAS: Self = Self([
        AxisCode {
            world_axis: 0,
            reversed: false,
        },
        AxisCode {
            world_axis: 1,
            reversed: false,
        },
        AxisCode {
            world_axis: 2,
            reversed: false,
        },
    ]);

    /// The orientation of a grid: the world axis that each voxel axis follows most closely.
    ///
    /// **Definition**: unit vectors along the voxel axes are replaced by the nearest orthogonal matrix; its columns,
    /// strongest largest entry first (equals in index order), each take the world axis of their largest entry among
    /// those still free.
    ///
    /// **Errors**: [`GeometryError`] for an affine that cannot be inverted.
    ///
    /// **Source**: nibabel 5.3 `io_orientation`.
    ///
    /// **Examples**
    ///
    /// ```
    /// # use vesal_volume::{Affine, orientation::Orientation};
    /// let affine = Affine::from_parts([[0., -2., 0.], [0., 0., 1.], [-1., 0., 0.]], [0.; 3]);
    /// assert_eq!(Orientation::of(&affine).unwrap().to_string(), "ILA");
    /// ```
    pub fn of(affine: &Affine) -> Result<Self, GeometryError> {
        affine.check()?;
        let (linear, spacing) = (affine.linear(), affine.spacing());
        let unit = std::array::from_fn(|row| {
            std::array::from_fn(|column| linear[row][column] / spacing[column])
        });
        let rotation = matrix::nearest_orthogonal(&unit).ok_or_else(|| affine.singular())?;
        let strength = |column: usize| {
            (0..3)
                .map(|row| rotation[row][column].powi(2))
                .fold(0.0, f64::max)
        };
        let mut columns = [0, 1, 2];
        columns.sort_by(|&a, &b| strength(b).total_cmp(&strength(a)));
        let mut codes = Self::RAS.0;
        let mut free = vec![0, 1, 2];
        for column in columns {
            let mut best = 0;
            for candidate in 1..free.len() {
                if rotation[free[candidate]][column].abs() > rotation[free[best]][column].abs() {
                    best = candidate;
                }
            }
            let world_axis = free.remove(best);
            codes[column] = AxisCode {
                world_axis,
                reversed: rotation[world_axis][column] < 0.0,
            };
        }
        Ok(Self(codes))
    }

    /// The codes of the three voxel axes.
    pub fn codes(&self) -> [AxisCode; 3] {
        self.0
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|code| write!(f, "{}", code.letter()))
    }
}

impl FromStr for Orientation {
    type Err = OrientationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || OrientationError {
            found: text.to_owned(),
        };
        let codes = text
            .chars()
            .map(AxisCode::from_letter)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(error)?;
        let codes = <[AxisCode; 3]>::try_from(codes).map_err(|_| error())?;
        let complete = (0..3).all(|axis| codes.iter().any(|code| code.world_axis == axis));
        if complete {
            Ok(Self(codes))
        } else {
            Err(error())
        }
    }
}

/// A permutation and flips of the axes of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisTransform {
    /// For each output axis, the input axis it comes from.
    pub source: [usize; 3],
    /// For each output axis, whether its index runs against the input's.
    pub flip: [bool; 3],
}

impl AxisTransform {
    /// The identity.
    pub const IDENTITY: Self = Self {
        source: [0, 1, 2],
        flip: [false; 3],
    };

    /// The transform from axes oriented like `from` to axes oriented like `to`.
    pub fn between(from: Orientation, to: Orientation) -> Self {
        let source = to.0.map(|code| {
            from.0
                .iter()
                .position(|c| c.world_axis == code.world_axis)
                .unwrap_or(0)
        });
        Self {
            source,
            flip: std::array::from_fn(|axis| to.0[axis].reversed != from.0[source[axis]].reversed),
        }
    }

    /// The inverse transform.
    pub fn inverse(&self) -> Self {
        let mut inverse = Self::IDENTITY;
        for output in 0..3 {
            inverse.source[self.source[output]] = output;
            inverse.flip[self.source[output]] = self.flip[output];
        }
        inverse
    }

    /// Whether axes are only flipped; arrays are then transformed in place.
    pub(crate) fn keeps_order(&self) -> bool {
        self.source == Self::IDENTITY.source
    }

    /// The output's grid: every voxel keeps its place in the world.
    pub fn apply_to_geometry(&self, from: &Geometry) -> Geometry {
        let mut map = [[0.0; 4]; 4];
        map[3][3] = 1.0;
        for output in 0..3 {
            let input = self.source[output];
            map[input][output] = if self.flip[output] { -1.0 } else { 1.0 };
            map[input][3] = if self.flip[output] {
                from.shape[input] as f64 - 1.0
            } else {
                0.0
            };
        }
        Geometry {
            shape: self.source.map(|input| from.shape[input]),
            affine: from.affine.compose(&Affine(map)),
        }
    }

    /// Permutes and flips the axes X, Y, Z of a view, `[C, X, Y, Z]`; nothing is copied.
    pub fn apply_to_view<S: RawData>(&self, view: ArrayBase<S, Ix4>) -> ArrayBase<S, Ix4> {
        let [x, y, z] = self.source.map(|axis| axis + 1);
        let mut view = view.permuted_axes([0, x, y, z]);
        for axis in (0..3).filter(|&axis| self.flip[axis]) {
            view.invert_axis(Axis(axis + 1));
        }
        view
    }

    /// Permutes and flips a volume; where the axes keep their order, in place.
    pub fn apply_to_volume(&self, volume: Volume) -> Volume {
        let to = self.apply_to_geometry(&volume.geometry());
        if *self == Self::IDENTITY {
            return volume;
        }
        if self.keeps_order() && volume.data.is_standard_layout() {
            let mut data = volume.data;
            for mut channel in data.outer_iter_mut() {
                flip(
                    channel.as_slice_mut().unwrap_or_default(),
                    to.shape,
                    self.flip,
                );
            }
            return Volume {
                data,
                affine: to.affine,
            };
        }
        let mut data = Array4::zeros((volume.channels(), to.shape[0], to.shape[1], to.shape[2]));
        for (channel, mut output) in volume.data.outer_iter().zip(data.outer_iter_mut()) {
            if let Some(output) = output.as_slice_mut() {
                self.fill(channel, to.shape, output);
            }
        }
        Volume {
            data,
            affine: to.affine,
        }
    }

    /// Permutes and flips a label map; where the axes keep their order, in place.
    pub fn apply_to_labels(&self, labels: LabelMap) -> LabelMap {
        let to = self.apply_to_geometry(&labels.geometry());
        if *self == Self::IDENTITY {
            return labels;
        }
        if self.keeps_order() && labels.data.is_standard_layout() {
            let mut data = labels.data;
            flip(data.as_slice_mut().unwrap_or_default(), to.shape, self.flip);
            return LabelMap {
                data,
                affine: to.affine,
            };
        }
        let mut data = Array3::zeros(to.shape);
        if let Some(output) = data.as_slice_mut() {
            self.fill(labels.data.view(), to.shape, output);
        }
        LabelMap {
            data,
            affine: to.affine,
        }
    }

    /// Writes the permuted and flipped input to `output`, blocks of slabs in parallel.
    fn fill<T: Copy + Send + Sync>(
        &self,
        input: ArrayView3<'_, T>,
        [_, ny, nz]: [usize; 3],
        output: &mut [T],
    ) {
        let from: [usize; 3] = input.dim().into();
        let input = input.as_standard_layout();
        let input = input.as_slice().unwrap_or_default();
        let strides = [(from[1] * from[2]) as isize, from[2] as isize, 1];
        let mut first = 0;
        let mut steps = [0; 3];
        for (output_axis, &source) in self.source.iter().enumerate() {
            steps[output_axis] = if self.flip[output_axis] {
                -strides[source]
            } else {
                strides[source]
            };
            if self.flip[output_axis] {
                first += strides[source] * (from[source] as isize - 1);
            }
        }
        let position = |x: usize, y: usize| first + steps[0] * x as isize + steps[1] * y as isize;
        output
            .par_chunks_mut((TILE * ny * nz).max(1))
            .enumerate()
            .for_each(|(block, slabs)| {
                for (y_start, z_start) in tiles(ny, nz) {
                    for (x, slab) in slabs.chunks_exact_mut(ny * nz).enumerate() {
                        for y in y_start..(y_start + TILE).min(ny) {
                            let row = &mut slab[y * nz..(y + 1) * nz];
                            let start = position(block * TILE + x, y);
                            for z in z_start..(z_start + TILE).min(nz) {
                                row[z] = input[(start + steps[2] * z as isize) as usize];
                            }
                        }
                    }
                }
            });
    }
}

/// Starts of the tiles that cover a slab.
fn tiles(ny: usize, nz: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..ny)
        .step_by(TILE)
        .flat_map(move |y| (0..nz).step_by(TILE).map(move |z| (y, z)))
}

/// Turns a volume into this orientation, and returns the transform.
///
/// **Errors**: [`GeometryError`] for an affine that cannot be inverted.
pub fn reorient_volume(
    volume: Volume,
    to: Orientation,
) -> Result<(Volume, AxisTransform), GeometryError> {
    let transform = AxisTransform::between(Orientation::of(&volume.affine)?, to);
    Ok((transform.apply_to_volume(volume), transform))
}

/// Turns a label map into this orientation, and returns the transform.
///
/// **Errors**: [`GeometryError`] for an affine that cannot be inverted.
pub fn reorient_labels(
    labels: LabelMap,
    to: Orientation,
) -> Result<(LabelMap, AxisTransform), GeometryError> {
    let transform = AxisTransform::between(Orientation::of(&labels.affine)?, to);
    Ok((transform.apply_to_labels(labels), transform))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Orientation> {
        let mut all = Vec::new();
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            for flips in 0..8 {
                all.push(Orientation(std::array::from_fn(|axis| AxisCode {
                    world_axis: order[axis],
                    reversed: flips >> axis & 1 == 1,
                })));
            }
        }
        all
    }

    #[test]
    fn codes_survive_text() {
        for orientation in all() {
            assert_eq!(orientation.to_string().parse(), Ok(orientation));
        }
        for bad in ["", "RA", "RAR", "RASA", "ras", "XYZ", "RLS"] {
            assert_eq!(
                bad.parse::<Orientation>(),
                Err(OrientationError {
                    found: bad.to_owned()
                })
            );
        }
    }

    #[test]
    fn a_transform_leads_to_its_target_and_its_inverse_back() {
        let (sin, cos) = 0.25_f64.sin_cos();
        for from in all() {
            let mut linear = [[0.0; 3]; 3];
            for (axis, code) in from.codes().into_iter().enumerate() {
                linear[code.world_axis][axis] =
                    if code.reversed { -1.0 } else { 1.0 } * (axis + 1) as f64;
            }
            let tilt = [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]];
            let affine = Affine::from_parts(matrix::multiply(&tilt, &linear), [1.0, 2.0, 3.0]);
            assert_eq!(Orientation::of(&affine), Ok(from));
            let geometry = Geometry {
                shape: [2, 3, 4],
                affine,
            };
            for to in all() {
                let transform = AxisTransform::between(from, to);
                let turned = transform.apply_to_geometry(&geometry);
                assert_eq!(Orientation::of(&turned.affine), Ok(to));
                assert_eq!(transform.inverse(), AxisTransform::between(to, from));
                let back = transform.inverse().apply_to_geometry(&turned);
                assert!(back.distance_mm(&geometry).is_some_and(|mm| mm < 1e-9));
            }
        }
    }

    #[test]
    fn voxels_keep_their_place_in_the_world() {
        let data = Array3::from_shape_fn((2, 3, 4), |(x, y, z)| (100 * x + 10 * y + z) as u16);
        let labels = LabelMap {
            data,
            affine: Affine::from_spacing([1.0, 2.0, 3.0]),
        };
        let (turned, transform) = reorient_labels(labels.clone(), "SLP".parse().unwrap()).unwrap();
        assert_eq!(
            transform,
            AxisTransform {
                source: [2, 0, 1],
                flip: [false, true, true]
            }
        );
        assert_eq!(turned.data.dim(), (4, 2, 3));
        let place = |map: &LabelMap, at: (usize, usize, usize)| {
            map.affine
                .voxel_to_world([at.0 as f64, at.1 as f64, at.2 as f64])
        };
        for (at, &value) in turned.data.indexed_iter() {
            let (source, _) = labels
                .data
                .indexed_iter()
                .find(|(_, v)| **v == value)
                .unwrap();
            assert_eq!(place(&turned, at), place(&labels, source));
        }
    }
}

//! Maps the axes of a label map to columns, rows and planes.

use ndarray::{ArrayView3, Axis};
use vesal_volume::{Affine, Geometry, LabelMap};

use crate::dicom::write::error::Unwritable;
use crate::dicom::write::source_images::{SourceFrame, SourceImages};

/// Largest cosine between rows and columns.
const COSINE_MAX: f64 = 0.01;

/// Largest displacement from first to last plane, in pixels.
const ASIDE_PIXELS: f64 = 0.5;

/// Largest distance between two grids that count as one, as a share of the smallest spacing.
const SAME: f64 = 0.01;

/// Columns and rows have numbers of 16 bits.
const EXTENT_MAX: usize = u16::MAX as usize;

/// A map seen as planes of rows and columns.
pub(super) struct Planes<'a> {
    /// `[columns, rows, planes]`.
    pub voxels: ArrayView3<'a, u16>,
    /// Index to RAS mm.
    affine: Affine,
    /// The frames of the source at the same positions, if there are any.
    pub frames: Option<&'a [SourceFrame]>,
}

impl<'a> Planes<'a> {
    /// Orders the axes of a map as those of the source run: exactly where both are on one grid, otherwise as closely as
    /// possible; planes follow the right-handed normal of rows and columns.
    pub fn of(map: &'a LabelMap, source: &'a SourceImages) -> Result<Self, Unwritable> {
        map.affine.check()?;
        let order = order(&map.affine, &source.grid.affine);
        let mut voxels = map.data.view().permuted_axes(order.map(|(axis, _)| axis));
        let linear = map.affine.linear();
        let mut first = [0.0; 3];
        for (place, (axis, reversed)) in order.into_iter().enumerate() {
            if reversed {
                voxels.invert_axis(Axis(place));
                first[axis] = map.data.len_of(Axis(axis)) as f64 - 1.0;
            }
        }
        let turned = std::array::from_fn(|row| {
            order.map(|(axis, reversed)| {
                if reversed {
                    -linear[row][axis]
                } else {
                    linear[row][axis]
                }
            })
        });
        let mut planes = Self {
            voxels,
            affine: Affine::from_parts(turned, map.affine.voxel_to_world(first)),
            frames: None,
        };
        let least = source
            .grid
            .affine
            .spacing()
            .into_iter()
            .fold(f64::MAX, f64::min);
        if planes
            .geometry()
            .distance_mm(&source.grid)
            .is_some_and(|mm| mm <= SAME * least)
        {
            // The source's affine is used because no other file format has rounded it.
            planes.affine = source.grid.affine;
            planes.frames = source.planes();
        }
        planes.check()?;
        Ok(planes)
    }

    fn geometry(&self) -> Geometry {
        let (x, y, z) = self.voxels.dim();
        Geometry {
            shape: [x, y, z],
            affine: self.affine,
        }
    }

    fn check(&self) -> Result<(), Unwritable> {
        let (columns, rows, planes) = self.voxels.dim();
        let extent = 1..=EXTENT_MAX;
        if !extent.contains(&columns) || !extent.contains(&rows) || planes == 0 {
            return Err(Unwritable::Extent { columns, rows });
        }
        let [along_row, along_column] = self.directions_lps();
        let cosine = dot(along_row, along_column);
        if cosine.abs() > COSINE_MAX {
            return Err(Unwritable::Skewed { cosine });
        }
        let step = self.column_lps(2).map(|mm| mm * (planes as f64 - 1.0));
        let height = dot(step, self.normal_lps());
        let aside_mm = (dot(step, step) - height * height).max(0.0).sqrt();
        let [between_rows, between_columns] = self.pixel_mm();
        if aside_mm > ASIDE_PIXELS * between_rows.min(between_columns) {
            return Err(Unwritable::Sheared { aside_mm });
        }
        Ok(())
    }

    pub fn columns(&self) -> usize {
        self.voxels.dim().0
    }

    pub fn rows(&self) -> usize {
        self.voxels.dim().1
    }

    pub fn count(&self) -> usize {
        self.voxels.dim().2
    }

    pub fn voxel_ml(&self) -> f64 {
        self.affine.determinant().abs() / 1000.0
    }

    /// Position of a voxel, which may lie between voxels, in LPS mm.
    pub fn position_lps(&self, column: f64, row: f64, plane: usize) -> [f64; 3] {
        lps(self.affine.voxel_to_world([column, row, plane as f64]))
    }

    /// Unit vectors along a row, where columns grow, and along a column, where rows grow.
    pub fn directions_lps(&self) -> [[f64; 3]; 2] {
        [0, 1].map(|axis| unit(self.column_lps(axis)))
    }

    /// Distance between rows, and between columns: the order of DICOM.
    pub fn pixel_mm(&self) -> [f64; 2] {
        let [columns, rows, _] = self.affine.spacing();
        [rows, columns]
    }

    /// Distance between planes along their normal.
    pub fn between_planes_mm(&self) -> f64 {
        dot(self.column_lps(2), self.normal_lps()).abs()
    }

    fn normal_lps(&self) -> [f64; 3] {
        let [a, b] = self.directions_lps();
        unit(cross(a, b))
    }

    fn column_lps(&self, axis: usize) -> [f64; 3] {
        lps(std::array::from_fn(|row| self.affine.0[row][axis]))
    }
}

/// For columns, rows and planes: the axis of the map, and whether it is reversed.
fn order(map: &Affine, source: &Affine) -> [(usize, bool); 3] {
    let direction =
        |affine: &Affine, axis: usize| unit(std::array::from_fn(|row| affine.0[row][axis]));
    let cosine = |place, axis| dot(direction(source, place), direction(map, axis));
    let mut best = ([0, 1, 2], -1.0);
    for axes in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let sum: f64 = (0..3).map(|place| cosine(place, axes[place]).abs()).sum();
        if sum > best.1 {
            best = (axes, sum);
        }
    }
    let mut order = [0, 1, 2].map(|place| {
        let axis = best.0[place];
        (axis, cosine(place, axis) < 0.0)
    });
    let axis = |(axis, reversed): (usize, bool)| {
        direction(map, axis).map(|part| if reversed { -part } else { part })
    };
    // RAS to LPS inverts two axes, which keeps the handedness.
    let [a, b, c] = order.map(axis);
    if dot(cross(a, b), c) < 0.0 {
        order[2].1 = !order[2].1;
    }
    order
}

/// From RAS to LPS.
fn lps([x, y, z]: [f64; 3]) -> [f64; 3] {
    [-x, -y, z]
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    let length = dot(v, v).sqrt();
    v.map(|part| part / length)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

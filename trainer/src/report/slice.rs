//! Pictures of single slices, with outlines of labels.

use ndarray::{Array3, ArrayView3};
use vesal_io::image::{self, ImageError};
use vesal_volume::geometry::GeometryError;
use vesal_volume::orientation::{Orientation, reorient_labels, reorient_volume};
use vesal_volume::{Affine, LabelMap, Volume};

use super::png::{FIRST_LINE, GRAYS, LINES, MARK, NON_FINITE, Picture};

/// Pixels along the longer side.
const SIDE: f64 = 224.0;
/// Ratio of slice distances from which on the thicker slices of another direction are shown instead of axial ones.
const THICKER: f64 = 1.5;
/// Radius of the ring around a marked position, in pixels.
const RING: f64 = 9.0;

/// An image in RAS order, and the direction of its slices.
#[derive(Debug)]
pub struct Scan {
    image: Array3<f32>,
    affine: Affine,
    axis: usize,
}

/// Labels to outline, in RAS order.
#[derive(Debug)]
pub struct Outline {
    labels: Array3<u16>,
    /// Color of all labels; `None`: each label has its own.
    color: Option<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    #[error(transparent)]
    Read(#[from] ImageError),
    /// The affine is unusable.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    #[error("the image has no voxels")]
    Empty,
}

impl Scan {
    /// The first channel of a volume, with slices in the direction in which they are thickest.
    ///
    /// **Errors**: [`SliceError`].
    pub fn new(volume: Volume) -> Result<Self, SliceError> {
        let (volume, _) = reorient_volume(volume, Orientation::RAS)?;
        if volume.data.is_empty() {
            return Err(SliceError::Empty);
        }
        let image = volume.data.index_axis(ndarray::Axis(0), 0).to_owned();
        let spacing = volume.affine.spacing();
        let thickest = if spacing[0] > spacing[1] { 0 } else { 1 };
        let axis = if spacing[thickest] > THICKER * spacing[2] {
            thickest
        } else {
            2
        };
        Ok(Self {
            image,
            affine: volume.affine,
            axis,
        })
    }

    /// Reads a file.
    ///
    /// **Errors**: [`SliceError`].
    pub fn read(path: &std::path::Path) -> Result<Self, SliceError> {
        Self::new(image::read_channels(path)?)
    }

    /// Outlines of labels on this image; `None` where the labels are on another grid.
    pub fn outline(&self, labels: LabelMap, line: Option<usize>) -> Option<Outline> {
        let (labels, _) = reorient_labels(labels, Orientation::RAS).ok()?;
        (labels.data.dim() == self.image.dim()).then(|| Outline {
            labels: labels.data,
            color: line.map(|line| FIRST_LINE + (line % LINES.len()) as u8),
        })
    }

    /// The voxel nearest to a world position; `None` outside of the image.
    pub fn voxel(&self, world: [f64; 3]) -> Option<[usize; 3]> {
        let found = self.affine.inverse().ok()?.voxel_to_world(world);
        let shape: [usize; 3] = self.image.dim().into();
        let mut voxel = [0; 3];
        for axis in 0..3 {
            let index = found[axis].round();
            if !(index >= 0.0 && index < shape[axis] as f64) {
                return None;
            }
            voxel[axis] = index as usize;
        }
        Some(voxel)
    }

    /// The slice with the most voxels that fulfill `counts`; the middle one where there are none.
    pub fn slice_with_most(&self, counts: impl Fn([usize; 3]) -> bool) -> usize {
        let found = self.voxels_by_slice(counts);
        let most = found.iter().copied().max().unwrap_or(0);
        match most {
            0 => self.slices() / 2,
            _ => found.iter().position(|&count| count == most).unwrap_or(0),
        }
    }

    /// For each slice, whether any of its voxels fulfills `counts`.
    pub fn slices_with(&self, counts: impl Fn([usize; 3]) -> bool) -> Vec<bool> {
        let found = self.voxels_by_slice(counts);
        found.into_iter().map(|number| number > 0).collect()
    }

    fn voxels_by_slice(&self, counts: impl Fn([usize; 3]) -> bool) -> Vec<usize> {
        let mut found = vec![0; self.slices()];
        for ((x, y, z), _) in self.image.indexed_iter() {
            if counts([x, y, z]) {
                found[self.slice_of([x, y, z])] += 1;
            }
        }
        found
    }

    pub fn slices(&self) -> usize {
        [self.image.dim().0, self.image.dim().1, self.image.dim().2][self.axis]
    }

    /// Index of the slice that contains a voxel.
    pub fn slice_of(&self, voxel: [usize; 3]) -> usize {
        voxel[self.axis]
    }

    /// Direction of the slices and orientation of the pictures, in words.
    pub fn view(&self) -> &'static str {
        match self.axis {
            0 => "sagittal, front on the left",
            1 => "coronal, right side on the left",
            _ => "axial, right side on the left",
        }
    }

    /// Draws a slice. Where outlines with a single color each coincide, they are white.
    pub fn draw(&self, slice: usize, outlines: &[&Outline], mark: Option<[usize; 3]>) -> Picture {
        let [across, down] = match self.axis {
            0 => [1, 2],
            1 => [0, 2],
            _ => [0, 1],
        };
        let shape: [usize; 3] = self.image.dim().into();
        let spacing = self.affine.spacing();
        let [wide, tall] = [across, down].map(|axis| shape[axis] as f64 * spacing[axis]);
        let scale = SIDE / wide.max(tall);
        let pixels = |mm: f64| ((mm * scale).round() as usize).max(8);
        let (width, height) = (pixels(wide), pixels(tall));
        // Indices grow toward right, front and top, which a picture shows on the left and above.
        let index = |pixel: usize, pixels: usize, axis: usize| {
            let voxels = shape[axis] as f64;
            voxels - 0.5 - (pixel as f64 + 0.5) / pixels as f64 * voxels
        };
        let nearest = |column: usize, row: usize| {
            let mut voxel = [slice; 3];
            voxel[across] = (index(column, width, across) + 0.5) as usize;
            voxel[down] = (index(row, height, down) + 0.5) as usize;
            std::array::from_fn(|axis| voxel[axis].min(shape[axis] - 1))
        };
        let gray = Window::of(self.image.view(), self.axis, slice);
        let mut picture = Picture {
            width,
            height,
            pixels: Vec::with_capacity(width * height),
        };
        for row in 0..height {
            for column in 0..width {
                let value = if self.image[nearest(column, row)].is_finite() {
                    let at = [index(column, width, across), index(row, height, down)];
                    gray.shade(self.between(slice, [across, down], at))
                } else {
                    NON_FINITE
                };
                picture.pixels.push(value);
            }
        }
        for outline in outlines {
            let label = |column: usize, row: usize| outline.labels[nearest(column, row)];
            for row in 0..height {
                for column in 0..width {
                    let own = label(column, row);
                    let beside = [
                        (column > 0).then(|| label(column - 1, row)),
                        (row > 0).then(|| label(column, row - 1)),
                        (column + 1 < width).then(|| label(column + 1, row)),
                        (row + 1 < height).then(|| label(column, row + 1)),
                    ];
                    if own != 0 && beside.into_iter().flatten().any(|other| other != own) {
                        let line = FIRST_LINE + (usize::from(own - 1) % LINES.len()) as u8;
                        let pixel = &mut picture.pixels[row * width + column];
                        *pixel = match outline.color {
                            Some(_) if *pixel >= FIRST_LINE => GRAYS - 1,
                            color => color.unwrap_or(line),
                        };
                    }
                }
            }
        }
        if let Some(voxel) = mark {
            let center = |axis: usize, pixels: usize| {
                (shape[axis] as f64 - 0.5 - voxel[axis] as f64) / shape[axis] as f64 * pixels as f64
            };
            let (x, y) = (center(across, width), center(down, height));
            for row in 0..height {
                for column in 0..width {
                    let away = (column as f64 + 0.5 - x).hypot(row as f64 + 0.5 - y);
                    if (away - RING).abs() < 0.9 {
                        picture.pixels[row * width + column] = MARK;
                    }
                }
            }
        }
        picture
    }

    /// Interpolates bilinearly within a slice; values that are NaN or infinite are ignored.
    fn between(&self, slice: usize, axes: [usize; 2], at: [f64; 2]) -> f32 {
        let shape: [usize; 3] = self.image.dim().into();
        let (mut sum, mut weights) = (0.0, 0.0);
        for corner in 0..4 {
            let mut voxel = [slice; 3];
            let mut weight = 1.0;
            for (which, (&axis, at)) in axes.iter().zip(at).enumerate() {
                let at = at.clamp(0.0, (shape[axis] - 1) as f64);
                let low = at.floor();
                let is_high = corner >> which & 1 == 1;
                weight *= if is_high { at - low } else { 1.0 - (at - low) };
                voxel[axis] = (low as usize + usize::from(is_high)).min(shape[axis] - 1);
            }
            let value = self.image[voxel];
            if value.is_finite() {
                sum += weight * f64::from(value);
                weights += weight;
            }
        }
        (sum / weights) as f32
    }
}

impl Outline {
    /// Whether a voxel has this label, or any label for `None`.
    pub fn has(&self, voxel: [usize; 3], label: Option<u16>) -> bool {
        let own = self.labels[voxel];
        label.map_or(own != 0, |label| own == label)
    }

    /// Whether two outlines have different labels in a voxel.
    pub fn differs(&self, other: &Self, voxel: [usize; 3]) -> bool {
        self.labels[voxel] != other.labels[voxel]
    }
}

/// Intensities that are shown black and white.
struct Window {
    black: f32,
    white: f32,
}

impl Window {
    /// From the 1st to the 99th percentile of a slice.
    fn of(image: ArrayView3<'_, f32>, axis: usize, slice: usize) -> Self {
        let slice = image.index_axis_move(ndarray::Axis(axis), slice);
        let mut values: Vec<f32> = slice.iter().copied().filter(|v| v.is_finite()).collect();
        values.sort_by(f32::total_cmp);
        let at = |share: f64| {
            let index = (share * values.len().saturating_sub(1) as f64).round() as usize;
            values.get(index).copied().unwrap_or(0.0)
        };
        Self {
            black: at(0.01),
            white: at(0.99),
        }
    }

    fn shade(&self, value: f32) -> u8 {
        if self.white <= self.black {
            return GRAYS / 3;
        }
        let share = (value - self.black) / (self.white - self.black);
        (share.clamp(0.0, 1.0) * f32::from(GRAYS - 1)).round() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(affine: Affine) -> Scan {
        let data = ndarray::Array4::from_shape_fn((1, 4, 4, 3), |(_, x, y, _)| (x + 4 * y) as f32);
        Scan::new(Volume { data, affine }).unwrap()
    }

    #[test]
    fn right_and_front_are_left_and_above() {
        let picture = scan(Affine::IDENTITY).draw(1, &[], None);
        let corner = |row: usize, column: usize| picture.pixels[row * picture.width + column];
        let last = picture.width - 1;
        assert_eq!((picture.width, picture.height), (224, 224));
        assert!(corner(0, 0) > corner(0, last), "right is brighter");
        assert!(corner(0, last) > corner(last, last), "front is brighter");
    }

    #[test]
    fn the_thickest_slices_are_shown_whole() {
        let scan = scan(Affine::from_spacing([5.0, 1.0, 1.0]));
        assert_eq!(
            (scan.slices(), scan.view()),
            (4, "sagittal, front on the left")
        );
        let picture = scan.draw(0, &[], None);
        assert_eq!((picture.width, picture.height), (224, 168));
    }

    #[test]
    fn outlines_and_marks_are_where_the_labels_are() {
        let scan = scan(Affine::IDENTITY);
        let mut data = Array3::zeros((4, 4, 3));
        data[[3, 3, 2]] = 2;
        let labels = LabelMap {
            data,
            affine: Affine::IDENTITY,
        };
        let outline = scan.outline(labels, None).unwrap();
        assert_eq!(scan.slice_with_most(|voxel| outline.has(voxel, None)), 2);
        let picture = scan.draw(2, &[&outline], None);
        // A voxel in the corner takes a quarter of each side; its inner edge is drawn.
        assert_eq!(picture.pixels[10 * 224 + 55], FIRST_LINE + 1);
        assert!(picture.pixels[10 * 224 + 60] < GRAYS);
        assert_eq!(scan.voxel([3.2, 2.8, 2.0]), Some([3, 3, 2]));
        assert_eq!(scan.voxel([4.0, 0.0, 0.0]), None);
        let marked = scan.draw(2, &[], Some([3, 3, 2]));
        assert!(marked.pixels.contains(&MARK));
        let other = LabelMap {
            data: Array3::zeros((4, 4, 2)),
            affine: Affine::IDENTITY,
        };
        assert!(scan.outline(other, None).is_none());
    }
}

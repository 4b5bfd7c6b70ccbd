//! Structure sets (RTSTRUCT): regions drawn as contours, as masks.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use ndarray::Array3;
use vesal_volume::{Geometry, LabelMap};

use crate::dicom::dataset::{self, Encoding, Visitor, text};
use crate::dicom::error::{DicomError, HeaderError, StructureError};
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};

/// The class of a structure set.
const CLASS: &str = "1.2.840.10008.5.1.4.1.1.481.3";

/// Largest distance in slices between points of one contour.
const PLANAR: f64 = 0.25;

/// The regions of a structure set.
#[derive(Debug, Clone, Default)]
pub struct Structures {
    /// The regions, by number.
    pub regions: Vec<Region>,
}

/// A region and its contours.
#[derive(Debug, Clone, Default)]
pub struct Region {
    /// Its number in the set.
    pub number: i64,
    /// Its name, as whoever drew it put it.
    pub name: String,
    /// UID of the frame of reference that its contours lie in: that of the stacks that it may be put on.
    pub frame_of_reference: Option<String>,
    /// Corners of its closed contours, in RAS mm.
    pub contours: Vec<Vec<[f64; 3]>>,
    /// Contours of other kinds, which enclose nothing: points and open lines.
    pub others: usize,
}

/// Reads the structure set of a file.
///
/// **Errors**: [`DicomError::Header`] for a file that is none, or whose header or contours are damaged.
pub fn read_structures(path: impl AsRef<Path>) -> Result<Structures, DicomError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(DicomError::io(path))?;
    read(file).map_err(|reason| DicomError::Header {
        path: path.to_owned(),
        reason,
    })
}

fn read(file: File) -> Result<Structures, HeaderError> {
    let (mut stream, meta) = dataset::open(file)?;
    let syntax = TransferSyntax::of(&meta.syntax).filter(|syntax| !syntax.is_encapsulated());
    let syntax = syntax.ok_or(HeaderError::Syntax { uid: meta.syntax })?;
    if syntax == TransferSyntax::Deflated {
        stream = stream.deflated();
    }
    let mut found = Contours::default();
    dataset::walk(&mut stream, Encoding::of(syntax), &mut found)?;
    if found.class.as_deref() != Some(CLASS) {
        return Err(HeaderError::Malformed {
            tag: tag::SOP_CLASS_UID,
            expected: "the class of a structure set",
        });
    }
    found.structures()
}

impl Region {
    /// The voxels whose centers the contours enclose: 1 inside, 0 outside.
    ///
    /// **Definition**: each contour counts for the slice nearest to it; in a slice, a center is inside where a line from
    /// it leaves an odd number of times, so that a contour within another cuts a hole.
    ///
    /// **Errors**: [`StructureError`] for contours that do not lie in the slices of the grid, and for a grid without
    /// inverse.
    ///
    /// **Source**: PS3.3 C.8.8.6.
    pub fn mask(&self, grid: &Geometry) -> Result<LabelMap, StructureError> {
        let to_voxel = grid.affine.inverse()?;
        let [columns, rows, slices] = grid.shape;
        let mut data = Array3::zeros(grid.shape);
        for (index, contour) in self.contours.iter().enumerate() {
            let corners: Vec<[f64; 3]> = contour
                .iter()
                .map(|&corner| to_voxel.voxel_to_world(corner))
                .collect();
            let depths = || corners.iter().map(|corner| corner[2]);
            let (least, most) = (
                depths().fold(f64::INFINITY, f64::min),
                depths().fold(f64::NEG_INFINITY, f64::max),
            );
            if most - least > PLANAR {
                return Err(StructureError::NotInSlice {
                    contour: index + 1,
                    slices: most - least,
                });
            }
            let slice = ((least + most) / 2.0).round();
            if slice < 0.0 || slice >= slices as f64 {
                continue;
            }
            for y in 0..rows {
                for [from, to] in inside(&corners, y as f64) {
                    // Centers from `from` up to but not at `to`.
                    let start = from.ceil().clamp(0.0, columns as f64) as usize;
                    let end = to.ceil().clamp(0.0, columns as f64) as usize;
                    for x in start..end {
                        data[[x, y, slice as usize]] ^= 1;
                    }
                }
            }
        }
        Ok(LabelMap {
            data,
            affine: grid.affine,
        })
    }
}

/// The parts of a row that a contour encloses.
fn inside(corners: &[[f64; 3]], y: f64) -> Vec<[f64; 2]> {
    let next = corners.iter().cycle().skip(1);
    let mut crossings: Vec<f64> = corners
        .iter()
        .zip(next)
        // Of a corner on the row, only the edge that comes from above counts.
        .filter(|(a, b)| (a[1] <= y) != (b[1] <= y))
        .map(|(a, b)| a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
        .collect();
    crossings.sort_by(f64::total_cmp);
    crossings.as_chunks().0.to_vec()
}

/// What is read of a structure set.
#[derive(Default)]
struct Contours {
    class: Option<String>,
    /// Items of the regions: number, name, frame of reference.
    regions: Vec<[Option<String>; 3]>,
    /// Items of the contours of a region: its number, and the contours.
    drawn: Vec<(Option<String>, Vec<Drawn>)>,
}

/// Kind and numbers of a contour, as they are written.
type Drawn = [Option<String>; 2];

impl Visitor for Contours {
    fn enters(&self, path: &[Tag], sequence: Tag) -> bool {
        match path {
            [] => [tag::STRUCTURE_SET_ROI_SEQUENCE, tag::ROI_CONTOUR_SEQUENCE].contains(&sequence),
            [tag::ROI_CONTOUR_SEQUENCE] => sequence == tag::CONTOUR_SEQUENCE,
            _ => false,
        }
    }

    fn begins(&mut self, path: &[Tag]) {
        match path {
            [tag::STRUCTURE_SET_ROI_SEQUENCE] => self.regions.push(Default::default()),
            [tag::ROI_CONTOUR_SEQUENCE] => self.drawn.push(Default::default()),
            [tag::ROI_CONTOUR_SEQUENCE, tag::CONTOUR_SEQUENCE] => {
                if let Some((_, contours)) = self.drawn.last_mut() {
                    contours.push(Default::default());
                }
            }
            _ => {}
        }
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        self.place(path, tag).is_some()
    }

    fn longest(&self, tag: Tag) -> u64 {
        // Explicit lengths of text have 16 bits, implicit ones 32.
        if tag == tag::CONTOUR_DATA {
            1 << 24
        } else {
            dataset::VALUE_BYTES_MAX
        }
    }

    fn value(&mut self, path: &[Tag], tag: Tag, value: Vec<u8>) {
        let Some(place) = self.place(path, tag) else {
            return;
        };
        let value = Some(text(&value));
        match path {
            [] => self.class = value,
            [tag::STRUCTURE_SET_ROI_SEQUENCE] => {
                if let Some(region) = self.regions.last_mut() {
                    region[place] = value;
                }
            }
            [_] => {
                if let Some((number, _)) = self.drawn.last_mut() {
                    *number = value;
                }
            }
            _ => {
                let contours = self.drawn.last_mut().map(|(_, contours)| contours);
                if let Some(contour) = contours.and_then(|contours| contours.last_mut()) {
                    contour[place] = value;
                }
            }
        }
    }
}

impl Contours {
    /// Where a value is put among those of its item; `None` for one that is not asked for.
    fn place(&self, path: &[Tag], tag: Tag) -> Option<usize> {
        let tags: &[Tag] = match path {
            [] => &[tag::SOP_CLASS_UID],
            [tag::STRUCTURE_SET_ROI_SEQUENCE] => &[
                tag::ROI_NUMBER,
                tag::ROI_NAME,
                tag::REFERENCED_FRAME_OF_REFERENCE_UID,
            ],
            [tag::ROI_CONTOUR_SEQUENCE] => &[tag::REFERENCED_ROI_NUMBER],
            [tag::ROI_CONTOUR_SEQUENCE, tag::CONTOUR_SEQUENCE] => {
                &[tag::CONTOUR_GEOMETRIC_TYPE, tag::CONTOUR_DATA]
            }
            _ => &[],
        };
        tags.iter().position(|wanted| *wanted == tag)
    }

    fn structures(self) -> Result<Structures, HeaderError> {
        let number = |text: &Option<String>, tag| -> Result<i64, HeaderError> {
            let text = text.as_deref().ok_or(HeaderError::Missing { tag })?;
            text.parse().map_err(|_| HeaderError::Malformed {
                tag,
                expected: "a whole number",
            })
        };
        let mut regions = BTreeMap::new();
        for [id, name, frame_of_reference] in self.regions {
            let number = number(&id, tag::ROI_NUMBER)?;
            let region = Region {
                number,
                name: name.unwrap_or_default(),
                frame_of_reference,
                ..Region::default()
            };
            regions.insert(number, region);
        }
        for (id, contours) in self.drawn {
            let region = regions.get_mut(&number(&id, tag::REFERENCED_ROI_NUMBER)?);
            let region = region.ok_or(HeaderError::Malformed {
                tag: tag::REFERENCED_ROI_NUMBER,
                expected: "the number of a region",
            })?;
            for [kind, data] in contours {
                // The numbers of contours that cut holes by themselves are to be combined in the same way.
                if kind.is_some_and(|kind| kind.starts_with("CLOSED")) {
                    region.contours.push(corners(&data.unwrap_or_default())?);
                } else {
                    region.others += 1;
                }
            }
        }
        Ok(Structures {
            regions: regions.into_values().collect(),
        })
    }
}

/// The corners of a contour, from LPS to RAS.
fn corners(data: &str) -> Result<Vec<[f64; 3]>, HeaderError> {
    let malformed = HeaderError::Malformed {
        tag: tag::CONTOUR_DATA,
        expected: "3 numbers for each corner",
    };
    let numbers: Result<Vec<f64>, _> = data.split('\\').map(|part| part.trim().parse()).collect();
    let numbers = numbers.ok().filter(|numbers| {
        !numbers.is_empty()
            && numbers.len().is_multiple_of(3)
            && numbers.iter().all(|n: &f64| n.is_finite())
    });
    let numbers = numbers.ok_or(malformed)?;
    Ok(numbers
        .as_chunks()
        .0
        .iter()
        .map(|&[l, p, s]| [-l, -p, s])
        .collect())
}

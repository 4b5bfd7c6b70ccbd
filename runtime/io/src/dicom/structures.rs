//! Structure sets (RTSTRUCT): regions drawn as contours.

mod mask;
mod references;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::dicom::dataset::{self, Encoding, Visitor, text};
use crate::dicom::error::{DicomError, HeaderError};
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};

pub use references::{ReferencedSeries, StructureReferences, read_structure_references};

/// The class of a structure set.
pub(super) const CLASS: &str = "1.2.840.10008.5.1.4.1.1.481.3";

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
    let mut found = Contours::default();
    visit(path, &mut found)?;
    found.structures().map_err(DicomError::header(path))
}

/// Shows a visitor the structure set of a file.
fn visit(path: &Path, found: &mut (impl Visitor + Classed)) -> Result<(), DicomError> {
    let file = File::open(path).map_err(DicomError::io(path))?;
    walk(file, found).map_err(DicomError::header(path))
}

fn walk(file: File, found: &mut (impl Visitor + Classed)) -> Result<(), HeaderError> {
    let (mut stream, meta) = dataset::open(file)?;
    let syntax = TransferSyntax::of(&meta.syntax).filter(|syntax| !syntax.is_encapsulated());
    let syntax = syntax.ok_or(HeaderError::Syntax { uid: meta.syntax })?;
    if syntax == TransferSyntax::Deflated {
        stream = stream.deflated();
    }
    dataset::walk(&mut stream, Encoding::of(syntax), found)?;
    if found.class() != Some(CLASS) {
        return Err(HeaderError::Malformed {
            tag: tag::SOP_CLASS_UID,
            expected: "the class of a structure set",
        });
    }
    Ok(())
}

/// Knows what class of object it was shown.
trait Classed {
    /// UID of the class.
    fn class(&self) -> Option<&str>;
}

impl Classed for Contours {
    fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }
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

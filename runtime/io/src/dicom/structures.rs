//! Structure sets (RTSTRUCT): regions as contours.

mod mask;
mod references;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::dicom::dataset::{self, Encoding, Longest, VALUE_BYTES_MAX, Visitor};
use crate::dicom::error::{DicomError, DicomHeaderError};
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::{CHARACTERS_MAX, CharacterSets, text};

pub use references::{ReferencedSeries, StructureReferences, read_structure_references};

/// The class of a structure set.
pub(super) const CLASS: &str = "1.2.840.10008.5.1.4.1.1.481.3";

/// The regions of a structure set.
#[derive(Debug, Clone, Default)]
pub struct Structures {
    pub regions: Vec<Region>,
}

#[derive(Debug, Clone, Default)]
pub struct Region {
    /// Its number in the set.
    pub number: i64,
    /// Its name as the author of the set wrote it.
    pub name: String,
    /// UID of the frame of reference of its contours.
    pub frame_of_reference: Option<String>,
    /// Corners of its closed contours, in RAS mm.
    pub contours: Vec<Vec<[f64; 3]>>,
    /// Number of contours of other kinds, which enclose no area: points and open lines.
    pub others: usize,
}

/// Reads the structure set of a file.
///
/// **Errors**: [`DicomError::Header`] for another file, or damaged header or contours.
pub fn read_structures(path: impl AsRef<Path>) -> Result<Structures, DicomError> {
    let path = path.as_ref();
    let mut found = Contours::default();
    visit(path, &mut found)?;
    found.structures().map_err(DicomError::header(path))
}

/// Walks over the structure set of a file.
fn visit(path: &Path, found: &mut (impl Visitor + Classed)) -> Result<(), DicomError> {
    let file = File::open(path).map_err(DicomError::io(path))?;
    walk(file, found).map_err(DicomError::header(path))
}

fn walk(file: File, found: &mut (impl Visitor + Classed)) -> Result<(), DicomHeaderError> {
    let (mut stream, meta) = dataset::open(file)?;
    let syntax = TransferSyntax::of(&meta.syntax).filter(|syntax| !syntax.is_encapsulated());
    let syntax = syntax.ok_or(DicomHeaderError::Syntax { uid: meta.syntax })?;
    if syntax == TransferSyntax::Deflated {
        stream = stream.deflated();
    }
    dataset::walk(&mut stream, Encoding::of(syntax), found)?;
    found.ends()?;
    if found.class() != Some(CLASS) {
        return Err(DicomHeaderError::Malformed {
            tag: tag::SOP_CLASS_UID,
            expected: "the class of a structure set",
        });
    }
    Ok(())
}

/// A visitor that reads the class of the object.
trait Classed {
    fn class(&self) -> Option<&str>;
    /// Called at the end of the data set.
    fn ends(&mut self) -> Result<(), DicomHeaderError> {
        Ok(())
    }
}

impl Classed for Contours {
    fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }

    fn ends(&mut self) -> Result<(), DicomHeaderError> {
        self.end_contour()?;
        self.end_drawn()?;
        self.end_region()
    }
}

/// Corners of closed contours.
type Outlines = Vec<Vec<[f64; 3]>>;

/// Reads a structure set. Each item is converted as soon as it ends, so that the memory is a small multiple of the
/// file's size for any content.
#[derive(Default)]
struct Contours {
    class: Option<String>,
    sets: Option<Vec<u8>>,
    /// Regions without their contours.
    regions: BTreeMap<i64, Region>,
    /// Contours of regions: the number, closed contours, and how many others.
    drawn: Vec<(i64, Outlines, usize)>,
    /// Values of the items that have begun.
    region: Option<[Option<Vec<u8>>; 4]>,
    drawing: Option<(Option<Vec<u8>>, Outlines, usize)>,
    contour: Option<[Option<Vec<u8>>; 2]>,
}

impl Visitor for Contours {
    fn enters(&self, path: &[Tag], sequence: Tag) -> bool {
        match path {
            [] => [tag::STRUCTURE_SET_ROI_SEQUENCE, tag::ROI_CONTOUR_SEQUENCE].contains(&sequence),
            [tag::ROI_CONTOUR_SEQUENCE] => sequence == tag::CONTOUR_SEQUENCE,
            _ => false,
        }
    }

    fn begins(&mut self, path: &[Tag]) -> Result<(), DicomHeaderError> {
        match path {
            [tag::STRUCTURE_SET_ROI_SEQUENCE] => {
                self.end_region()?;
                self.region = Some(Default::default());
            }
            [tag::ROI_CONTOUR_SEQUENCE] => {
                self.end_contour()?;
                self.end_drawn()?;
                self.drawing = Some(Default::default());
            }
            [tag::ROI_CONTOUR_SEQUENCE, tag::CONTOUR_SEQUENCE] => {
                self.end_contour()?;
                self.contour = Some(Default::default());
            }
            _ => {}
        }
        Ok(())
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        match path {
            [] => [tag::SOP_CLASS_UID, tag::SPECIFIC_CHARACTER_SET].contains(&tag),
            [tag::STRUCTURE_SET_ROI_SEQUENCE] => OF_REGION.contains(&tag),
            [tag::ROI_CONTOUR_SEQUENCE] => tag == tag::REFERENCED_ROI_NUMBER,
            [tag::ROI_CONTOUR_SEQUENCE, tag::CONTOUR_SEQUENCE] => OF_CONTOUR.contains(&tag),
            _ => false,
        }
    }

    fn longest(&self, tag: Tag) -> Longest {
        match tag {
            // Explicit lengths of text have 16 bits, implicit ones 32.
            tag::CONTOUR_DATA => Longest::Refused(1 << 24),
            tag::ROI_NAME => Longest::Cut(VALUE_BYTES_MAX),
            _ => Longest::Refused(VALUE_BYTES_MAX),
        }
    }

    fn value(&mut self, path: &[Tag], tag: Tag, value: Vec<u8>) -> Result<(), DicomHeaderError> {
        let put = |values: &mut [Option<Vec<u8>>], tags: &[Tag], value| {
            let place = tags.iter().position(|wanted| *wanted == tag);
            if let Some(place) = place.and_then(|place| values.get_mut(place)) {
                *place = Some(value);
            }
        };
        match (path, &mut self.region, &mut self.drawing, &mut self.contour) {
            ([], ..) if tag == tag::SPECIFIC_CHARACTER_SET => self.sets = Some(value),
            ([], ..) => self.class = Some(text(&value)),
            ([tag::STRUCTURE_SET_ROI_SEQUENCE], Some(region), ..) => {
                put(region, &OF_REGION, value);
            }
            ([_], _, Some((number, ..)), _) => *number = Some(value),
            (_, _, _, Some(contour)) => put(contour, &OF_CONTOUR, value),
            _ => {}
        }
        Ok(())
    }
}

/// The attributes that are read of regions and of contours.
const OF_REGION: [Tag; 4] = [
    tag::ROI_NUMBER,
    tag::ROI_NAME,
    tag::REFERENCED_FRAME_OF_REFERENCE_UID,
    tag::SPECIFIC_CHARACTER_SET,
];
const OF_CONTOUR: [Tag; 2] = [tag::CONTOUR_GEOMETRIC_TYPE, tag::CONTOUR_DATA];

fn number(value: Option<Vec<u8>>, tag: Tag) -> Result<i64, DicomHeaderError> {
    let value = value.ok_or(DicomHeaderError::Missing { tag })?;
    text(&value)
        .parse()
        .map_err(|_| DicomHeaderError::Malformed {
            tag,
            expected: "a whole number",
        })
}

impl Contours {
    fn end_region(&mut self) -> Result<(), DicomHeaderError> {
        let Some([id, name, frame_of_reference, sets]) = self.region.take() else {
            return Ok(());
        };
        // An item may be in character sets of its own (PS3.3 C.12.1.1.2).
        let sets = CharacterSets::of(sets.as_deref().or(self.sets.as_deref()));
        let number = number(id, tag::ROI_NUMBER)?;
        let region = Region {
            number,
            name: sets.decode(&name.unwrap_or_default(), CHARACTERS_MAX),
            frame_of_reference: frame_of_reference.map(|uid| text(&uid)),
            ..Region::default()
        };
        self.regions.insert(number, region);
        Ok(())
    }

    fn end_drawn(&mut self) -> Result<(), DicomHeaderError> {
        if let Some((id, contours, others)) = self.drawing.take() {
            let number = number(id, tag::REFERENCED_ROI_NUMBER)?;
            self.drawn.push((number, contours, others));
        }
        Ok(())
    }

    fn end_contour(&mut self) -> Result<(), DicomHeaderError> {
        let (Some([kind, data]), Some((_, contours, others))) =
            (self.contour.take(), &mut self.drawing)
        else {
            return Ok(());
        };
        // CLOSED_PLANAR_XOR contours are combined by parity as well.
        if kind.is_some_and(|kind| kind.starts_with(b"CLOSED")) {
            contours.push(corners(&text(&data.unwrap_or_default()))?);
        } else {
            *others += 1;
        }
        Ok(())
    }

    fn structures(mut self) -> Result<Structures, DicomHeaderError> {
        for (number, contours, others) in self.drawn {
            let region = self.regions.get_mut(&number);
            let region = region.ok_or(DicomHeaderError::Malformed {
                tag: tag::REFERENCED_ROI_NUMBER,
                expected: "the number of a region",
            })?;
            region.contours.extend(contours);
            region.others += others;
        }
        Ok(Structures {
            regions: self.regions.into_values().collect(),
        })
    }
}

/// The corners of a contour, from LPS to RAS.
fn corners(data: &str) -> Result<Vec<[f64; 3]>, DicomHeaderError> {
    let malformed = DicomHeaderError::Malformed {
        tag: tag::CONTOUR_DATA,
        expected: "3 numbers for each corner",
    };
    let mut numbers = data.split('\\').map(|part| {
        let number: Result<f64, _> = part.trim().parse();
        number.ok().filter(|number| number.is_finite())
    });
    let mut corners = Vec::new();
    while let Some(l) = numbers.next() {
        match (l, numbers.next().flatten(), numbers.next().flatten()) {
            (Some(l), Some(p), Some(s)) => corners.push([-l, -p, s]),
            _ => return Err(malformed),
        }
    }
    corners.shrink_to_fit();
    Ok(corners)
}

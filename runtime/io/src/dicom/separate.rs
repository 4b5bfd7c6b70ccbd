//! Tells stacks apart.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::dicom::finding::Finding;
use crate::dicom::frame::{Frame, dot};
use crate::dicom::header::Header;
use crate::dicom::key::Key;
use crate::dicom::layout::{is_even, places};
use crate::dicom::near::Near;
use crate::dicom::pixels::Image;
use crate::dicom::scan::UnreadSeries;
use crate::dicom::stack::{Slice, Stack};

/// Largest difference between components of unit vectors of one direction.
const SAME_DIRECTION: f64 = 1e-3;

/// Largest difference between pixel spacings that are one, as a share.
const SAME_SPACING: f64 = 1e-3;

/// Slices that a stack needs to have for its evenness to tell anything.
const EVEN_SLICES: usize = 3;

/// What may tell apart slices that lie unevenly together: nothing that changes from slice to slice.
const UNEVEN_KEYS: [Key; 3] = [Key::StackId, Key::ImageType, Key::Acquisition];

/// What the stacks of a series have in common.
struct OfSeries {
    unread: Option<Arc<[PathBuf]>>,
    torn: Option<Finding>,
}

/// What slices of one stack share exactly: modality, frame of reference, columns and rows.
type Common = (String, Option<String>, [usize; 2]);

/// The slices of a series, by what slices of one stack share.
#[derive(Default)]
struct Groups {
    /// In the order of their first slices.
    slices: Vec<Vec<Slice>>,
    alike: HashMap<Common, Alike>,
}

/// Groups whose slices share modality, frame of reference and shape.
struct Alike {
    /// Groups by directions and pixel spacing of their first slices.
    near: Near<8>,
    /// The group of exactly these.
    known: HashMap<[u64; 8], u32>,
}

impl Default for Alike {
    fn default() -> Self {
        Self {
            // Logarithms differ by a little more than the shares that they stand for.
            near: Near::new(1.01 * SAME_DIRECTION.max(SAME_SPACING)),
            known: HashMap::new(),
        }
    }
}

impl Groups {
    /// Puts the slices of an image into the first groups that they belong to.
    fn add(&mut self, image: &Arc<Image>) {
        let header = &image.header;
        let common = (
            header.modality.clone(),
            header.frame_of_reference.clone(),
            [header.columns, header.rows],
        );
        let alike = self.alike.entry(common).or_default();
        for frame in 0..header.frames.len() {
            let slice = Slice {
                image: Arc::clone(image),
                frame,
            };
            let exactly = describe_exactly(slice.place());
            let group = match alike.known.get(&exactly) {
                Some(group) => *group,
                None => {
                    let described = describe(slice.place());
                    let belongs = |group: &u32| belong(&self.slices[*group as usize][0], &slice);
                    let group = alike.near.around(described).filter(belongs).min();
                    let group = group.unwrap_or_else(|| {
                        let group = self.slices.len() as u32;
                        alike.near.insert(described, group);
                        self.slices.push(Vec::new());
                        group
                    });
                    alike.known.insert(exactly, group);
                    group
                }
            };
            self.slices[group as usize].push(slice);
        }
    }
}

fn describe_exactly(place: &Frame) -> [u64; 8] {
    let [a, b, c] = place.along_row_lps;
    let [d, e, f] = place.along_column_lps;
    let [x, y] = place.pixel_mm;
    [a, b, c, d, e, f, x, y].map(f64::to_bits)
}

/// Directions and pixel spacing as numbers of which none differs by more than about [`SAME_DIRECTION`] and
/// [`SAME_SPACING`] between slices that belong together.
///
/// The converse holds as well: slices belong together where none differs by more than half of that. Hence few groups lie
/// near each other, and no slice is compared with many.
fn describe(place: &Frame) -> [f64; 8] {
    let [a, b, c] = place.along_row_lps;
    let [d, e, f] = place.along_column_lps;
    let [x, y] = place.pixel_mm;
    [a, b, c, d, e, f, x.ln(), y.ln()]
}

/// Groups the frames of images into stacks.
pub(super) fn stacks(
    images: Vec<Arc<Image>>,
    unread: &BTreeMap<String, UnreadSeries>,
) -> Vec<Stack> {
    let mut by_series: BTreeMap<(String, String), Groups> = BTreeMap::new();
    for image in images {
        let series = (image.header.study.clone(), image.header.series.clone());
        by_series.entry(series).or_default().add(&image);
    }
    let unread: BTreeMap<&str, Arc<[PathBuf]>> = unread
        .iter()
        .map(|(series, unread)| (series.as_str(), unread.files.as_slice().into()))
        .collect();
    let mut stacks = Vec::new();
    for ((_, series), Groups { slices: groups, .. }) in by_series {
        let of_series = OfSeries {
            unread: unread.get(series.as_str()).cloned(),
            torn: torn(&groups),
        };
        for group in groups {
            separate(group, Vec::new(), &of_series, &mut stacks);
        }
    }
    let count = stacks.len();
    for stack in &mut stacks {
        stack.found_with = count;
    }
    stacks
}

/// Whether slices may be of one stack, whatever their places.
fn belong(a: &Slice, b: &Slice) -> bool {
    differences(a, b).next().is_none()
}

/// In what slices differ that are not of one stack.
fn differences(a: &Slice, b: &Slice) -> impl Iterator<Item = &'static str> {
    let within = |a: &[f64], b: &[f64], tolerance: &dyn Fn(f64) -> f64| {
        let mut pairs = a.iter().zip(b);
        pairs.all(|(a, b)| (a - b).abs() <= tolerance(*a))
    };
    let ((image_a, a), (image_b, b)) = [a, b]
        .map(|slice| (&slice.image.header, slice.place()))
        .into();
    let same_direction = |a: &[f64; 3], b: &[f64; 3]| within(a, b, &|_| SAME_DIRECTION);
    let same_orientation = same_direction(&a.along_row_lps, &b.along_row_lps)
        && same_direction(&a.along_column_lps, &b.along_column_lps);
    let of_shape = |header: &Header| (header.columns, header.rows);
    [
        ("modality", image_a.modality == image_b.modality),
        (
            "frame of reference",
            image_a.frame_of_reference == image_b.frame_of_reference,
        ),
        ("shape", of_shape(image_a) == of_shape(image_b)),
        (
            "pixel spacing",
            within(&a.pixel_mm, &b.pixel_mm, &|mm| SAME_SPACING * mm),
        ),
        ("orientation", same_orientation),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(what, _)| what)
}

/// That a series makes several stacks.
fn torn(groups: &[Vec<Slice>]) -> Option<Finding> {
    let (first, others) = groups.split_first()?;
    let mut differ_in: Vec<&str> = Vec::new();
    for other in others {
        for what in differences(&first[0], &other[0]) {
            if !differ_in.contains(&what) {
                differ_in.push(what);
            }
        }
    }
    (!others.is_empty()).then_some(Finding::Torn {
        stacks: groups.len(),
        differ_in,
    })
}

/// Divides slices by what tells those at one place apart, for as long as something does.
fn separate(
    slices: Vec<Slice>,
    told: Vec<(Key, String)>,
    of_series: &OfSeries,
    stacks: &mut Vec<Stack>,
) {
    let places = places(&slices);
    let all: Vec<u32> = (0..slices.len() as u32).collect();
    // Most slices at one place.
    let most_of = |part: &[u32]| {
        let mut at: Vec<u32> = part.iter().map(|index| places[*index as usize]).collect();
        at.sort_unstable();
        at.chunk_by(|a, b| a == b)
            .map(<[u32]>::len)
            .max()
            .unwrap_or(0)
    };
    let most = most_of(&all);
    let evenly = |part: &[u32]| lies_evenly(part.iter().map(|index| &slices[*index as usize]));
    let divides = |parts: &BTreeMap<&str, Vec<u32>>| {
        if most > 1 {
            // A value that changes from slice to slice tells nothing about the stack.
            let of_stacks =
                parts.len() <= most || parts.values().all(|part| part.len() >= EVEN_SLICES);
            of_stacks && parts.values().all(|part| most_of(part) < most)
        } else {
            parts.values().all(|part| evenly(part))
        }
    };
    let keys: &[Key] = if most > 1 {
        &Key::ALL
    } else if evenly(&all) {
        &[]
    } else {
        &UNEVEN_KEYS
    };
    for &key in keys {
        let mut parts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for index in &all {
            let value = slices[*index as usize].key(key).unwrap_or_default();
            parts.entry(value).or_default().push(*index);
        }
        if parts.len() < 2 || !divides(&parts) {
            continue;
        }
        let mut of_part = vec![0; slices.len()];
        let mut divided: Vec<(String, Vec<Slice>)> = Vec::with_capacity(parts.len());
        for (value, part) in parts {
            for index in &part {
                of_part[*index as usize] = divided.len();
            }
            divided.push((value.to_owned(), Vec::with_capacity(part.len())));
        }
        for (slice, part) in slices.into_iter().zip(of_part) {
            divided[part].1.push(slice);
        }
        for (value, part) in divided {
            let told = told.iter().cloned().chain([(key, value)]).collect();
            separate(part, told, of_series, stacks);
        }
        return;
    }
    stacks.push(Stack {
        slices,
        told_apart_by: told,
        unread: of_series.unread.iter().cloned().collect(),
        torn: of_series.torn.clone(),
        found_with: 1,
    });
}

/// Whether so many slices lie at so even distances that they are a stack.
fn lies_evenly<'a>(slices: impl ExactSizeIterator<Item = &'a Slice>) -> bool {
    if slices.len() < EVEN_SLICES {
        return false;
    }
    let mut normal = None;
    let mut along: Vec<f64> = slices
        .map(|slice| {
            let normal = *normal.get_or_insert_with(|| slice.place().normal_lps());
            dot(slice.place().position_lps, normal)
        })
        .collect();
    along.sort_by(f64::total_cmp);
    is_even(&along)
}

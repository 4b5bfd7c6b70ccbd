//! Groups slices into stacks.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use crate::dicom::distinguishing_key::DistinguishingKey;
use crate::dicom::frame_header::{FrameHeader, dot};
use crate::dicom::image_header::ImageHeader;
use crate::dicom::near::Near;
use crate::dicom::pixels::Image;
use crate::dicom::skipped::UnreadSeries;
use crate::dicom::slice::Slice;
use crate::dicom::slice_order::places;
use crate::dicom::stack::Stack;
use crate::dicom::stack_finding::StackFinding;
use crate::dicom::stack_layout::is_even;

/// Largest difference between components of unit vectors of one direction.
const SAME_DIRECTION: f64 = 1e-3;

/// Largest relative difference between pixel spacings that count as equal.
const SAME_SPACING: f64 = 1e-3;

/// Fewest slices whose even spacing is evidence that they are one stack.
const EVEN_SLICES: usize = 3;

/// Keys that may split unevenly spaced slices; keys that change from slice to slice are not among them.
const UNEVEN_KEYS: [DistinguishingKey; 3] = [
    DistinguishingKey::StackId,
    DistinguishingKey::ImageType,
    DistinguishingKey::Acquisition,
];

/// Attributes that the stacks of a series share.
struct SeriesFacts {
    unread: Option<Arc<[PathBuf]>>,
    split_series: Option<StackFinding>,
}

/// Attributes that slices of one stack share exactly: modality, frame of reference, columns and rows.
type ExactKey = (String, Option<String>, [usize; 2]);

/// The slices of a series, grouped by the attributes that slices of one stack share.
#[derive(Default)]
struct Groups {
    /// In the order of their first slices.
    slices: Vec<Vec<Slice>>,
    by_exact_key: HashMap<ExactKey, SimilarGroups>,
}

/// Groups with the same [`ExactKey`].
struct SimilarGroups {
    /// Groups by directions and pixel spacing of their first slices.
    near: Near<8>,
    /// Groups by the bits of directions and pixel spacing of all slices so far.
    known: HashMap<[u64; 8], u32>,
}

impl Default for SimilarGroups {
    fn default() -> Self {
        Self {
            // Logarithms differ by slightly more than the relative differences that they stand for.
            near: Near::new(1.01 * SAME_DIRECTION.max(SAME_SPACING)),
            known: HashMap::new(),
        }
    }
}

impl Groups {
    /// Adds the slices of an image to the first groups that they belong to.
    fn add(&mut self, image: &Arc<Image>) {
        let header = &image.header;
        let exact_key = (
            header.modality.clone(),
            header.frame_of_reference.clone(),
            [header.columns, header.rows],
        );
        let similar = self.by_exact_key.entry(exact_key).or_default();
        for frame in 0..header.frames.len() {
            let slice = Slice {
                image: Arc::clone(image),
                frame,
            };
            let bits = placement_bits(slice.place());
            let group = match similar.known.get(&bits) {
                Some(group) => *group,
                None => {
                    let placement = placement(slice.place());
                    let belongs = |group: &u32| belong(&self.slices[*group as usize][0], &slice);
                    let group = similar.near.around(placement).filter(belongs).min();
                    let group = group.unwrap_or_else(|| {
                        let group = self.slices.len() as u32;
                        similar.near.insert(placement, group);
                        self.slices.push(Vec::new());
                        group
                    });
                    similar.known.insert(bits, group);
                    group
                }
            };
            self.slices[group as usize].push(slice);
        }
    }
}

fn placement_bits(place: &FrameHeader) -> [u64; 8] {
    let [a, b, c] = place.along_row_lps;
    let [d, e, f] = place.along_column_lps;
    let [x, y] = place.pixel_mm;
    [a, b, c, d, e, f, x, y].map(f64::to_bits)
}

/// Directions and pixel spacing as numbers of which none differs by more than about [`SAME_DIRECTION`] and
/// [`SAME_SPACING`] between slices that belong together.
///
/// Conversely, slices belong together where none differs by more than half of that. So only few groups lie near each
/// other, and a slice is compared with few.
fn placement(place: &FrameHeader) -> [f64; 8] {
    let [a, b, c] = place.along_row_lps;
    let [d, e, f] = place.along_column_lps;
    let [x, y] = place.pixel_mm;
    [a, b, c, d, e, f, x.ln(), y.ln()]
}

/// Groups the frames of images into stacks, by study, series and first file.
pub(super) fn group_stacks(
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
        let facts = SeriesFacts {
            unread: unread.get(series.as_str()).cloned(),
            split_series: split_series(&groups),
        };
        for group in groups {
            split_stacks(group, Vec::new(), &facts, &mut stacks);
        }
    }
    let count = stacks.len();
    for stack in &mut stacks {
        stack.found_with = count;
    }
    stacks
}

/// Whether slices may be of one stack, independently of their positions.
fn belong(a: &Slice, b: &Slice) -> bool {
    differences(a, b).next().is_none()
}

/// The attributes whose difference excludes two slices from one stack; none if they may be of one.
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
    let of_shape = |header: &ImageHeader| (header.columns, header.rows);
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

/// The finding that a series has several stacks; `None` if it has one.
fn split_series(groups: &[Vec<Slice>]) -> Option<StackFinding> {
    let (first, others) = groups.split_first()?;
    let mut differ_in: Vec<&str> = Vec::new();
    for other in others {
        for what in differences(&first[0], &other[0]) {
            if !differ_in.contains(&what) {
                differ_in.push(what);
            }
        }
    }
    (!others.is_empty()).then_some(StackFinding::SplitSeries {
        stacks: groups.len(),
        differ_in,
    })
}

/// Splits slices at the same positions, or with uneven spacing, into stacks: by the first distinguishing key that
/// separates them, recursively. `values` are those of the keys so far.
fn split_stacks(
    slices: Vec<Slice>,
    values: Vec<(DistinguishingKey, String)>,
    facts: &SeriesFacts,
    stacks: &mut Vec<Stack>,
) {
    let places = places(&slices);
    let all: Vec<u32> = (0..slices.len() as u32).collect();
    // The largest number of slices at one position.
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
            // A value that changes from slice to slice does not belong to a stack.
            let of_stacks =
                parts.len() <= most || parts.values().all(|part| part.len() >= EVEN_SLICES);
            of_stacks && parts.values().all(|part| most_of(part) < most)
        } else {
            parts.values().all(|part| evenly(part))
        }
    };
    let keys: &[DistinguishingKey] = if most > 1 {
        &DistinguishingKey::ALL
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
            let values = values.iter().cloned().chain([(key, value)]).collect();
            split_stacks(part, values, facts, stacks);
        }
        return;
    }
    stacks.push(Stack {
        slices,
        distinguishing_keys: values,
        unread: facts.unread.iter().cloned().collect(),
        split_series: facts.split_series.clone(),
        found_with: 1,
    });
}

/// Whether there are at least [`EVEN_SLICES`] slices, evenly spaced.
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

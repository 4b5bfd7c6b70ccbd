//! Tells stacks apart.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::dicom::finding::Finding;
use crate::dicom::frame::{Key, dot};
use crate::dicom::header::Header;
use crate::dicom::layout::{is_even, places};
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
struct OfSeries<'a> {
    unread: &'a [PathBuf],
    torn: Option<Finding>,
}

/// Groups slices into stacks.
pub(super) fn stacks(slices: Vec<Slice>, unread: &BTreeMap<String, Vec<PathBuf>>) -> Vec<Stack> {
    let mut by_series: BTreeMap<(String, String), Vec<Vec<Slice>>> = BTreeMap::new();
    for slice in slices {
        let header = &slice.image.header;
        let series = (header.study.clone(), header.series.clone());
        let groups = by_series.entry(series).or_default();
        match groups.iter_mut().find(|group| belong(&group[0], &slice)) {
            Some(group) => group.push(slice),
            None => groups.push(vec![slice]),
        }
    }
    let mut stacks = Vec::new();
    for ((_, series), groups) in by_series {
        let unread = unread.get(&series).map_or(&[][..], Vec::as_slice);
        let of_series = OfSeries {
            unread,
            torn: torn(&groups),
        };
        for group in groups {
            separate(group, Vec::new(), &of_series, &mut stacks);
        }
    }
    stacks
}

/// Whether slices may be of one stack, whatever their places.
fn belong(a: &Slice, b: &Slice) -> bool {
    differences(a, b).next().is_none()
}

/// In what slices differ that are not of one stack.
fn differences(a: &Slice, b: &Slice) -> impl Iterator<Item = &'static str> {
    let near = |a: &[f64], b: &[f64], tolerance: f64| {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
    };
    let ((image_a, a), (image_b, b)) = [a, b]
        .map(|slice| (&slice.image.header, slice.place()))
        .into();
    let same_orientation = near(&a.along_row_lps, &b.along_row_lps, SAME_DIRECTION)
        && near(&a.along_column_lps, &b.along_column_lps, SAME_DIRECTION);
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
            near(&a.pixel_mm, &b.pixel_mm, SAME_SPACING * a.pixel_mm[0]),
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

/// Most slices at one place.
fn most_at_one_place(slices: &[Slice]) -> usize {
    places(slices).iter().map(Vec::len).max().unwrap_or(0)
}

/// Divides slices by what tells those at one place apart, for as long as something does.
fn separate(
    slices: Vec<Slice>,
    told: Vec<(Key, String)>,
    of_series: &OfSeries,
    stacks: &mut Vec<Stack>,
) {
    let most = most_at_one_place(&slices);
    let divides = |parts: &BTreeMap<String, Vec<Slice>>| {
        if most > 1 {
            // A value that changes from slice to slice tells nothing about the stack.
            let of_stacks =
                parts.len() <= most || parts.values().all(|part| part.len() >= EVEN_SLICES);
            of_stacks && parts.values().all(|part| most_at_one_place(part) < most)
        } else {
            parts.values().all(|part| lies_evenly(part))
        }
    };
    let keys: &[Key] = if most > 1 {
        &Key::ALL
    } else if lies_evenly(&slices) {
        &[]
    } else {
        &UNEVEN_KEYS
    };
    for &key in keys {
        let mut parts: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
        for slice in &slices {
            let value = slice.place().key(key).unwrap_or_default().to_owned();
            parts.entry(value).or_default().push(slice.clone());
        }
        if parts.len() > 1 && divides(&parts) {
            for (value, part) in parts {
                let told = told.iter().cloned().chain([(key, value)]).collect();
                separate(part, told, of_series, stacks);
            }
            return;
        }
    }
    stacks.push(Stack {
        slices,
        told_apart_by: told,
        unread: of_series.unread.to_owned(),
        torn: of_series.torn.clone(),
    });
}

/// Whether so many slices lie at so even distances that they are a stack.
fn lies_evenly(slices: &[Slice]) -> bool {
    let Some(first) = slices.first() else {
        return false;
    };
    let normal = first.place().normal_lps();
    let mut along: Vec<f64> = slices
        .iter()
        .map(|slice| dot(slice.place().position_lps, normal))
        .collect();
    along.sort_by(f64::total_cmp);
    slices.len() >= EVEN_SLICES && is_even(&along)
}

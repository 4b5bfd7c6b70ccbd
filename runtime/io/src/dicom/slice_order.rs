//! Sorts slices along the normal of their planes.

use std::sync::Arc;

use crate::dicom::compare::{Allowance, compare};
use crate::dicom::error::DicomError;
use crate::dicom::frame_header::{difference, dot};
use crate::dicom::near::Near;
use crate::dicom::slice::Slice;
use crate::dicom::stack_finding::StackFinding;

/// Slices whose positions differ by less are at one position.
pub(super) const SAME_MM: f64 = 1e-3;

/// The slices of a stack in order, one per position.
pub(super) struct SliceOrder {
    pub slices: Vec<Slice>,
    /// Number of copies that are left out.
    pub dropped: usize,
}

impl SliceOrder {
    /// Sorts slices along their normal and leaves out copies; the inner error is the reason why they are refused.
    pub fn of(
        slices: &[Slice],
        allowance: Allowance,
    ) -> Result<Result<Self, StackFinding>, DicomError> {
        let places = places(slices);
        let mut sorted: Vec<usize> = (0..slices.len()).collect();
        sorted.sort_by(|&a, &b| {
            let (one, other) = (&slices[a], &slices[b]);
            let by_file = || {
                if Arc::ptr_eq(&one.image, &other.image) {
                    return one.frame.cmp(&other.frame);
                }
                (one.path(), one.frame).cmp(&(other.path(), other.frame))
            };
            places[a].cmp(&places[b]).then_with(by_file)
        });
        let at_one_place = || sorted.chunk_by(|&a, &b| places[a] == places[b]);
        let several: Vec<Vec<&Slice>> = at_one_place()
            .filter(|place| place.len() > 1)
            .map(|place| place.iter().map(|&index| &slices[index]).collect())
            .collect();
        Ok(match compare(&several, allowance)? {
            Some(reason) => Err(reason),
            None => {
                let kept = at_one_place().map(|place| slices[place[0]].clone());
                let kept: Vec<Slice> = kept.collect();
                Ok(Self {
                    dropped: slices.len() - kept.len(),
                    slices: kept,
                })
            }
        })
    }
}

/// For each slice, the number of its position, from first to last along the normal of the first slice.
///
/// **Definition**: a position is that of its first slice along the normal; a slice nearer than [`SAME_MM`] to several
/// positions belongs to the last.
pub(super) fn places(slices: &[Slice]) -> Vec<u32> {
    let Some(first) = slices.first() else {
        return Vec::new();
    };
    let normal = first.place().normal_lps();
    let along: Vec<f64> = slices
        .iter()
        .map(|slice| dot(slice.place().position_lps, normal))
        .collect();
    let mut sorted: Vec<usize> = (0..slices.len()).collect();
    sorted.sort_by(|&a, &b| along[a].total_cmp(&along[b]));
    let mut places = vec![0; slices.len()];
    // For each position, the index of its first slice.
    let mut firsts: Vec<usize> = Vec::new();
    let mut near = Near::new(SAME_MM);
    for index in sorted {
        let position = slices[index].place().position_lps;
        let same = |place: &u32| {
            let offset = difference(
                slices[index].place(),
                slices[firsts[*place as usize]].place(),
            );
            dot(offset, offset).sqrt() < SAME_MM
        };
        places[index] = match near.around(position).filter(same).max() {
            Some(place) => place,
            None => {
                let place = firsts.len() as u32;
                firsts.push(index);
                near.insert(position, place);
                place
            }
        };
    }
    places
}

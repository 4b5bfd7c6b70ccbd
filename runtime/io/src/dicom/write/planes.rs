//! Iterates over the planes of a label map, a few at a time, and finds the segments in each.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Axis, s};
use rayon::prelude::*;

use crate::dicom::write::error::Unwritable;
use crate::dicom::write::grid::Planes;
use crate::dicom::write::segment::SegmentedMap;

/// Number of planes that are gathered at once; voxels of neighboring planes are adjacent in memory.
const BLOCK: usize = 16;

/// A few planes of a label map.
pub(super) struct PlaneBlock {
    pub planes: Range<usize>,
    columns: usize,
    /// Row by row, each of all planes.
    values: Vec<u16>,
}

impl PlaneBlock {
    /// The rows of a plane, by its number in the map.
    pub fn rows(&self, plane: usize) -> impl Iterator<Item = &[u16]> {
        let skipped = plane - self.planes.start;
        let rows = self.values.chunks(self.columns);
        rows.skip(skipped).step_by(self.planes.len())
    }
}

impl Planes<'_> {
    /// All planes, a few at a time.
    pub fn blocks(&self) -> impl Iterator<Item = PlaneBlock> {
        let (columns, count) = (self.columns(), self.count());
        (0..count).step_by(BLOCK).map(move |start| {
            let planes = start..(start + BLOCK).min(count);
            let mut values = vec![0; columns * self.rows() * planes.len()];
            let part = self.voxels.slice(s![.., .., planes.clone()]);
            let rows = values.par_chunks_mut(columns * planes.len());
            rows.enumerate().for_each(|(row, values)| {
                let part = part.index_axis(Axis(1), row);
                for (column, line) in part.outer_iter().enumerate() {
                    for (plane, value) in line.iter().enumerate() {
                        values[plane * columns + column] = *value;
                    }
                }
            });
            PlaneBlock {
                planes,
                columns,
                values,
            }
        })
    }
}

/// Maps values of the label map to segments.
pub(super) enum SegmentLookup {
    /// The segment of each value.
    Labels(Box<[Option<u16>]>),
    /// The segment of each bit.
    Regions([Option<u16>; 16]),
}

impl SegmentLookup {
    pub fn of(segmented: &SegmentedMap) -> Self {
        let segments = segmented.segments.iter().enumerate();
        if segmented.regions {
            let mut bits = [None; 16];
            for (index, segment) in segments {
                bits[segment.value.trailing_zeros() as usize % 16] = Some(index as u16);
            }
            Self::Regions(bits)
        } else {
            let mut labels = vec![None; 1 << 16].into_boxed_slice();
            for (index, segment) in segments {
                labels[usize::from(segment.value)] = Some(index as u16);
            }
            Self::Labels(labels)
        }
    }

    /// Calls `tell` with each segment of a value; returns `false` where part of the value has no segment.
    #[inline]
    pub fn each(&self, value: u16, mut tell: impl FnMut(u16)) -> bool {
        match self {
            _ if value == 0 => true,
            Self::Labels(labels) => match labels[usize::from(value)] {
                Some(segment) => {
                    tell(segment);
                    true
                }
                None => false,
            },
            Self::Regions(bits) => {
                let mut known = true;
                let mut rest = value;
                while rest != 0 {
                    match bits[rest.trailing_zeros() as usize] {
                        Some(segment) => tell(segment),
                        None => known = false,
                    }
                    rest &= rest - 1;
                }
                known
            }
        }
    }
}

/// The extent of a segment in a plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentExtent {
    pub segment: u16,
    /// Number of its voxels.
    pub voxels: u64,
    /// Columns in which they are.
    pub columns: Range<usize>,
    /// Rows in which they are.
    pub rows: Range<usize>,
}

impl SegmentExtent {
    /// An empty frame of a segment.
    pub fn nothing(segment: u16) -> Self {
        Self {
            segment,
            voxels: 0,
            columns: 0..0,
            rows: 0..0,
        }
    }
}

/// For each plane the segments that are in it, by their index.
pub(super) fn presence(
    planes: &Planes,
    segmented: &SegmentedMap,
    lookup: &SegmentLookup,
) -> Result<Vec<Vec<SegmentExtent>>, Unwritable> {
    let mut present = Vec::with_capacity(planes.count());
    let mut unknown: BTreeMap<u16, u64> = BTreeMap::new();
    for block in planes.blocks() {
        let found: Vec<_> = block
            .planes
            .clone()
            .into_par_iter()
            .map(|plane| in_plane(&block, plane, segmented.segments.len(), lookup))
            .collect();
        for (plane, strangers) in found {
            present.push(plane);
            for (value, voxels) in strangers {
                *unknown.entry(value).or_default() += voxels;
            }
        }
    }
    match unknown.into_iter().max_by_key(|(_, voxels)| *voxels) {
        Some((value, voxels)) => Err(Unwritable::Undescribed { value, voxels }),
        None => Ok(present),
    }
}

fn in_plane(
    block: &PlaneBlock,
    plane: usize,
    segments: usize,
    lookup: &SegmentLookup,
) -> (Vec<SegmentExtent>, BTreeMap<u16, u64>) {
    let mut found: Vec<Option<SegmentExtent>> = vec![None; segments];
    let mut unknown = BTreeMap::new();
    for (row, values) in block.rows(plane).enumerate() {
        for (column, value) in values.iter().enumerate() {
            let known = lookup.each(*value, |segment| {
                let present = found[usize::from(segment)].get_or_insert(SegmentExtent {
                    segment,
                    voxels: 0,
                    columns: column..column + 1,
                    rows: row..row + 1,
                });
                present.voxels += 1;
                present.columns.start = present.columns.start.min(column);
                present.columns.end = present.columns.end.max(column + 1);
                present.rows.end = row + 1;
            });
            if !known {
                *unknown.entry(*value).or_default() += 1;
            }
        }
    }
    (found.into_iter().flatten().collect(), unknown)
}

pub(super) fn voxels(present: &[Vec<SegmentExtent>], segments: usize) -> Vec<u64> {
    let mut voxels = vec![0; segments];
    for present in present.iter().flatten() {
        voxels[usize::from(present.segment)] += present.voxels;
    }
    voxels
}

//! From structure sets to label maps.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use serde::Serialize;
use vesal_io::dicom::{self, DicomScan, Region, Stack};
use vesal_volume::{Geometry, LabelMap};

use super::choice::StructureChoice;
use super::error::ConvertError;
use crate::error::Error;

/// Marks voxels of several labels during painting; larger than all label values.
const CONTESTED: u16 = 1 << 15;

/// The structure sets among the inputs.
#[derive(Debug, Default)]
pub struct Sets {
    /// Sets that were drawn on each stack.
    pub of_stacks: Vec<Vec<PathBuf>>,
    /// Sets that were drawn on none of the stacks.
    pub unassigned: Vec<PathBuf>,
    /// Sets that cannot be used.
    pub errors: Vec<(PathBuf, Error)>,
}

impl Sets {
    /// Finds the stacks that the structure sets of a scan were drawn on.
    pub fn read(scan: &DicomScan) -> Self {
        let mut sets = Self {
            of_stacks: vec![Vec::new(); scan.stacks.len()],
            ..Self::default()
        };
        for path in scan.structure_sets() {
            match stacks_of(path, &scan.stacks) {
                Ok(stacks) if stacks.is_empty() => sets.unassigned.push(path.to_owned()),
                Ok(stacks) => stacks
                    .into_iter()
                    .for_each(|stack| sets.of_stacks[stack].push(path.to_owned())),
                Err(error) => sets.errors.push((path.to_owned(), error)),
            }
        }
        sets
    }
}

fn stacks_of(set: &Path, stacks: &[Stack]) -> Result<Vec<usize>, Error> {
    let references = dicom::read_structure_references(set)?;
    let found = references.stacks(stacks);
    if let Some(&other) = found
        .iter()
        .find(|&&stack| !references.is_of_patient_of(&stacks[stack]))
    {
        return Err(ConvertError::OtherPatient {
            set: set.to_owned(),
            series: stacks[other].series().to_owned(),
        }
        .into());
    }
    if found.len() > 1 && references.series.is_empty() {
        return Err(ConvertError::Ambiguous {
            set: set.to_owned(),
            stacks: found.len(),
        }
        .into());
    }
    Ok(found)
}

/// A label map, with warnings.
#[derive(Debug)]
pub struct Painted {
    /// The labels on the grid of the image.
    pub map: LabelMap,
    pub labels: Vec<ConvertedLabel>,
    /// Voxels that structures of several labels enclose.
    pub overlapping_voxels: usize,
    pub warnings: Vec<String>,
}

/// A label painted from structures.
#[derive(Debug, Serialize)]
pub struct ConvertedLabel {
    value: u16,
    structures: usize,
    voxels: usize,
    /// Its volume in ml.
    pub ml: f64,
}

impl ConvertedLabel {
    /// The label as text.
    pub fn text(&self) -> String {
        format!("{} ({:.2} ml)", self.value, self.ml)
    }
}

/// A structure that was chosen.
struct Chosen<'a> {
    /// Index of the deciding pattern: the last one that matches.
    choice: usize,
    set: &'a Path,
    region: Region,
}

/// Paints the requested structures of these sets on the grid of a stack.
///
/// **Errors**: a set cannot be read, none of its structures was requested, or one does not lie in the slices.
pub fn paint(
    sets: &[PathBuf],
    choices: &[StructureChoice],
    stack: &Stack,
    grid: &Geometry,
) -> Result<Painted, Error> {
    let mut warnings = Vec::new();
    if sets.len() > 1 {
        let count = sets.len();
        warnings.push(format!(
            "structures of {count} structure sets are put together"
        ));
    }
    let chosen = choose(sets, choices, &mut warnings)?;
    let mut structures = vec![0; choices.len()];
    let mut data = Array3::<u16>::zeros(grid.shape);
    for Chosen {
        choice,
        set,
        region,
    } in chosen
    {
        let (set, number) = (set.to_owned(), region.number);
        let frames = (&region.frame_of_reference, stack.frame_of_reference());
        if let (Some(drawn), Some(stack)) = frames
            && drawn != stack
        {
            return Err(ConvertError::Elsewhere { set, number }.into());
        }
        let value = choices[choice].value;
        let mut enclosed = 0_usize;
        let mut drawn = Vec::new();
        let beyond = region.fill(grid, |z, rows, inside| {
            drawn.push(z);
            for ((x, y), _) in inside.indexed_iter().filter(|(_, inside)| **inside) {
                let voxel = &mut data[[x, rows.start + y, z]];
                let (before, mut mark) = (*voxel & !CONTESTED, *voxel & CONTESTED);
                if before != 0 && before != value {
                    mark = CONTESTED;
                }
                *voxel = value | mark;
                enclosed += 1;
            }
        });
        let beyond = beyond.map_err(|reason| ConvertError::Structure {
            set: set.clone(),
            number,
            reason,
        })?;
        structures[choice] += 1;
        let of = || format!("structure {number} of `{}`", set.display());
        if enclosed == 0 {
            warnings.push(format!("{} encloses no voxel", of()));
        }
        if let [first, .., last] = drawn[..]
            && last - first >= drawn.len()
        {
            let left_out = last - first + 1 - drawn.len();
            warnings.push(format!(
                "{} has no contour in slices between others: {left_out}",
                of()
            ));
        }
        if beyond > 0 {
            warnings.push(format!("{} has contours beyond the image: {beyond}", of()));
        }
    }
    let mut voxels = [0_usize; 256];
    let mut overlapping_voxels = 0;
    for voxel in &mut data {
        overlapping_voxels += usize::from(*voxel & CONTESTED != 0);
        *voxel &= !CONTESTED;
        voxels[usize::from(*voxel & 0xff)] += 1;
    }
    if overlapping_voxels > 0 {
        warnings.push(format!(
            "structures of several labels overlap, the later pattern wins: {overlapping_voxels} voxels"
        ));
    }
    let voxel_ml = grid.affine.determinant().abs() / 1000.0;
    let mut values: Vec<u16> = choices.iter().map(|choice| choice.value).collect();
    values.sort_unstable();
    values.dedup();
    let label = |value: u16| {
        let own = choices.iter().zip(&structures);
        let own = own.filter(|(choice, _)| choice.value == value);
        let voxels = voxels[usize::from(value)];
        ConvertedLabel {
            value,
            structures: own.map(|(_, count)| count).sum(),
            voxels,
            ml: voxels as f64 * voxel_ml,
        }
    };
    Ok(Painted {
        labels: values.into_iter().map(label).collect(),
        map: LabelMap {
            data,
            affine: grid.affine,
        },
        overlapping_voxels,
        warnings,
    })
}

/// Reads the requested structures, in the order of the patterns.
fn choose<'a>(
    sets: &'a [PathBuf],
    choices: &[StructureChoice],
    warnings: &mut Vec<String>,
) -> Result<Vec<Chosen<'a>>, Error> {
    let mut names = Vec::new();
    let mut chosen = Vec::new();
    for set in sets {
        let structures = dicom::read_structures(set)?;
        for region in structures.regions {
            names.push(region.name.clone());
            let choice = choices
                .iter()
                .rposition(|choice| choice.matches(&region.name));
            if let Some(choice) = choice {
                chosen.push(Chosen {
                    choice,
                    set,
                    region,
                });
            }
        }
    }
    if chosen.is_empty() {
        return Err(ConvertError::no_match(choices, names).into());
    }
    for choice in choices {
        if !names.iter().any(|name| choice.matches(name)) {
            warnings.push(format!("no structure matches `{}`", choice.pattern));
        }
    }
    chosen.sort_by_key(|chosen| chosen.choice);
    Ok(chosen)
}

//! Inverts preprocessing on a prediction plane by plane, while later planes are still being predicted.

mod place;
mod planes;

use std::collections::VecDeque;

use ndarray::{Array3, Array4, ArrayView4, Axis, s};
use rayon::prelude::*;

use self::place::{prepared_view, undone};
use self::planes::{labels_at, resample_to_labels, resampled};
use super::inverse::{BLOCK_VALUES, OFF_AXIS_TOLERANCE, at_step};
use super::{AppliedStep, AppliedTransforms, PreprocessError, Step};
use crate::postprocess::{Activation, LabelingError};
use crate::resample::PlaneSampler;
use crate::volume::LabelMap;

/// Takes probabilities on the input's grid: the input voxel at which a block begins, and the block, `[K, X, Y, Z]`. Voxels
/// of no block were cropped away; their probabilities are 0.
pub type BlockConsumer<'a> = dyn FnMut([usize; 3], ArrayView4<'_, f32>) + 'a;

/// Turns planes of probabilities on the prepared grid into labels on the input's grid, with the results of
/// [`AppliedTransforms::invert_to_labels`] and [`AppliedTransforms::invert_probabilities`] but without holding all
/// probabilities on either grid.
///
/// All planes are gathered first where steps that move planes follow the first resampling, or where resampling turns the
/// grid.
pub struct Inverter<'a> {
    transforms: &'a AppliedTransforms,
    classes: usize,
    labeling: Option<Labeling<'a>>,
    inversion: Inversion,
}

/// Labels that are picked on the input's grid.
struct Labeling<'a> {
    activation: Activation,
    values: &'a [u16],
    labels: LabelMap,
}

/// How a prepared plane is inverted.
enum Inversion {
    /// No resampling: the plane belongs to the grid after the first `steps` steps.
    Same { next: usize, steps: usize },
    /// Planes of that grid are interpolated between prepared ones.
    Resampled {
        sampler: PlaneSampler,
        steps: usize,
        to: [usize; 3],
        /// Prepared planes from `first` on, each `[K, Y, Z]`.
        planes: VecDeque<Array3<f32>>,
        first: usize,
        next: usize,
    },
    /// All planes have to be gathered.
    Gathered { all: Array4<f32>, next: usize },
}

impl<'a> Inverter<'a> {
    /// Starts without planes; `values[k]` is the label of class `k`.
    ///
    /// **Errors**: an affine cannot be used, or a table of labels is empty.
    pub fn new(
        transforms: &'a AppliedTransforms,
        activation: Activation,
        values: &'a [u16],
    ) -> Result<Self, PreprocessError> {
        let inversion = Inversion::new(transforms, values.len())?;
        // Gathered planes are labeled at the end.
        let shape = match inversion {
            Inversion::Gathered { .. } => [0; 3],
            _ => transforms.input.shape,
        };
        let outside = activation.outside(values);
        let labeling = Labeling {
            activation,
            values,
            labels: LabelMap {
                data: Array3::from_elem(shape, outside),
                affine: transforms.input.affine,
            },
        };
        Ok(Self {
            transforms,
            classes: values.len(),
            labeling: Some(labeling),
            inversion,
        })
    }

    /// Starts without planes, for values that are interpolated and handed over as blocks, but not labeled.
    ///
    /// **Errors**: an affine cannot be used.
    pub fn without_labels(
        transforms: &'a AppliedTransforms,
        classes: usize,
    ) -> Result<Self, PreprocessError> {
        Ok(Self {
            transforms,
            classes,
            labeling: None,
            inversion: Inversion::new(transforms, classes)?,
        })
    }

    /// Upper bound in bytes of the memory that inverting takes, labels included, for these steps, shapes of the input and of
    /// the prepared volume, and number of classes.
    pub fn bytes(steps: &[Step], input: [usize; 3], prepared: [usize; 3], classes: usize) -> u64 {
        let product = |shape: &[usize]| {
            shape
                .iter()
                .fold(1_u64, |product, &n| product.saturating_mul(n as u64))
        };
        let labels = product(&input).saturating_mul(size_of::<u16>() as u64);
        let value = size_of::<f32>() as u64;
        let resampling = steps
            .iter()
            .position(|step| matches!(step, Step::Resample { .. }));
        let after = resampling.map_or(&[][..], |index| &steps[index + 1..]);
        if !after.iter().all(keeps_planes) {
            let all = product(&[classes]).saturating_mul(product(&prepared));
            return labels
                .saturating_mul(2)
                .saturating_add(all.saturating_mul(2).saturating_mul(value))
                .saturating_add((BLOCK_VALUES as u64).saturating_mul(value));
        }
        // Reorientation may put any two axes into a plane.
        let [mut x, mut y, mut z] = input;
        if x > y {
            std::mem::swap(&mut x, &mut y);
        }
        if x > z {
            std::mem::swap(&mut x, &mut z);
        }
        let plane = product(&[classes, y, z]);
        let block = plane.saturating_mul(planes_at_once(classes, [x, y, z]) as u64);
        let waiting = product(&[classes, prepared[1], prepared[2]])
            .saturating_mul(planes_at_once(classes, [x, y, z]) as u64 + 2);
        labels.saturating_add(block.saturating_add(waiting).saturating_mul(value))
    }

    /// Takes the next prepared plane, `[K, Y, Z]`; probabilities that can be inverted now are passed to `take`.
    ///
    /// **Errors**: a plane of another shape or more of them than the prepared grid has, or probabilities that are NaN.
    pub fn push(
        &mut self,
        plane: Array3<f32>,
        take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<(), PreprocessError> {
        let expected = self.transforms.prepared.shape;
        let (classes, y, z) = plane.dim();
        let found = [self.pushed() + 1, y, z];
        if found[0] > expected[0] || found[1..] != expected[1..] {
            return Err(PreprocessError::PredictionShape { found, expected });
        }
        if classes != self.classes {
            let values = self.classes;
            return Err(LabelingError::Table { values, classes }.into());
        }
        match &mut self.inversion {
            Inversion::Same { next, steps } => {
                let (x, steps) = (*next, *steps);
                *next += 1;
                let block = plane.view().insert_axis(Axis(1));
                self.place(x, steps, block, take)
            }
            Inversion::Resampled { planes, .. } => {
                planes.push_back(match plane.is_standard_layout() {
                    true => plane,
                    false => plane.as_standard_layout().into_owned(),
                });
                self.invert(false, take)
            }
            Inversion::Gathered { all, next } => {
                all.slice_mut(s![.., *next, .., ..]).assign(&plane);
                *next += 1;
                Ok(())
            }
        }
    }

    /// Takes the next prepared planes, as [`Self::push`] takes one, and labels them in parallel where nothing is resampled.
    ///
    /// **Errors**: those of [`Self::push`].
    pub fn push_all(
        &mut self,
        planes: Vec<Array3<f32>>,
        mut take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<(), PreprocessError> {
        let several = planes.len() > 1;
        let labeling = self.labeling.as_ref();
        let labeling = labeling.map(|labeling| (labeling.activation, labeling.values));
        let (Inversion::Same { next, steps }, Some((activation, values))) =
            (&mut self.inversion, labeling)
        else {
            for plane in planes {
                self.push(plane, take.as_deref_mut())?;
            }
            return Ok(());
        };
        let (first, steps) = (*next, *steps);
        let shape = self.transforms.prepared.shape;
        let fits = |plane: &Array3<f32>| {
            let (classes, y, z) = plane.dim();
            classes == self.classes && [y, z] == shape[1..]
        };
        if !several || first + planes.len() > shape[0] || !planes.iter().all(fits) {
            for plane in planes {
                self.push(plane, take.as_deref_mut())?;
            }
            return Ok(());
        }
        *next += planes.len();
        let label = |(index, plane): (usize, &Array3<f32>)| {
            let block = plane.view().insert_axis(Axis(1));
            labels_at(first + index, activation, block, values)
        };
        let labels: Result<Vec<_>, _> = planes.par_iter().enumerate().map(label).collect();
        for (index, (labels, plane)) in labels?.iter().zip(&planes).enumerate() {
            let block = plane.view().insert_axis(Axis(1));
            let take = take.as_deref_mut();
            self.put(first + index, steps, labels, block, take);
        }
        Ok(())
    }

    /// Returns the labels once all prepared planes were pushed; a map without voxels where none are picked.
    ///
    /// **Errors**: probabilities that are not numbers, or fewer planes than the prepared grid has.
    pub fn finish(
        mut self,
        take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<LabelMap, PreprocessError> {
        let expected = self.transforms.prepared.shape;
        if self.pushed() != expected[0] {
            let found = [self.pushed(), expected[1], expected[2]];
            return Err(PreprocessError::PredictionShape { found, expected });
        }
        if let Inversion::Gathered { all, .. } = self.inversion {
            let transforms = self.transforms;
            let labels = self.labeling.map(|labeling| {
                transforms.invert_to_labels(all.view(), labeling.activation, labeling.values)
            });
            let labels = labels.transpose()?;
            if let Some(take) = take {
                take([0; 3], transforms.invert_probabilities(all)?.data.view());
            }
            return Ok(labels.unwrap_or_else(|| transforms.no_labels()));
        }
        self.invert(true, take)?;
        let labels = self.labeling.map(|labeling| labeling.labels);
        Ok(labels.unwrap_or_else(|| self.transforms.no_labels()))
    }

    /// Prepared planes taken so far.
    fn pushed(&self) -> usize {
        match &self.inversion {
            Inversion::Same { next, .. } | Inversion::Gathered { next, .. } => *next,
            Inversion::Resampled { planes, first, .. } => first + planes.len(),
        }
    }

    /// Inverts the planes between the available prepared ones: a full block, or all that are left.
    fn invert(
        &mut self,
        all: bool,
        mut take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<(), PreprocessError> {
        loop {
            let Inversion::Resampled {
                sampler,
                steps,
                to,
                planes,
                first,
                next,
            } = &mut self.inversion
            else {
                return Ok(());
            };
            let at_once = planes_at_once(self.classes, *to);
            let end = *first + planes.len();
            let ready = (*next..to[0])
                .take(at_once)
                .take_while(|&x| sampler.neighbors(x)[1] < end)
                .count();
            if ready == 0 || !all && ready < at_once {
                return Ok(());
            }
            let (start, steps) = (*next, *steps);
            let block = match (&take, &mut self.labeling) {
                // No block of probabilities is needed for labels alone.
                (None, Some(labeling)) => {
                    let Labeling {
                        activation,
                        values,
                        labels,
                    } = labeling;
                    let labels =
                        prepared_view(labels.data.view_mut(), &self.transforms.steps[..steps]);
                    let labels = labels.slice_move(s![start..start + ready, .., ..]);
                    let plane =
                        |x: usize| planes.get(x - *first).and_then(|plane| plane.as_slice());
                    let label = |classes: &[&[f32]], labels: &mut [u16]| {
                        activation.label_row(classes, values, labels)
                    };
                    resample_to_labels(sampler, plane, start, labels, label)?;
                    Array4::default([0; 4])
                }
                _ => resampled(sampler, planes, *first, *to, start..start + ready),
            };
            *next += ready;
            let needed = if *next < to[0] {
                sampler.neighbors(*next)[0]
            } else {
                end
            };
            while *first < needed.min(end) && planes.pop_front().is_some() {
                *first += 1;
            }
            if take.is_some() {
                self.place(start, steps, block.view(), take.as_deref_mut())?;
            }
        }
    }

    /// Labels a block of planes that begins at `x`, and stores it at its place before the first `steps` steps.
    fn place(
        &mut self,
        x: usize,
        steps: usize,
        block: ArrayView4<'_, f32>,
        take: Option<&mut BlockConsumer<'_>>,
    ) -> Result<(), PreprocessError> {
        if let Some(labeling) = &self.labeling {
            let labels = labels_at(x, labeling.activation, block, labeling.values)?;
            self.put(x, steps, &labels, block, take);
        } else if let Some(take) = take {
            let (start, block) = undone(&self.transforms.steps[..steps], [x, 0, 0], block);
            take(start, block);
        }
        Ok(())
    }

    /// Stores the labels of a block that begins at `x` at their place before the first `steps` steps.
    fn put(
        &mut self,
        x: usize,
        steps: usize,
        labels: &Array3<u16>,
        block: ArrayView4<'_, f32>,
        take: Option<&mut BlockConsumer<'_>>,
    ) {
        let steps = &self.transforms.steps[..steps];
        let planes = labels.dim().0;
        if let Some(labeling) = &mut self.labeling {
            let mut to = prepared_view(labeling.labels.data.view_mut(), steps);
            to.slice_mut(s![x..x + planes, .., ..]).assign(labels);
        }
        if let Some(take) = take {
            let (start, block) = undone(steps, [x, 0, 0], block);
            take(start, block);
        }
    }
}

impl Inversion {
    fn new(transforms: &AppliedTransforms, classes: usize) -> Result<Self, PreprocessError> {
        let [x, y, z] = transforms.prepared.shape;
        let gathered = || Self::Gathered {
            all: Array4::zeros((classes, x, y, z)),
            next: 0,
        };
        let Some((index, from, to)) = transforms.first_resampling()? else {
            return Ok(Self::Same {
                next: 0,
                steps: transforms.steps.len(),
            });
        };
        let same_planes = transforms.steps[index + 1..].iter().all(|step| {
            matches!(
                step,
                AppliedStep::ResampleToMatch | AppliedStep::Normalize { .. }
            )
        });
        if !same_planes {
            return Ok(gathered());
        }
        let sampler = PlaneSampler::new(&from, &to, OFF_AXIS_TOLERANCE);
        let Some(sampler) = sampler.map_err(|source| at_step(index, source))? else {
            return Ok(gathered());
        };
        let in_order = (1..to.shape[0]).all(|x| sampler.neighbors(x - 1) <= sampler.neighbors(x));
        if !in_order {
            return Ok(gathered());
        }
        Ok(Self::Resampled {
            sampler,
            steps: index,
            to: to.shape,
            planes: VecDeque::new(),
            first: 0,
            next: 0,
        })
    }
}

/// Whether undoing a step keeps planes along X as they are.
fn keeps_planes(step: &Step) -> bool {
    matches!(step, Step::ResampleToMatch { .. } | Step::Normalize { .. })
}

/// Planes `[K, Y, Z]` that are inverted at once: enough for all threads, within [`BLOCK_VALUES`].
fn planes_at_once(classes: usize, [_, y, z]: [usize; 3]) -> usize {
    let fitting = BLOCK_VALUES / classes.saturating_mul(y).saturating_mul(z).max(1);
    fitting.clamp(1, 2 * rayon::current_num_threads())
}

impl AppliedTransforms {
    fn no_labels(&self) -> LabelMap {
        LabelMap {
            data: Array3::default([0; 3]),
            affine: self.input.affine,
        }
    }
}

//! From outputs of a network to probabilities and labels.

use ndarray::{Array3, ArrayView4, ArrayViewMut3, ArrayViewMut4, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::labeling::{LabelingError, argmax, argmax_labels, mark_regions, region_labels};
use super::softmax::softmax_slab;

/// How logits become probabilities, and probabilities labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Classes exclude each other: softmax, then argmax; class 0 is background.
    Softmax,
    /// Classes are regions that may overlap: sigmoid, then every region that is more probable than not.
    Sigmoid,
}

impl Activation {
    /// Turns logits into probabilities, in place.
    ///
    /// **Shapes**: `[K, X, Y, Z]`.
    ///
    /// **Definition**: `exp(l - max(l)) / sum(exp(l - max(l)))` over K, or `1 / (1 + exp(-l))`, in `f32`. A voxel with a
    /// NaN or an infinite maximum gets NaN in every class of a softmax.
    ///
    /// ```
    /// use ndarray::array;
    /// use vesal_volume::postprocess::Activation;
    ///
    /// let mut values = array![[[[0.0f32, 200.0]]], [[[0.0, -200.0]]]];
    /// Activation::Sigmoid.probabilities_in_place(values.view_mut());
    /// assert_eq!(values, array![[[[0.5, 1.0]]], [[[0.5, 0.0]]]]);
    ///
    /// let mut values = array![[[[0.0f32, 200.0]]], [[[0.0, -200.0]]]];
    /// Activation::Softmax.probabilities_in_place(values.view_mut());
    /// assert_eq!(values, array![[[[0.5, 1.0]]], [[[0.5, 0.0]]]]);
    /// ```
    pub fn probabilities_in_place(self, mut logits: ArrayViewMut4<'_, f32>) {
        let slabs: Vec<_> = logits.axis_iter_mut(Axis(1)).collect();
        slabs
            .into_par_iter()
            .for_each(|slab| self.probabilities_of_slab(slab));
    }

    /// The same for one X position, `[K, Y, Z]`.
    pub(super) fn probabilities_of_slab(self, mut slab: ArrayViewMut3<'_, f32>) {
        match self {
            Self::Softmax => softmax_slab(slab),
            Self::Sigmoid => slab.mapv_inplace(|logit| 1.0 / (1.0 + (-logit).exp())),
        }
    }

    /// Labels every voxel: [`argmax_labels`] or [`region_labels`].
    ///
    /// **Shapes**: `[K, X, Y, Z]` → `[X, Y, Z]`; `values[k]` is the label of class `k`.
    ///
    /// **Errors**: [`LabelingError`].
    pub fn labels(
        self,
        probabilities: ArrayView4<'_, f32>,
        values: &[u16],
    ) -> Result<Array3<u16>, LabelingError> {
        match self {
            Self::Softmax => argmax_labels(probabilities, values),
            Self::Sigmoid => region_labels(probabilities, values),
        }
    }

    /// Probability of each of this many classes where all logits are 0.
    pub fn of_zero(self, classes: usize) -> f32 {
        match self {
            Self::Softmax => 1.0 / classes as f32,
            Self::Sigmoid => 0.5,
        }
    }

    /// Labels a row of voxels as [`Self::labels`] does: one slice per class, of which there are as many as values.
    ///
    /// **Errors**: the position and the class of the first NaN.
    pub(crate) fn label_row(
        self,
        classes: &[&[f32]],
        values: &[u16],
        labels: &mut [u16],
    ) -> Result<(), (usize, usize)> {
        let nan = match self {
            Self::Softmax => argmax(classes, values, labels),
            Self::Sigmoid => mark_regions(classes, values, labels),
        };
        if !nan {
            return Ok(());
        }
        let first = (0..labels.len()).find_map(|z| {
            let class = classes.iter().position(|class| class[z].is_nan())?;
            Some((z, class))
        });
        first.map_or(Ok(()), Err)
    }

    /// Label of voxels that were cropped away.
    pub fn outside(self, values: &[u16]) -> u16 {
        match self {
            Self::Softmax => values.first().copied().unwrap_or(0),
            Self::Sigmoid => 0,
        }
    }
}

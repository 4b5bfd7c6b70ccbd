//! Shapes of the tensors of a state dict.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::ArchitectureError;

/// Tensor shapes by parameter path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shapes<'a>(BTreeMap<&'a str, Vec<usize>>);

impl<'a> FromIterator<(&'a str, Vec<usize>)> for Shapes<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, Vec<usize>)>>(shapes: I) -> Self {
        Self(shapes.into_iter().collect())
    }
}

impl<'a> Shapes<'a> {
    pub fn insert(&mut self, tensor: &'a str, shape: Vec<usize>) {
        self.0.insert(tensor, shape);
    }

    /// The same with 2-D convolutions `[K, C, X, Y]` as 3-D ones of one voxel along Z.
    pub fn in_three_dimensions(&self) -> Self {
        let shapes = self.0.iter().map(|(&tensor, shape)| {
            let planar = shape.len() == 4;
            let last = planar.then_some(1);
            (tensor, shape.iter().copied().chain(last).collect())
        });
        shapes.collect()
    }

    pub fn contains(&self, tensor: &str) -> bool {
        self.0.contains_key(tensor)
    }

    /// The first name; an empty one without tensors.
    pub(crate) fn first(&self) -> &str {
        self.0.keys().next().copied().unwrap_or_default()
    }

    /// Shape of a tensor, if there is one of this name.
    pub fn get(&self, tensor: &str) -> Option<&[usize]> {
        self.0.get(tensor).map(Vec::as_slice)
    }

    /// Whether there is a tensor whose name starts so.
    pub fn starts_with(&self, prefix: &str) -> bool {
        let mut from = self.0.range(prefix..);
        from.next()
            .is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// Shape of the weight of a 3-D convolution, `[K, C, X, Y, Z]`.
    ///
    /// **Errors**: there is no such tensor, or its shape is another.
    pub fn convolution(
        &self,
        tensor: &str,
        family: &'static str,
    ) -> Result<[usize; 5], ArchitectureError> {
        let found = self
            .0
            .get(tensor)
            .ok_or_else(|| ArchitectureError::Missing {
                tensor: tensor.into(),
                family,
            })?;
        <[usize; 5]>::try_from(found.as_slice())
            .ok()
            .filter(|shape| !shape.contains(&0))
            .ok_or_else(|| ArchitectureError::NoConvolution {
                tensor: tensor.into(),
                found: found.clone(),
            })
    }

    /// Checks that there is every one of these tensors, with its shape.
    ///
    /// **Errors**: the first that is missing or has another shape.
    pub fn check_all(
        &self,
        tensors: Vec<(String, Vec<usize>)>,
        family: &'static str,
    ) -> Result<(), ArchitectureError> {
        for (tensor, expected) in tensors {
            match self.get(&tensor) {
                None => return Err(ArchitectureError::Missing { tensor, family }),
                Some(found) if found != expected => {
                    return Err(ArchitectureError::Shape {
                        found: found.to_vec(),
                        tensor,
                        expected,
                    });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Number of different indices that follow a prefix: 0, 1, … without a gap.
    pub fn members(&self, prefix: &str) -> usize {
        let indices: BTreeSet<usize> = self
            .0
            .range(prefix..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter_map(|(name, _)| name[prefix.len()..].split('.').next()?.parse().ok())
            .collect();
        (0..).take_while(|index| indices.contains(index)).count()
    }
}

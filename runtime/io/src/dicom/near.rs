//! Finds near points without comparing all pairs.

use std::collections::HashMap;

/// Points in cubic cells, whose edges are twice the distance within which neighbors are found.
pub(super) struct Near<const N: usize> {
    edge: f64,
    cells: HashMap<[i64; N], Vec<u32>>,
}

impl<const N: usize> Near<N> {
    /// An empty set whose points are found within `reach` along every axis.
    pub fn new(reach: f64) -> Self {
        // Slightly larger than needed, because of rounding.
        Self {
            edge: 2.02 * reach,
            cells: HashMap::new(),
        }
    }

    pub fn insert(&mut self, at: [f64; N], index: u32) {
        let cell = at.map(|along| (along / self.edge).floor() as i64);
        self.cells.entry(cell).or_default().push(index);
    }

    /// Indices of every point within reach, and of some beyond.
    pub fn around(&self, at: [f64; N]) -> impl Iterator<Item = u32> {
        let along = at.map(|along| along / self.edge);
        // The nearer of the two neighbors along each axis; the other is out of reach.
        let sides = along.map(|along| if along - along.floor() < 0.5 { -1 } else { 1 });
        (0..1_usize << N)
            .filter_map(move |corner| {
                let cell = std::array::from_fn(|axis| {
                    let aside = if corner >> axis & 1 == 1 {
                        sides[axis]
                    } else {
                        0
                    };
                    (along[axis].floor() as i64).saturating_add(aside)
                });
                self.cells.get(&cell)
            })
            .flatten()
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_are_found_across_the_borders_of_cells() {
        let mut near = Near::<2>::new(1.0);
        let mut points = Vec::new();
        for x in -30..30 {
            for y in -30..30 {
                points.push([f64::from(x) * 0.37, f64::from(y) * 0.53]);
            }
        }
        for (index, point) in points.iter().enumerate() {
            near.insert(*point, index as u32);
        }
        for point in &points {
            let mut found: Vec<u32> = near.around(*point).collect();
            found.sort_unstable();
            for (index, other) in points.iter().enumerate() {
                let within = (0..2).all(|axis| (point[axis] - other[axis]).abs() <= 1.0);
                let is_found = found.binary_search(&(index as u32)).is_ok();
                assert!(!within || is_found, "{point:?} {other:?}");
            }
            assert!(found.len() <= 4 * 6 * 5, "{}", found.len());
        }
    }
}

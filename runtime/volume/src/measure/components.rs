//! Connected components of labels.

use ndarray::ArrayView3;

/// A connected part of the voxels of one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// Its label; 0 is background.
    pub label: u16,
    /// Number of voxels.
    pub voxels: usize,
    /// First voxel of its bounding box.
    pub start: [usize; 3],
    /// One past the last voxel of its bounding box.
    pub end: [usize; 3],
}

impl Component {
    /// Shape of the bounding box in voxels.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.end[axis] - self.start[axis])
    }

    fn add(&mut self, other: &Self) {
        self.voxels += other.voxels;
        for axis in 0..3 {
            self.start[axis] = self.start[axis].min(other.start[axis]);
            self.end[axis] = self.end[axis].max(other.end[axis]);
        }
    }
}

/// Voxels of one label that follow each other along the last axis.
#[derive(Debug, Clone, Copy)]
struct Run {
    label: u16,
    start: usize,
    end: usize,
    part: usize,
}

/// The runs of a slab, row by row.
#[derive(Debug, Default)]
struct Slab {
    runs: Vec<Run>,
    /// Where each row ends in `runs`.
    ends: Vec<usize>,
}

impl Slab {
    /// The runs of a row; none where there is no such row.
    fn row(&self, row: Option<usize>) -> &[Run] {
        let Some(&end) = row.and_then(|row| self.ends.get(row)) else {
            return &[];
        };
        let before = row.and_then(|row| row.checked_sub(1));
        &self.runs[before.map_or(0, |row| self.ends[row])..end]
    }
}

/// Union-find over parts of components.
#[derive(Debug, Default)]
struct Forest {
    parts: Vec<Component>,
    parent: Vec<usize>,
}

impl Forest {
    fn plant(&mut self, part: Component) -> usize {
        self.parts.push(part);
        self.parent.push(self.parent.len());
        self.parent.len() - 1
    }

    fn root(&mut self, mut part: usize) -> usize {
        while self.parent[part] != part {
            self.parent[part] = self.parent[self.parent[part]];
            part = self.parent[part];
        }
        part
    }

    /// The earlier root stays, so that components keep the order of their first voxels.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// Finds the connected components of every label, background included: voxels that share a face, an edge or a corner
/// belong together.
///
/// In time and memory linear in the number of runs, of which two slabs are held at once.
///
/// **Shapes and units**: label map `[X, Y, Z]`; boxes in voxels. Ordered by label, then by the first voxel in C order.
///
/// **Source**: He, Chao, Suzuki 2008, union-find over runs. Numbering and connectivity are those of scikit-image's
/// `label` on the mask of each label.
///
/// ```
/// # use ndarray::array;
/// # use vesal_volume::measure::components;
/// let map = array![[[3_u16, 0, 3], [0, 3, 0]]];
/// let found = components(map.view());
/// assert_eq!(found.iter().map(|part| (part.label, part.voxels)).collect::<Vec<_>>(), [(0, 3), (3, 3)]);
/// assert_eq!(found[1].shape(), [1, 2, 3]);
/// ```
pub fn components(map: ArrayView3<'_, u16>) -> Vec<Component> {
    let mut forest = Forest::default();
    let mut before = Slab::default();
    for (x, plane) in map.outer_iter().enumerate() {
        let mut slab = Slab::default();
        for (y, row) in plane.outer_iter().enumerate() {
            let first = slab.runs.len();
            let mut start = 0;
            for z in 1..=row.len() {
                if z == row.len() || row[z] != row[start] {
                    let part = forest.plant(Component {
                        label: row[start],
                        voxels: z - start,
                        start: [x, y, start],
                        end: [x + 1, y + 1, z],
                    });
                    slab.runs.push(Run {
                        label: row[start],
                        start,
                        end: z,
                        part,
                    });
                    start = z;
                }
            }
            let here = &slab.runs[first..];
            for row in [y.checked_sub(1), Some(y), Some(y + 1)] {
                touch(here, before.row(row), &mut forest);
            }
            touch(here, slab.row(y.checked_sub(1)), &mut forest);
            slab.ends.push(slab.runs.len());
        }
        before = slab;
    }
    gather(forest)
}

/// Joins the runs of a row with those of a row beside it.
fn touch(row: &[Run], beside: &[Run], forest: &mut Forest) {
    let mut first = 0;
    for run in row {
        while beside.get(first).is_some_and(|other| other.end < run.start) {
            first += 1;
        }
        for other in &beside[first..] {
            if other.start > run.end {
                break;
            }
            if other.label == run.label {
                forest.join(run.part, other.part);
            }
        }
    }
}

fn gather(mut forest: Forest) -> Vec<Component> {
    for part in 0..forest.parts.len() {
        let root = forest.root(part);
        if root != part {
            let part = forest.parts[part];
            forest.parts[root].add(&part);
        }
    }
    let mut components: Vec<_> = (0..forest.parts.len())
        .filter(|&part| forest.parent[part] == part)
        .map(|part| forest.parts[part])
        .collect();
    components.sort_by_key(|component| component.label);
    components
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    /// Flood fill, voxel by voxel.
    fn flooded(map: &Array3<u16>) -> Vec<Component> {
        let (nx, ny, nz) = map.dim();
        let mut seen = Array3::from_elem(map.dim(), false);
        let mut found = Vec::new();
        for (at, &label) in map.indexed_iter() {
            let mut stack = vec![at];
            let mut component: Option<Component> = None;
            while let Some((x, y, z)) = stack.pop() {
                if seen[(x, y, z)] || map[(x, y, z)] != label {
                    continue;
                }
                seen[(x, y, z)] = true;
                let voxel = Component {
                    label,
                    voxels: 1,
                    start: [x, y, z],
                    end: [x + 1, y + 1, z + 1],
                };
                match &mut component {
                    None => component = Some(voxel),
                    Some(component) => component.add(&voxel),
                }
                for i in x.saturating_sub(1)..(x + 2).min(nx) {
                    for j in y.saturating_sub(1)..(y + 2).min(ny) {
                        for k in z.saturating_sub(1)..(z + 2).min(nz) {
                            stack.push((i, j, k));
                        }
                    }
                }
            }
            found.extend(component);
        }
        found.sort_by_key(|component| component.label);
        found
    }

    #[test]
    fn agrees_with_flood_fill_on_noise() {
        let mut state = 1_u32;
        for (shape, labels) in [
            ((7, 6, 9), 2),
            ((5, 8, 7), 3),
            ((1, 1, 30), 4),
            ((9, 9, 9), 8),
        ] {
            for _ in 0..10 {
                let map = Array3::from_shape_fn(shape, |_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u16 % labels
                });
                assert_eq!(components(map.view()), flooded(&map));
            }
        }
    }

    #[test]
    fn corners_connect_and_labels_do_not_mix() {
        let mut map = Array3::<u16>::zeros((6, 6, 6));
        map.slice_mut(ndarray::s![1..3, 1..3, 1..3]).fill(5);
        map[[3, 3, 3]] = 5;
        map[[5, 5, 5]] = 5;
        map[[4, 4, 4]] = 2;
        let found = components(map.view());
        let shapes: Vec<_> = found
            .iter()
            .map(|part| (part.label, part.shape(), part.voxels))
            .collect();
        assert_eq!(
            shapes,
            [
                (0, [6, 6, 6], 216 - 11),
                (2, [1, 1, 1], 1),
                (5, [3, 3, 3], 9),
                (5, [1, 1, 1], 1)
            ]
        );
        assert_eq!(components(Array3::zeros((0, 3, 3)).view()), []);
    }
}

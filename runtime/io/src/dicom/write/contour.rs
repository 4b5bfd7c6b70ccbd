//! Outlines of masks along the edges of their pixels.

/// A corner of pixels: column and row from 0, half a pixel before the centers of that column and row.
pub(super) type Corner = [u16; 2];

/// A mask of columns and rows, row by row.
pub(super) struct Mask {
    pub columns: usize,
    pub rows: usize,
    pub pixels: Vec<bool>,
}

impl Mask {
    fn at(&self, column: isize, row: isize) -> bool {
        let inside =
            (0..self.columns as isize).contains(&column) && (0..self.rows as isize).contains(&row);
        inside && self.pixels[row as usize * self.columns + column as usize]
    }
}

/// Directions of a border, clockwise as rows grow downward: right, down, left, up.
const STEPS: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/// Outlines a mask: closed polygons along pixel borders that enclose exactly its pixels.
///
/// **Definition**: pixels are connected by their sides, so no polygon touches itself at a corner. A hole is joined to
/// its outline by a channel of zero width along the border of two rows, and runs against the outline's direction, so
/// that readers that fill by parity, by winding or polygon by polygon all get the hole. Corners on a straight line are
/// left out.
///
/// **Source**: PS3.3 C.8.8.6.3, inner and outer contours by the keyhole technique.
pub(super) fn outlines(mask: &Mask) -> Vec<Vec<Corner>> {
    let loops = Loops::of(mask);
    let mut joined: Vec<Vec<(usize, usize)>> = vec![Vec::new(); loops.paths.len()];
    let mut outer = Vec::new();
    for (index, path) in loops.paths.iter().enumerate() {
        // A hole begins at the top of its left border; all pixels between it and the next border to the left are mask.
        if !path.is_hole {
            outer.push(index);
            continue;
        }
        let [column, row] = path.corners[0];
        let met = (0..column)
            .rev()
            .find_map(|column| loops.at(mask, [column, row]));
        if let Some((parent, place)) = met {
            joined[parent].push((place, index));
        }
    }
    for joints in &mut joined {
        joints.sort_unstable();
    }
    outer
        .into_iter()
        .map(|index| straightened(&loops.with_holes(index, &joined)))
        .collect()
}

struct Path {
    /// The corners of the border.
    corners: Vec<Corner>,
    is_hole: bool,
}

struct Loops {
    paths: Vec<Path>,
    /// For each corner and the direction in which a border leaves it: path and index in it.
    passed: Vec<Option<(u32, u32)>>,
}

impl Loops {
    fn of(mask: &Mask) -> Self {
        let corners = (mask.columns + 1) * (mask.rows + 1);
        let mut loops = Self {
            paths: Vec::new(),
            passed: vec![None; corners * 4],
        };
        for row in 0..mask.rows as isize {
            for column in 0..mask.columns as isize {
                // The mask lies to the right of its border, which runs rightward above some pixel.
                if mask.at(column, row) && !mask.at(column, row - 1) {
                    loops.follow(mask, [column, row]);
                }
            }
        }
        loops
    }

    fn slot(mask: &Mask, [column, row]: [isize; 2], direction: usize) -> usize {
        (row as usize * (mask.columns + 1) + column as usize) * 4 + direction
    }

    /// Follows the border that leaves a corner to the right, unless it was followed before.
    fn follow(&mut self, mask: &Mask, start: [isize; 2]) {
        if self.passed[Self::slot(mask, start, 0)].is_some() {
            return;
        }
        let path = self.paths.len() as u32;
        let mut corners: Vec<Corner> = Vec::new();
        let (mut at, mut heading) = (start, 0);
        let mut twice_area = 0;
        loop {
            let slot = Self::slot(mask, at, heading);
            if self.passed[slot].is_some() {
                break;
            }
            self.passed[slot] = Some((path, corners.len() as u32));
            corners.push(at.map(|part| part as u16));
            let [dx, dy] = STEPS[heading];
            twice_area += at[0] * dy - at[1] * dx;
            at = [at[0] + dx, at[1] + dy];
            // The pixels ahead, to the left and to the right.
            let left = ahead(at, heading, false);
            let right = ahead(at, heading, true);
            heading = match (mask.at(left[0], left[1]), mask.at(right[0], right[1])) {
                // Pixels that touch at a corner only are separate.
                (_, false) => (heading + 1) % 4,
                (false, true) => heading,
                (true, true) => (heading + 3) % 4,
            };
        }
        let is_hole = twice_area < 0;
        if is_hole {
            // The leftmost corner, the topmost of these.
            let first = corners
                .iter()
                .enumerate()
                .min_by_key(|(_, corner)| **corner);
            let first = first.map_or(0, |(place, _)| place);
            corners.rotate_left(first);
            for (place, corner) in corners.iter().enumerate() {
                let slot = Self::slot(mask, corner.map(|part| part as isize), 0);
                for slot in &mut self.passed[slot..slot + 4] {
                    if let Some((passed, old)) = slot
                        && *passed == path
                    {
                        *old = place as u32;
                    }
                }
            }
        }
        self.paths.push(Path { corners, is_hole });
    }

    /// The path through a corner, and the index in it.
    fn at(&self, mask: &Mask, corner: Corner) -> Option<(usize, usize)> {
        let slot = Self::slot(mask, corner.map(|part| part as isize), 0);
        let (path, place) = self.passed[slot..slot + 4].iter().flatten().next()?;
        Some((*path as usize, *place as usize))
    }

    /// A path with all paths that are joined to it; without recursion, because holes may be joined to holes.
    fn with_holes(&self, index: usize, joined: &[Vec<(usize, usize)>]) -> Vec<Corner> {
        let mut corners = Vec::new();
        // Path, place, and the next of its joints.
        let mut open = vec![(index, 0, 0)];
        while let Some((index, place, joint)) = open.pop() {
            let path = &self.paths[index].corners;
            let Some(&corner) = path.get(place) else {
                // A hole ends where it began, and the channel leads back.
                if let Some(&(parent, at, _)) = open.last() {
                    corners.push(path[0]);
                    corners.push(self.paths[parent].corners[at]);
                }
                continue;
            };
            match joined[index].get(joint) {
                Some(&(at, hole)) if at == place => {
                    if joint == 0 || joined[index][joint - 1].0 != place {
                        corners.push(corner);
                    }
                    open.push((index, place, joint + 1));
                    open.push((hole, 0, 0));
                }
                _ => {
                    let pushed = joint > 0 && joined[index][joint - 1].0 == place;
                    if !pushed {
                        corners.push(corner);
                    }
                    open.push((index, place + 1, joint));
                }
            }
        }
        corners
    }
}

/// The pixel ahead of a corner, at the left or right hand.
fn ahead([column, row]: [isize; 2], heading: usize, right: bool) -> [isize; 2] {
    match (heading, right) {
        (0, true) | (1, false) => [column, row],
        (0, false) | (3, true) => [column, row - 1],
        (1, true) | (2, false) => [column - 1, row],
        _ => [column - 1, row - 1],
    }
}

/// A closed path without the corners at which it does not turn.
fn straightened(path: &[Corner]) -> Vec<Corner> {
    let direction = |from: Corner, to: Corner| {
        let part = |axis: usize| (i32::from(to[axis]) - i32::from(from[axis])).signum();
        [part(0), part(1)]
    };
    let count = path.len();
    (0..count)
        .filter(|&place| {
            let (before, after) = (path[(place + count - 1) % count], path[(place + 1) % count]);
            direction(before, path[place]) != direction(path[place], after)
        })
        .map(|place| path[place])
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        Mask {
            columns: rows[0].len(),
            rows: rows.len(),
            pixels: rows
                .iter()
                .flat_map(|row| row.bytes())
                .map(|byte| byte == b'#')
                .collect(),
        }
    }

    /// Crossings of a ray to the right with the borders of a polygon, and how often it winds around.
    fn around(path: &[Corner], column: usize, row: usize) -> (usize, i32) {
        let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
        let (mut crossings, mut winding) = (0, 0);
        for (index, from) in path.iter().enumerate() {
            let to = path[(index + 1) % path.len()];
            if f64::from(from[0]) < x || from[0] != to[0] {
                continue;
            }
            let (top, bottom) = (from[1].min(to[1]), from[1].max(to[1]));
            if f64::from(top) < y && y < f64::from(bottom) {
                crossings += 1;
                winding += if to[1] > from[1] { 1 } else { -1 };
            }
        }
        (crossings, winding)
    }

    fn assert_encloses(mask: &Mask) {
        let paths = outlines(mask);
        for path in &paths {
            assert!(path.len() >= 4);
            for (index, [x, y]) in path.iter().enumerate() {
                let [u, v] = path[(index + 1) % path.len()];
                assert!((*x == u) != (*y == v), "{path:?}");
            }
        }
        for row in 0..mask.rows {
            for column in 0..mask.columns {
                let expected = mask.at(column as isize, row as isize);
                let found: Vec<_> = paths.iter().map(|path| around(path, column, row)).collect();
                let crossings: usize = found.iter().map(|(crossings, _)| crossings).sum();
                assert_eq!(
                    crossings % 2 == 1,
                    expected,
                    "parity of all at {column}, {row}"
                );
                let winding: i32 = found.iter().map(|(_, winding)| winding).sum();
                assert_eq!(winding, i32::from(expected), "winding at {column}, {row}");
                // A polygon by itself never fills a hole.
                let any = found.iter().any(|(crossings, _)| crossings % 2 == 1);
                assert_eq!(any, expected, "union at {column}, {row}");
            }
        }
    }

    #[test]
    fn a_pixel_has_four_corners_and_a_row_too() {
        assert_eq!(outlines(&mask(&["#"])), [[[0, 0], [1, 0], [1, 1], [0, 1]]]);
        assert_eq!(
            outlines(&mask(&["....", ".##.", "...."])),
            [[[1, 1], [3, 1], [3, 2], [1, 2]]]
        );
        assert!(outlines(&mask(&["..."])).is_empty());
    }

    #[test]
    fn pixels_that_touch_at_a_corner_are_apart() {
        let paths = outlines(&mask(&["#.", ".#"]));
        assert_eq!(paths.len(), 2);
        assert!(paths.iter().all(|path| path.len() == 4));
    }

    #[test]
    fn a_hole_is_joined_to_its_outline() {
        let ring = mask(&["###", "#.#", "###"]);
        let paths = outlines(&ring);
        assert_eq!(paths.len(), 1);
        assert_encloses(&ring);
        assert_encloses(&mask(&[
            "#######", "#.#.#.#", "###.###", "#..#..#", "#######",
        ]));
        // An island in a hole, and holes that hang on holes.
        let rows = [
            "########", "#......#", "#.####.#", "#.#..#.#", "#.####.#", "#......#", "########",
        ];
        assert_encloses(&mask(&rows));
        assert_eq!(outlines(&mask(&rows)).len(), 2);
        assert_encloses(&mask(&["#########", "#.#.#.#.#", "#########"]));
    }

    proptest! {
        #[test]
        fn outlines_enclose_exactly_their_pixels(
            columns in 1..24_usize,
            rows in 1..24_usize,
            seed in proptest::collection::vec(0..100_u8, 24 * 24),
            density in 5..95_u8,
        ) {
            let pixels = seed[..columns * rows].iter().map(|value| *value < density).collect();
            assert_encloses(&Mask { columns, rows, pixels });
        }
    }
}

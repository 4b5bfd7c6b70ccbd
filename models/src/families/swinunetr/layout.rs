//! Where tokens lie in windows: constants that depend on the size of the volume.

use std::sync::{Arc, Mutex, PoisonError};

use vesal_network::{PatchMerging, ShiftedWindows, SwinUnetrConfig};

use crate::ops::{AttentionRegions, Indices};

/// Most sizes of volumes whose layouts are kept.
const KEPT: usize = 4;
/// Edge of the window that relative positions are counted in, whatever the volume.
const WINDOW: usize = SwinUnetrConfig::WINDOW;

/// Layouts of the volumes that a network and its clones have processed.
#[derive(Debug, Clone, Default)]
pub(super) struct Layouts(Arc<Mutex<Vec<Arc<TokenLayout>>>>);

impl Layouts {
    /// The layout of a volume of this many tokens.
    pub fn of(&self, tokens: [usize; 3], merging: PatchMerging) -> Arc<TokenLayout> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.iter().find(|layout| layout.stages[0].tokens == tokens) {
            return found.clone();
        }
        let layout = Arc::new(TokenLayout::new(tokens, merging));
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(layout.clone());
        layout
    }
}

#[derive(Debug)]
pub(super) struct TokenLayout {
    pub stages: [StageLayout; SwinUnetrConfig::STAGES],
}

#[derive(Debug)]
pub(super) struct StageLayout {
    /// Tokens along each axis.
    pub tokens: [usize; 3],
    pub blocks: [BlockLayout; SwinUnetrConfig::BLOCKS],
    /// Tokens in the order in which eight by eight become one.
    pub neighbors: Indices,
}

#[derive(Debug)]
pub(super) struct BlockLayout {
    /// Windows of a case, and tokens of a window.
    pub windows: [usize; 2],
    /// Whether windows reach beyond the volume; the index behind those of all tokens then is that of a zero token.
    pub is_padded: bool,
    /// The token at each place of all windows.
    pub to_windows: Indices,
    /// The place of each token.
    pub from_windows: Indices,
    /// Where windows are shifted, the parts of each window that do not lie side by side.
    pub regions: Option<AttentionRegions>,
    /// Rows of the table of relative positions for every pair of tokens of a window.
    pub positions: Indices,
}

impl TokenLayout {
    fn new(tokens: [usize; 3], merging: PatchMerging) -> Self {
        Self {
            stages: std::array::from_fn(|stage| {
                StageLayout::new(tokens.map(|side| side >> stage), merging)
            }),
        }
    }
}

impl StageLayout {
    fn new(tokens: [usize; 3], merging: PatchMerging) -> Self {
        let windows = ShiftedWindows::new(tokens, false);
        let positions = Indices::new(relative_positions(windows.window.iter().product()));
        let block = |block: usize| {
            let windows = ShiftedWindows::new(tokens, block % 2 == 1);
            BlockLayout::new(&windows, positions.clone())
        };
        let merged = places(tokens.map(|side| side / 2));
        let neighbors = merged.flat_map(|place| {
            let octants = merging.octants().into_iter();
            octants.map(move |octant| {
                let neighbor = std::array::from_fn(|axis| 2 * place[axis] + octant[axis]);
                index_of(neighbor, tokens)
            })
        });
        Self {
            tokens,
            blocks: std::array::from_fn(block),
            neighbors: Indices::new(neighbors.collect()),
        }
    }
}

impl BlockLayout {
    /// Windows begin at the shift and wrap around the end of the padded volume.
    fn new(windows: &ShiftedWindows, positions: Indices) -> Self {
        let (tokens, window, padded) = (windows.tokens, windows.window, windows.padded());
        let count: usize = tokens.iter().product();
        let (mut to_windows, mut regions) = (Vec::new(), Vec::new());
        let mut from_windows = vec![0; count];
        for number in places(windows.windows()) {
            for place in places(window) {
                let rolled: [usize; 3] =
                    std::array::from_fn(|axis| number[axis] * window[axis] + place[axis]);
                let token =
                    std::array::from_fn(|axis| (rolled[axis] + windows.shift[axis]) % padded[axis]);
                let is_inside = (0..3).all(|axis| token[axis] < tokens[axis]);
                let index = if is_inside {
                    let index = index_of(token, tokens);
                    from_windows[index] = to_windows.len();
                    index
                } else {
                    count
                };
                to_windows.push(index);
                regions.push((0..3).fold(0, |region, axis| {
                    3 * region
                        + part(
                            rolled[axis],
                            padded[axis],
                            window[axis],
                            windows.shift[axis],
                        )
                }));
            }
        }
        let size = window.iter().product();
        let is_shifted = windows.shift != [0; 3];
        Self {
            windows: [to_windows.len() / size, size],
            is_padded: padded != tokens,
            to_windows: Indices::new(to_windows),
            from_windows: Indices::new(from_windows),
            regions: is_shifted.then(|| AttentionRegions::new(regions, size)),
            positions,
        }
    }
}

/// The part of a shifted axis that a position belongs to: the last window has one part from before its start and one
/// from beyond the end.
fn part(position: usize, padded: usize, window: usize, shift: usize) -> usize {
    if shift == 0 || position < padded - window {
        0
    } else if position < padded - shift {
        1
    } else {
        2
    }
}

/// Index of the difference of every two tokens of a window in the table of relative positions.
///
/// **Definition**: the tokens of smaller windows count as the first ones of a window of 7³, whatever their own places are.
fn relative_positions(tokens: usize) -> Vec<usize> {
    let window: Vec<[usize; 3]> = places([WINDOW; 3]).take(tokens).collect();
    let pairs = window
        .iter()
        .flat_map(|a| window.iter().map(move |b| (a, b)));
    let index = |(a, b): (&[usize; 3], &[usize; 3])| {
        (0..3).fold(0, |index, axis| {
            index * (2 * WINDOW - 1) + a[axis] + WINDOW - 1 - b[axis]
        })
    };
    pairs.map(index).collect()
}

/// All places of a volume in C order.
fn places([x, y, z]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..x * y * z).map(move |index| [index / (y * z), index / z % y, index % z])
}

/// Index of a place in C order.
fn index_of([x, y, z]: [usize; 3], [_, along_y, along_z]: [usize; 3]) -> usize {
    (x * along_y + y) * along_z + z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_from_windows() {
        for tokens in [[32, 48, 16], [8, 12, 4], [14, 2, 2], [4, 6, 2]] {
            let stage = StageLayout::new(tokens, PatchMerging::default());
            let count: usize = tokens.iter().product();
            for block in &stage.blocks {
                let (to, from) = (block.to_windows.values(), block.from_windows.values());
                assert_eq!(from.len(), count);
                assert!((0..count).all(|token| to[from[token]] == token));
                let empty = to.iter().filter(|&&token| token == count).count();
                assert_eq!(empty, to.len() - count);
                assert_eq!(block.is_padded, empty > 0);
                assert_eq!(to.len(), block.windows[0] * block.windows[1]);
            }
            assert!(stage.blocks[0].regions.is_none());
            assert_eq!(stage.blocks[1].regions.is_some(), tokens[0] > 7);
        }
    }

    #[test]
    fn windows_of_eight_tokens_are_the_first_row_and_one() {
        // Places (0, 0, 0) to (0, 0, 6), and (0, 1, 0).
        let positions = relative_positions(8);
        let middle = 6 * 169 + 6 * 13 + 6;
        assert_eq!(positions[0], middle);
        assert_eq!(positions[6], middle - 6);
        assert_eq!(positions[7], middle - 13);
        assert_eq!(positions[7 * 8], middle + 13);
        assert_eq!(positions[7 * 8 + 6], middle + 13 - 6);
    }

    #[test]
    fn layouts_are_kept_for_a_few_sizes() {
        let layouts = Layouts::default();
        let clone = layouts.clone();
        let merging = PatchMerging::default();
        let first = layouts.of([16, 16, 32], merging);
        assert!(Arc::ptr_eq(&first, &clone.of([16, 16, 32], merging)));
        for size in 0..KEPT {
            layouts.of([16, 16, 48 + 16 * size], merging);
        }
        assert!(!Arc::ptr_eq(&first, &clone.of([16, 16, 32], merging)));
    }
}

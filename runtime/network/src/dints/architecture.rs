//! Which cells a network has.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cells::{BLOCKS, CellOperation, CellPath, CellRate, DintsCell, NODES, PATHS};
use super::codes::{CodeRow, DintsCodes};

/// Nodes of the input of the architecture that Auto3DSeg's template has.
const SHIPPED_STEMS: &str = "1110";
/// Its paths, by block.
const SHIPPED_PATHS: [&str; BLOCKS] = [
    "1011111010",
    "1111011011",
    "1111111011",
    "1011111110",
    "1111011111",
    "1011111111",
    "1111010111",
    "1111110011",
    "1111011111",
    "1111011111",
    "1110011111",
    "1100000111",
];
/// The operations of its paths, by block.
const SHIPPED_OPERATIONS: [&str; BLOCKS] = [
    "1313212011",
    "1031021243",
    "3002101210",
    "4221211013",
    "1140041111",
    "2000444111",
    "4300240103",
    "1100340413",
    "1002000011",
    "1423443031",
    "2023020032",
    "4400143021",
];

/// Why matrices are no architecture.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DintsArchitectureError {
    #[error("`{matrix}` has {found} rows, expected {expected}")]
    Rows {
        matrix: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("row {row} of `{matrix}` has {found} numbers, expected {expected}")]
    Columns {
        matrix: &'static str,
        row: usize,
        found: usize,
        expected: usize,
    },
    #[error("`{matrix}` has {found} in row {row}, column {column}, expected 0 to {max}")]
    Number {
        matrix: &'static str,
        row: usize,
        column: usize,
        found: u8,
        max: u8,
    },
    /// A path from a node that does not exist.
    #[error(
        "`code_a` has path {path} in block {block}, which comes from node {node}, but no path of the block before leads \
         there"
    )]
    NoSource {
        block: usize,
        path: usize,
        node: usize,
    },
    /// A path of the first block from a node that is no input.
    #[error(
        "`code_a` has path {path} in block 0, which comes from node {node}, but `node_a` has no such input"
    )]
    NoInput { path: usize, node: usize },
    /// A node that is stated and does not exist, or the other way around.
    #[error(
        "`node_a` has {found} in row {row} for node {node}, expected {expected}: what `code_a` leads to"
    )]
    Node {
        row: usize,
        node: usize,
        found: u8,
        expected: u8,
    },
    /// A block without paths.
    #[error("`code_a` has no path in block {block}: the output does not depend on the input")]
    NoPath { block: usize },
}

impl DintsArchitectureError {
    pub fn hint(&self) -> &'static str {
        "an architecture is the matrices `node_a`, `code_a` and `code_c` of one `search_code_*.pt`, as MONAI's \
         `TopologySearch.decode` returns them; all three must be of the same file"
    }
}

/// The cells of a network, and the stems that feed them. The default is the architecture that Auto3DSeg's template has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DintsCodes", into = "DintsCodes")]
pub struct DintsArchitecture {
    /// Which nodes get the image.
    stems: [bool; NODES],
    cells: [[Option<CellOperation>; PATHS]; BLOCKS],
}

impl Default for DintsArchitecture {
    fn default() -> Self {
        let digits = |text: &str| text.bytes().map(|digit| digit - b'0').collect::<Vec<u8>>();
        let operations = SHIPPED_OPERATIONS.map(digits);
        let paths = SHIPPED_PATHS.map(digits);
        let stems = digits(SHIPPED_STEMS);
        Self::new(
            |node| stems[node] != 0,
            |block, path| {
                let operation = CellOperation::ALL[usize::from(operations[block][path])];
                (paths[block][path] != 0).then_some(operation)
            },
        )
    }
}

impl DintsArchitecture {
    fn new(
        stem: impl Fn(usize) -> bool,
        cell: impl Fn(usize, usize) -> Option<CellOperation>,
    ) -> Self {
        Self {
            stems: std::array::from_fn(stem),
            cells: std::array::from_fn(|block| std::array::from_fn(|path| cell(block, path))),
        }
    }

    /// Whether it is the architecture that Auto3DSeg's template has.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// All cells, block by block.
    pub fn cells(&self) -> impl Iterator<Item = DintsCell> {
        (0..BLOCKS).flat_map(|block| self.block(block))
    }

    /// The cells of a block.
    fn block(&self, block: usize) -> impl Iterator<Item = DintsCell> + use<> {
        let operations = self.cells[block];
        CellPath::all().into_iter().filter_map(move |path| {
            let operation = operations[path.index]?;
            Some(DintsCell {
                block,
                path,
                operation,
            })
        })
    }

    /// Which nodes exist: those of the input for 0, else those after that many blocks.
    pub fn nodes(&self, blocks: usize) -> [bool; NODES] {
        let Some(block) = blocks.checked_sub(1) else {
            return self.stems;
        };
        std::array::from_fn(|node| self.block(block).any(|cell| cell.path.to == node))
    }

    /// The nodes that the output depends on: those of the input for 0, else those after that many blocks.
    pub fn needed(&self, blocks: usize) -> [bool; NODES] {
        let mut needed = self.nodes(BLOCKS);
        for block in (blocks..BLOCKS).rev() {
            let of_block = self.block(block);
            let ways = of_block.filter(|cell| needed[cell.path.to]);
            let mut before = [false; NODES];
            ways.for_each(|cell| before[cell.path.from] = true);
            needed = before;
        }
        needed
    }

    /// The same as far as tensors tell: a cell that changes nothing has none.
    pub(crate) fn traced(&self) -> Traces {
        std::array::from_fn(|block| {
            CellPath::all().map(|path| {
                let operation = self.cells[block][path.index]?;
                let silent = path.rate() == CellRate::Same && operation == CellOperation::Skip;
                (!silent).then_some(operation)
            })
        })
    }
}

/// The operation of every cell that has a tensor.
pub(crate) type Traces = [[Option<CellOperation>; PATHS]; BLOCKS];

/// A matrix of so many rows and columns with numbers up to a limit.
fn check(
    matrix: &'static str,
    rows: &[CodeRow],
    [expected_rows, expected]: [usize; 2],
    max: u8,
) -> Result<(), DintsArchitectureError> {
    if rows.len() != expected_rows {
        return Err(DintsArchitectureError::Rows {
            matrix,
            found: rows.len(),
            expected: expected_rows,
        });
    }
    for (row, CodeRow(numbers)) in rows.iter().enumerate() {
        if numbers.len() != expected {
            return Err(DintsArchitectureError::Columns {
                matrix,
                row,
                found: numbers.len(),
                expected,
            });
        }
        if let Some(column) = numbers.iter().position(|&number| number > max) {
            return Err(DintsArchitectureError::Number {
                matrix,
                row,
                column,
                found: numbers[column],
                max,
            });
        }
    }
    Ok(())
}

impl TryFrom<DintsCodes> for DintsArchitecture {
    type Error = DintsArchitectureError;

    fn try_from(codes: DintsCodes) -> Result<Self, DintsArchitectureError> {
        check("node_a", &codes.node_a, [BLOCKS + 1, NODES], 1)?;
        check("code_a", &codes.code_a, [BLOCKS, PATHS], 1)?;
        let last = CellOperation::ALL.len() as u8 - 1;
        check("code_c", &codes.code_c, [BLOCKS, PATHS], last)?;

        let at = |rows: &[CodeRow], row: usize, column: usize| rows[row].0[column];
        let found = Self::new(
            |node| at(&codes.node_a, 0, node) != 0,
            |block, path| {
                let operation = CellOperation::ALL[usize::from(at(&codes.code_c, block, path))];
                (at(&codes.code_a, block, path) != 0).then_some(operation)
            },
        );
        for block in 0..BLOCKS {
            let nodes = found.nodes(block);
            if let Some(cell) = found.block(block).find(|cell| !nodes[cell.path.from]) {
                let (path, node) = (cell.path.index, cell.path.from);
                return Err(match block {
                    0 => DintsArchitectureError::NoInput { path, node },
                    _ => DintsArchitectureError::NoSource { block, path, node },
                });
            }
            let nodes = found.nodes(block + 1);
            if !nodes.contains(&true) {
                return Err(DintsArchitectureError::NoPath { block });
            }
            let row = block + 1;
            for (node, exists) in nodes.into_iter().enumerate() {
                let (found, expected) = (at(&codes.node_a, row, node), u8::from(exists));
                if found != expected {
                    return Err(DintsArchitectureError::Node {
                        row,
                        node,
                        found,
                        expected,
                    });
                }
            }
        }
        Ok(found)
    }
}

impl From<DintsArchitecture> for DintsCodes {
    fn from(architecture: DintsArchitecture) -> Self {
        let row = |numbers: &mut dyn Iterator<Item = u8>| CodeRow(numbers.collect());
        let operations = |code: fn(Option<CellOperation>) -> u8| {
            let blocks = architecture.cells.iter();
            blocks.map(move |block| row(&mut block.iter().copied().map(code)))
        };
        Self {
            node_a: (0..=BLOCKS)
                .map(|blocks| row(&mut architecture.nodes(blocks).into_iter().map(u8::from)))
                .collect(),
            code_a: operations(|cell| u8::from(cell.is_some())).collect(),
            code_c: operations(|cell| cell.map_or(0, CellOperation::code)).collect(),
        }
    }
}

#[cfg(test)]
mod tests;

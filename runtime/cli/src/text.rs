//! Text output: lines and tables.

use crate::shown::{line, shown_within};

/// Characters after which a cell is cut, unless it is the last of its row.
const CELL_MAX: usize = 128;

/// Lines of text. Line breaks in added texts are escaped, so that no foreign text can forge a line or a row of a table.
///
/// **Examples**
/// ```
/// use vesal_cli::Text;
/// let mut text = Text::new();
/// text.line("scans\nforged");
/// text.table(&[vec!["a".to_owned(), "bc".to_owned()], vec!["def".to_owned(), "g".to_owned()]]);
/// assert_eq!(text.as_str(), "scans\\nforged\na    bc\ndef  g\n");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(String);

/// Alignment of the cells of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// All to the left.
    Left,
    /// The first column to the left; the others, numbers, to the right.
    Numbers,
}

impl Text {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn line(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.0.push_str(&line(text.as_ref()));
        self.0.push('\n');
        self
    }

    /// Adds an empty line.
    pub fn blank(&mut self) -> &mut Self {
        self.line("")
    }

    /// Adds rows, in columns that are two spaces apart.
    pub fn table(&mut self, rows: &[Vec<String>]) -> &mut Self {
        self.columns(rows, Columns::Left)
    }

    /// As [`Text::table`], with this alignment.
    pub fn columns<'r>(&mut self, rows: &'r [Vec<String>], alignment: Columns) -> &mut Self {
        let rows: Vec<Vec<_>> = rows
            .iter()
            .map(|row| {
                let last = row.len().saturating_sub(1);
                let cells = row.iter().enumerate();
                let shown = |(column, cell): (usize, &'r String)| match column {
                    column if column == last => line(cell),
                    _ => shown_within(cell, CELL_MAX),
                };
                cells.map(shown).collect()
            })
            .collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &rows {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(column, (cell, &width))| match alignment {
                    Columns::Numbers if column > 0 => format!("{cell:>width$}"),
                    _ => format!("{cell:<width$}"),
                })
                .collect();
            self.0.push_str(cells.join("  ").trim_end());
            self.0.push('\n');
        }
        self
    }

    pub fn append(&mut self, other: Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[[&str; 2]]) -> Vec<Vec<String>> {
        let row = |row: &[&str; 2]| row.map(str::to_owned).to_vec();
        rows.iter().map(row).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut text = Text::new();
        text.table(&rows(&[["a", "bc"], ["def", "g"]]));
        assert_eq!(text.as_str(), "a    bc\ndef  g\n");
        let mut text = Text::new();
        let table = rows(&[["fold", "Dice"], ["10", "0.81234"]]);
        text.columns(&table, Columns::Numbers);
        assert_eq!(text.as_str(), "fold     Dice\n10    0.81234\n");
        assert_eq!(Text::new().table(&[]).as_str(), "");
    }

    #[test]
    fn no_cell_makes_a_row() {
        let mut text = Text::new();
        text.table(&rows(&[["a\nforged  row", "\u{1b}[2J"], ["b", "c"]]));
        assert_eq!(text.as_str().lines().count(), 2);
        assert!(!text.as_str().contains('\u{1b}'));
        let mut text = Text::new();
        text.table(&rows(&[[&"x".repeat(1000), &"y".repeat(1000)]]));
        // An ellipsis, two blanks, the last cell, the end of the line.
        assert_eq!(text.as_str().chars().count(), CELL_MAX + 1 + 2 + 1000 + 1);
    }
}

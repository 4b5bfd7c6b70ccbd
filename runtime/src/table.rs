//! Text in columns.

/// Lays rows out in columns that are two spaces apart.
///
/// **Examples**: `[["a", "bc"], ["def", "g"]]` becomes `a    bc\ndef  g\n`.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bc"], ["def", "g"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a    bc\ndef  g\n");
        assert_eq!(table(&[]), "");
    }
}

//! Tables for people: rows that differ in one column alone become one row.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What may stand in one place of a table: words, each with its place among its kind.
pub type Cell = BTreeSet<(usize, String)>;

/// A cell of one word.
pub fn cell(place: usize, word: &str) -> Cell {
    Cell::from([(place, word.to_owned())])
}

/// Joins the rows that differ in this column alone.
pub fn fold<const N: usize>(rows: Vec<[Cell; N]>, column: usize) -> Vec<[Cell; N]> {
    let mut folded: Vec<[Cell; N]> = Vec::new();
    for row in rows {
        let same = |known: &&mut [Cell; N]| (0..N).all(|at| at == column || known[at] == row[at]);
        match folded.iter_mut().find(same) {
            Some(known) => known[column].extend(row[column].iter().cloned()),
            None => folded.push(row),
        }
    }
    folded
}

/// The table as text. The first column is the state: it is written once, and where another column holds all that it
/// can hold in that state, and that is more than one word, it says `any`.
pub fn lines<const N: usize>(head: [&str; N], rows: Vec<[Cell; N]>) -> String {
    let all = |state: &Cell, column: usize| -> Cell {
        let same = rows.iter().filter(|row| row[0] == *state);
        same.flat_map(|row| row[column].iter().cloned()).collect()
    };
    let mut table = vec![head.map(ToOwned::to_owned)];
    let mut last = None;
    for row in &rows {
        let mut words: [String; N] = std::array::from_fn(|column| {
            let held = &row[column];
            let any = column == 2 && held.len() > 1 && *held == all(&row[0], column);
            if any { "any".to_owned() } else { joined(held) }
        });
        if last.replace(row[0].clone()).as_ref() == Some(&row[0]) {
            words[0].clear();
        } else {
            table.push(std::array::from_fn(|_| String::new()));
        }
        table.push(words);
    }
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &table {
        let cells = row.iter().zip(widths).map(|(word, width)| format!("{word:<width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

/// The words of a cell; what stands before a colon is said once.
fn joined(cell: &Cell) -> String {
    let mut text = String::new();
    let mut said = "";
    for (_, word) in cell {
        let (before, after) = word.split_once(": ").unwrap_or(("", word));
        if !text.is_empty() {
            text += ", ";
        }
        text += if before == said { after } else { word };
        said = before;
    }
    text
}

//! Tables for a terminal, or for a page in Markdown.

use std::fmt::Write;

/// A table that is filled row by row.
pub struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns: the first is text, the others are numbers.
    pub fn new(title: impl Into<String>, columns: &[&str]) -> Table {
        let head = columns.iter().map(|column| (*column).to_owned()).collect();
        Table { title: title.into(), rows: vec![head] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows yet.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The table as text.
    pub fn text(&self, markdown: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let (open, between, close) = if markdown { ("| ", " | ", " |") } else { ("  ", "   ", "") };
        let mut text = format!("{}\n\n", self.title);
        for (at, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = widths.iter().zip(row).enumerate().map(pad).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{open}{}{close}", cells.join(between));
            if at == 0 && markdown {
                let rules: Vec<&str> = (0..columns).map(|at| if at == 0 { "---" } else { "---:" }).collect();
                let _ = writeln!(text, "| {} |", rules.join(" | "));
            }
        }
        text
    }
}

fn pad((at, (width, cell)): (usize, (&usize, &String))) -> String {
    let width = *width;
    if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_is_text_and_the_others_are_numbers() {
        let mut table = Table::new("Title", &["what", "ms"]);
        table.row(vec!["a".into(), "1000".into()]);
        assert_eq!(table.text(false), "Title\n\n  what     ms\n  a      1000\n");
        let markdown = "Title\n\n| what |   ms |\n| --- | ---: |\n| a    | 1000 |\n";
        assert_eq!(table.text(true), markdown);
    }
}

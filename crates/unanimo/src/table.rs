//! Tables for people: as wide as what they hold, and no wider than the terminal while any column can give.

use std::io::{self, IsTerminal};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// How its cells may suffer where the terminal is narrow.
    pub give: Give,
    /// Whether its cells stand at the right, as numbers do.
    pub right: bool,
}

/// What may happen to a column that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Give {
    /// It is left out, the one with the highest number first.
    Away(u8),
    /// It is cut, down to so many characters or its heading.
    Cut(usize),
    /// Nothing: somebody will copy what stands there.
    Nothing,
}

/// Between two columns.
const GAP: usize = 2;

impl Column {
    /// A column of words.
    pub const fn new(title: &'static str, give: Give) -> Column {
        Column { title, give, right: false }
    }

    /// A column of numbers.
    pub const fn number(title: &'static str, give: Give) -> Column {
        Column { title, give, right: true }
    }
}

/// The rows under their headings, one line each, at most `width` characters wide where a width is given.
pub fn lines<const N: usize>(
    columns: [Column; N],
    rows: &[[String; N]],
    width: Option<usize>,
) -> Vec<String> {
    let mut widths: [usize; N] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| length(&row[at])).max().unwrap_or(0);
        // A column in which nothing stands is left out.
        if cells == 0 && !rows.is_empty() { 0 } else { cells.max(length(columns[at].title)) }
    });
    if let Some(width) = width {
        fit(&columns, &mut widths, width);
    }
    let titles: [String; N] = std::array::from_fn(|at| columns[at].title.to_owned());
    std::iter::once(&titles).chain(rows).map(|row| line(&columns, &widths, row)).collect()
}

/// How wide the terminal behind standard output is; `None` where there is none, and nothing is to be cut.
pub fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Makes the columns narrower, or leaves them out, until they fit or nothing can give.
fn fit<const N: usize>(columns: &[Column; N], widths: &mut [usize; N], width: usize) {
    let total = |widths: &[usize; N]| {
        let shown = widths.iter().filter(|width| **width > 0).count();
        widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1)
    };
    for at in 0..N {
        if let Give::Cut(least) = columns[at].give {
            let over = total(widths).saturating_sub(width);
            let least = least.max(length(columns[at].title)).min(widths[at]);
            widths[at] = widths[at].saturating_sub(over).max(least);
        }
    }
    let mut away: Vec<(u8, usize)> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        if let Give::Away(order) = column.give {
            away.push((order, at));
        }
    }
    away.sort();
    while total(widths) > width {
        let Some((_, at)) = away.pop() else { return };
        widths[at] = 0;
    }
}

fn line<const N: usize>(columns: &[Column; N], widths: &[usize; N], row: &[String; N]) -> String {
    let mut line = String::new();
    for ((column, width), cell) in columns.iter().zip(widths).zip(row) {
        if *width == 0 {
            continue;
        }
        if !line.is_empty() {
            line.push_str(&" ".repeat(GAP));
        }
        let cell = cut(cell, *width);
        let room = " ".repeat(width.saturating_sub(length(&cell)));
        let (before, after) = if column.right { (room.as_str(), "") } else { ("", room.as_str()) };
        line.push_str(&format!("{before}{cell}{after}"));
    }
    line.trim_end().to_owned()
}

/// The text, or its beginning and a sign that there was more.
fn cut(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("ID", Give::Nothing),
        Column::number("AGE", Give::Away(1)),
        Column::new("MODE", Give::Away(2)),
        Column::new("ROUTE", Give::Cut(4)),
    ];

    fn rows() -> Vec<[String; 4]> {
        [["a1", "3 s", "tcc", "transfer"], ["a2", "12 min", "two-phase", "x"]]
            .map(|row| row.map(str::to_owned))
            .into()
    }

    #[test]
    fn columns_are_as_wide_as_what_they_hold() {
        let expected =
            ["ID     AGE  MODE       ROUTE", "a1     3 s  tcc        transfer", "a2  12 min  two-phase  x"];
        assert_eq!(lines(COLUMNS, &rows(), None), expected);
        assert_eq!(lines(COLUMNS, &rows(), Some(31)), expected);
    }

    #[test]
    fn a_narrow_terminal_first_cuts_and_then_leaves_out() {
        assert_eq!(lines(COLUMNS, &rows(), Some(28))[1], "a1     3 s  tcc        tran…");
        let expected = ["ID     AGE  ROUTE", "a1     3 s  tran…", "a2  12 min  x"];
        assert_eq!(lines(COLUMNS, &rows(), Some(26)), expected);
        assert_eq!(lines(COLUMNS, &rows(), Some(1)), ["ID  ROUTE", "a1  tran…", "a2  x"]);
    }

    #[test]
    fn a_column_without_content_is_left_out_and_headings_stand_alone() {
        let empty = [["a", "", "tcc", "r"].map(str::to_owned)];
        assert_eq!(lines(COLUMNS, &empty, None), ["ID  MODE  ROUTE", "a   tcc   r"]);
        assert_eq!(lines(COLUMNS, &[], None), ["ID  AGE  MODE  ROUTE"]);
    }
}

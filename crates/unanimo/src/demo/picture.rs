//! The live picture: figures, and a chart of orders per second over the whole time, with a mark for each kill.
//!
//! It is text, made anew for every frame; the terminal's lines below the story are all that it ever touches.

use super::book::Counts;
use super::count::number;
use super::gauge::{Gauge, Present};
use super::paint::{Colour, paint};
use std::time::{Duration, Instant};

/// How many rows of eight steps the chart has; more in a terminal that has room for them.
const ROWS: usize = 4;
const ROWS_MOST: usize = 7;
/// In so many lines there is room for the larger chart.
const LINES_MANY: usize = 34;
/// What stands left of the chart: a figure of the scale, and the axis.
const MARGIN: usize = 9;
/// A narrower terminal gets figures alone.
const COLUMNS_LEAST: usize = 48;
/// No chart is wider, be the terminal as wide as it is: the story beside it is as wide.
const COLUMNS_MOST: usize = 100;
/// In fewer lines there is no room for a chart below the story.
const LINES_LEAST: usize = 16;
const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The terminal.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// How many characters a line has.
    pub columns: usize,
    /// How many lines there are.
    pub lines: usize,
    /// Whether colours are wanted.
    pub coloured: bool,
}

/// The whole picture, line by line; no line is wider than the frame.
pub fn lines(gauge: &mut Gauge, counts: &Counts, now: Instant, frame: Frame) -> Vec<String> {
    // The last column stays free: some terminals begin a new line when it is written.
    let columns = frame.columns.saturating_sub(1).min(COLUMNS_MOST);
    let mut lines = figures(gauge, counts, now, Frame { columns, ..frame });
    if columns >= COLUMNS_LEAST && frame.lines >= LINES_LEAST {
        lines.push(String::new());
        lines.extend(chart(gauge, now, Frame { columns, ..frame }));
    }
    lines
}

/// As many figures as a line has room for, the most telling first, on two lines.
fn figures(gauge: &mut Gauge, counts: &Counts, now: Instant, frame: Frame) -> Vec<String> {
    let Present { per_second, p50, p99 } = gauge.present(now);
    let (placed, span) = gauge.progress(now);
    let Counts { committed, refused, timed_out, interrupted, .. } = *counts;
    let time = format!("{:.0} of {:.0} s", placed.as_secs_f64().floor(), span.as_secs_f64());
    let speed = [
        ("orders/s", number(per_second), Colour::Bold),
        ("p50", spell(p50), Colour::Bold),
        ("p99", spell(p99), Colour::Bold),
        ("in flight", number(counts.under_way()), Colour::Bold),
        ("time", time, Colour::Dim),
    ];
    let ends = [
        ("committed", number(committed), Colour::Green),
        ("refused", number(refused), Colour::Yellow),
        ("timed out", number(timed_out), Colour::Yellow),
        ("interrupted", number(interrupted), Colour::Yellow),
    ];
    vec![row(&speed, frame), row(&ends, frame)]
}

fn row(figures: &[(&str, String, Colour)], frame: Frame) -> String {
    let (mut row, mut width) = (String::new(), 0);
    for (name, value, colour) in figures {
        let needed = 3 + name.chars().count() + 1 + value.chars().count();
        if width + needed > frame.columns {
            break;
        }
        width += needed;
        row.push_str(&format!("   {name} {}", paint(frame.coloured, *colour, value)));
    }
    row
}

fn chart(gauge: &Gauge, now: Instant, frame: Frame) -> Vec<String> {
    let width = frame.columns - MARGIN;
    let rates = gauge.columns(now, width);
    let rows = if frame.lines >= LINES_MANY { ROWS_MOST } else { ROWS };
    let most = scale(rates.iter().flatten().copied().fold(0.0, f64::max));
    let mut lines: Vec<String> = (0..rows)
        .rev()
        .map(|row| {
            let figure = if row == rows - 1 { number(most) } else { String::new() };
            let steps: String = rates
                .iter()
                .map(|rate| rate.map_or(' ', |rate| step(rate / most as f64, row, rows)))
                .collect();
            let steps = paint(frame.coloured, Colour::Cyan, steps.trim_end());
            format!("{}{steps}", paint(frame.coloured, Colour::Dim, &format!("{figure:>7} │")))
        })
        .collect();
    let marks = gauge.marks(width);
    let line: String =
        (0..width).map(|at| if marks.iter().any(|(mark, _)| *mark == at) { '┼' } else { '─' }).collect();
    lines.push(paint(frame.coloured, Colour::Dim, &format!("{:>7} └{line}", 0)));
    if !marks.is_empty() {
        lines.push(labels(&marks, width, frame));
    }
    lines
}

/// The character that one of these rows shows for a share of the scale.
fn step(share: f64, row: usize, rows: usize) -> char {
    let height = (share * (rows * 8) as f64).round() as usize;
    // What is not nothing is seen.
    let height = if share > 0.0 { height.max(1) } else { 0 };
    STEPS[height.saturating_sub(row * 8).min(8)]
}

/// What was killed, below its place on the axis.
fn labels(marks: &[(usize, &str)], width: usize, frame: Frame) -> String {
    let (mut line, mut at) = (" ".repeat(MARGIN), 0);
    for (mark, what) in marks {
        let label = format!("✕ {what} killed");
        let length = label.chars().count();
        // At the right end it stands before its place, and never over the one before.
        let from = (*mark).min(width.saturating_sub(length)).max(at);
        if from + length > width {
            break;
        }
        line.push_str(&" ".repeat(from - at));
        line.push_str(&paint(frame.coloured, Colour::Red, &label));
        at = from + length + 1;
        if at <= width {
            line.push(' ');
        }
    }
    line.trim_end().to_owned()
}

/// The top of the scale: a round number, little above the highest rate, and at least 10.
fn scale(most: f64) -> u64 {
    let mut power = 1;
    loop {
        for factor in [10, 12, 15, 20, 25, 30, 40, 50, 60, 80] {
            if (factor * power) as f64 >= most {
                return factor * power;
            }
        }
        power *= 10;
    }
}

fn spell(time: Option<Duration>) -> String {
    match time {
        None => "–".to_owned(),
        Some(time) if time < Duration::from_millis(10) => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        Some(time) if time < Duration::from_secs(1) => format!("{} ms", time.as_millis()),
        Some(time) => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    const FRAME: Frame = Frame { columns: 80, lines: 24, coloured: false };

    /// Twelve of twenty seconds of a story: two kills, after each of which nothing moves for a while.
    fn story() -> (Gauge, Counts, Instant) {
        let began = clock::now();
        let mut gauge = Gauge::new(began, Duration::from_secs(20));
        let at = |ms: u64| began + Duration::from_millis(ms);
        for ms in (0..14_000).step_by(4) {
            let is_dead = (5000..6500).contains(&ms) || (12_000..12_400).contains(&ms);
            let is_slow = ms < 1000 || (6500..7500).contains(&ms);
            if !is_dead && (!is_slow || ms % 8 == 0) {
                gauge.note(at(ms), Duration::from_millis(6 + ms % 40));
            }
        }
        gauge.mark(at(5000), "payment");
        gauge.mark(at(12_000), "gateway");
        let counts = Counts { driven: 2832, committed: 2510, refused: 240, timed_out: 32, interrupted: 18 };
        (gauge, counts, at(14_000))
    }

    fn picture(frame: Frame) -> String {
        let (mut gauge, counts, now) = story();
        lines(&mut gauge, &counts, now, frame).join("\n")
    }

    #[test]
    fn the_story_is_seen_in_one_picture() {
        let expected = include_str!("picture-80.txt");
        let said = picture(FRAME);
        assert_eq!(said, expected.trim_end(), "\n{said}\n");
    }

    #[test]
    fn no_frame_is_overrun_and_small_ones_get_figures_alone() {
        for columns in [1, 10, 20, 40, 47, 48, 49, 60, 79, 80, 100, 300] {
            for lines in [1, 15, 16, 50] {
                let said = picture(Frame { columns, lines, ..FRAME });
                assert!(said.lines().all(|line| line.chars().count() < columns.max(2)), "{columns}:\n{said}");
                assert_eq!(
                    said.contains('│'),
                    columns > COLUMNS_LEAST && lines >= LINES_LEAST,
                    "{columns}x{lines}"
                );
            }
        }
    }

    #[test]
    fn colours_are_added_and_change_nothing_else() {
        let coloured = picture(Frame { coloured: true, ..FRAME });
        assert!(coloured.contains("\x1b[31m✕ payment killed\x1b[0m"), "{coloured}");
        let plain = [0, 1, 2, 31, 32, 33, 36]
            .iter()
            .fold(coloured, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
        assert_eq!(plain, picture(FRAME));
    }

    #[test]
    fn labels_at_the_end_stand_before_their_place() {
        let labels = |marks: &[(usize, &'static str)]| labels(marks, 40, FRAME);
        assert_eq!(labels(&[(39, "gateway")]), format!("{:9}{:>40}", "", "✕ gateway killed"));
        assert_eq!(labels(&[(0, "a"), (2, "b")]), format!("{:9}✕ a killed ✕ b killed", ""));
        assert_eq!(labels(&[(30, "payment"), (31, "gateway")]).matches('✕').count(), 1);
    }

    #[test]
    fn the_scale_is_a_round_number() {
        for (most, expected) in
            [(0.0, 10), (10.0, 10), (10.1, 12), (201.0, 250), (801.0, 1000), (1001.0, 1200)]
        {
            assert_eq!(scale(most), expected);
        }
    }
}

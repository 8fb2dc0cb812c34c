//! From text to nodes, by way of the crate `cel`, which reads the grammar.
//!
//! Its parser recurses deeply. So what it gets is bounded first (`crate::bounds`), and it works where the stack suffices.
//! Should it panic all the same, the text is refused.

use super::Need;
use super::lower::Lowering;
use super::node::Node;
use super::stack;
use crate::ParseError;
use cel::Env;

/// How the parser begins to speak of a sign or a word that it did not expect.
const UNEXPECTED: [&str; 4] = [
    "mismatched input ",
    "extraneous input ",
    "no viable alternative at input ",
    "token recognition error at: ",
];

/// Compiles `source`, which begins at `offset` of the text that errors are about.
pub(super) fn parse(source: &str, offset: usize) -> Result<(Node, Vec<Need>), ParseError> {
    let compiled = stack::deep(|| compile(source, offset));
    compiled.unwrap_or_else(|| Err(ParseError::new(offset, "this expression cannot be read")))
}

fn compile(source: &str, offset: usize) -> Result<(Node, Vec<Need>), ParseError> {
    // Without macros: `map(x, …)` stays a call, which says more than the loop that it stands for.
    let parsed = Env::default().parser().parse_with_source_info(source);
    let (tree, places) = parsed.map_err(|errors| match errors.errors.first() {
        Some(error) => ParseError::new(offset + at(source, error.pos), shorten(&error.msg)),
        None => ParseError::new(offset, "this is no expression"),
    })?;
    Lowering::new(source, offset, &places).run(&tree)
}

/// The place of a line and a column, which the parser counts from 1.
fn at(source: &str, (line, column): (isize, isize)) -> usize {
    let count = |number: isize| usize::try_from(number - 1).unwrap_or(0);
    let lines = source.split_inclusive('\n');
    let start: usize = lines.clone().take(count(line)).map(str::len).sum();
    let rest = source.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(count(column)).map_or(rest.len(), |(at, _)| at)
}

/// The parser's message in words of ours, without its insides and the long list of all that it would have taken.
fn shorten(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or(message);
    let said = if message.contains("<EOF>") {
        "something is missing before the end".to_owned()
    } else if message.contains("`_?_:_`") {
        "`?` needs a `:`, and a value on both sides of it".to_owned()
    } else if message.starts_with("Incomplete ") {
        "something is missing here".to_owned()
    } else if let Some(missing) = message.strip_prefix("missing ") {
        let missing = missing.split(" at ").next().unwrap_or(missing);
        format!("{} is missing here", missing.replace('\'', "`"))
    } else if let Some(found) = UNEXPECTED.iter().find_map(|words| message.strip_prefix(words)) {
        let found = found.strip_prefix('\'').and_then(|found| found.strip_suffix('\'')).unwrap_or(found);
        format!("`{}` cannot stand here", found.trim())
    } else {
        message.to_owned()
    };
    format!("this is no expression: {said}")
}

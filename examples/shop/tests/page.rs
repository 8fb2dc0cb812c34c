//! The page about participants shows code of the examples: what it shows must stand in them, line by line.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;

const SOURCES: [(&str, &[&str]); 2] = [
    ("rust", &["shop/src/barrier.rs", "shop/src/database.rs"]),
    ("python", &["bank-python/barrier.py", "bank-python/web.py"]),
];

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn the_page_shows_the_code_as_it_is() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(examples.join("../docs/participants.md")).unwrap();
    let mut shown = 0;
    for (language, files) in SOURCES {
        let read = |file: &&str| std::fs::read_to_string(examples.join(file)).unwrap();
        let sources: Vec<String> = files.iter().map(read).collect();
        for block in page.split(&format!("```{language}\n")).skip(1) {
            let block = lines(block.split("```").next().unwrap());
            let stands =
                sources.iter().any(|source| lines(source).windows(block.len()).any(|window| window == block));
            assert!(stands, "not in {files:?}: {block:#?}");
            shown += 1;
        }
    }
    assert!(shown >= 12, "{shown} blocks found");
}

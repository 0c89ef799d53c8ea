//! The README in both languages says the same: headings, commands, keys, figures, links, tables.

use std::collections::BTreeMap;

const ENGLISH: &str = include_str!("../../README.md");
const KOREAN: &str = include_str!("../../README.ko.md");

/// A heading, and what stands below it in front of the next one.
#[derive(Debug, Default)]
struct Section {
    heading: String,
    level: usize,
    /// Blocks of code, whole.
    blocks: Vec<String>,
    /// Rows of tables, without the line below their heads.
    rows: Vec<Row>,
    /// Everything else.
    text: String,
}

/// What a row of a table has whatever its language is.
#[derive(Debug)]
struct Row {
    cells: usize,
    code: BTreeMap<String, usize>,
    figures: BTreeMap<String, usize>,
}

impl Row {
    fn of(line: &str) -> Self {
        // A bar in code is none of the table's.
        let cells = line.split('`').step_by(2).map(|part| part.matches('|').count()).sum::<usize>();
        Self { cells, code: counted(code(line)), figures: counted(figures(line)) }
    }
}

fn sections(page: &str) -> Vec<Section> {
    let (mut sections, mut block) = (vec![Section::default()], None::<String>);
    for line in page.lines() {
        let section = sections.last_mut().unwrap();
        match &mut block {
            Some(open) => {
                open.push_str(line);
                open.push('\n');
                if line == "```" {
                    section.blocks.extend(block.take());
                }
            }
            None if line.starts_with("```") => block = Some(format!("{line}\n")),
            None if line.starts_with('#') => {
                let level = line.find(' ').unwrap();
                sections.push(Section { heading: line[level..].to_owned(), level, ..Section::default() });
            }
            None if line.starts_with("|---") => {}
            None if line.starts_with('|') => section.rows.push(Row::of(line)),
            None => {
                section.text.push_str(line);
                section.text.push('\n');
            }
        }
    }
    assert!(block.is_none(), "a block is not closed");
    sections
}

fn counted<'a>(found: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for one in found {
        *counts.entry(one.split_whitespace().collect::<Vec<_>>().join(" ")).or_default() += 1;
    }
    counts
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What stands in round brackets behind square ones, but for the other language, and for the headings of a page, which it
/// names in its own.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let targets = targets.map(|target| if target.starts_with('#') { "#" } else { target });
    targets.filter(|target| !["README.md", "README.ko.md"].contains(target))
}

/// Numbers that are written in digits, outside of code.
fn figures(text: &str) -> impl Iterator<Item = &str> {
    let outside = text.split('`').step_by(2);
    let parts =
        outside.flat_map(|text| text.split(|letter: char| !(letter.is_ascii_digit() || ".,½¾".contains(letter))));
    parts.map(|part| part.trim_matches(['.', ','])).filter(|part| !part.is_empty())
}

/// What differs in Korean, section by section.
fn differences(korean: &str) -> Vec<String> {
    let (english, korean) = (sections(ENGLISH), sections(korean));
    let levels = |page: &[Section]| page.iter().map(|section| section.level).collect::<Vec<_>>();
    if levels(&english) != levels(&korean) {
        return vec!["headings: how many, in which order, or how deep".to_owned()];
    }
    english.iter().zip(&korean).flat_map(|(own, other)| differing(own, other)).collect()
}

fn differing(own: &Section, other: &Section) -> Vec<String> {
    let mut found = Vec::new();
    let mut tell = |is_same: bool, what: String| {
        if !is_same {
            found.push(format!("{what} of{}", own.heading));
        }
    };
    tell(own.blocks == other.blocks, "blocks".to_owned());
    tell(counted(code(&own.text)) == counted(code(&other.text)), "commands and keys".to_owned());
    tell(counted(links(&own.text)) == counted(links(&other.text)), "links".to_owned());
    tell(has_all(&counted(figures(&own.text)), &counted(figures(&other.text))), "figures".to_owned());
    tell(own.rows.len() == other.rows.len(), "the number of rows".to_owned());
    for (place, (own, other)) in own.rows.iter().zip(&other.rows).enumerate() {
        let is_same = own.cells == other.cells && own.code == other.code && has_all(&own.figures, &other.figures);
        tell(is_same, format!("row {}", place + 1));
    }
    found
}

/// Whether what stands in English stands in Korean: what is a word there may be a figure here, but not the reverse.
fn has_all(english: &BTreeMap<String, usize>, korean: &BTreeMap<String, usize>) -> bool {
    english.iter().all(|(figure, count)| korean.get(figure).is_some_and(|found| found >= count))
}

#[test]
fn the_korean_readme_says_what_the_english_one_does() {
    assert_eq!(differences(KOREAN), Vec::<String>::new());
    assert!(sections(ENGLISH).iter().map(|section| section.rows.len()).sum::<usize>() > 80);
}

#[test]
fn a_difference_between_the_languages_is_told() {
    for (from, to, what) in [
        ("cargo test\n", "cargo tests\n", "blocks of Begin"),
        ("storage.rotate_bytes=256MiB", "storage.rotate_bytes=128MiB", "commands and keys of Configure"),
        ("](docs/page.png)", "](docs/other.png)", "links of Watch it"),
        ("### ", "## ", "headings: how many, in which order, or how deep"),
        ("1,320,000", "1,320,001", "row 2 of Measured"),
        ("| 맨몸 클라이언트 |", "| 맨몸 클라이언트 | |", "row 3 of Measured"),
        ("936,000", "936,001", "figures of Measured"),
    ] {
        assert!(KOREAN.contains(from), "{from}");
        assert_eq!(differences(&KOREAN.replacen(from, to, 1)), [what], "{from}");
    }
}

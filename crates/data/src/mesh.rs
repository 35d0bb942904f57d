//! The MeSH tree: which of the sixteen branches a heading belongs to.
//!
//! The National Library of Medicine publishes it every year as `mtreesYYYY.bin`, a line for each place of a heading:
//! `Heading;A01.236`. The letter is the branch; a heading may belong to several, and a few belong to none.

use std::collections::HashMap;
use std::path::Path;

use crate::encoding::mark;
use crate::manifest::FileRecord;
use crate::{Error, Result};
use verdict_common::hash::sha256;

/// The branches: letter and name, as MeSH has them.
pub const BRANCHES: [(char, &str); 16] = [
    ('A', "Anatomy"),
    ('B', "Organisms"),
    ('C', "Diseases"),
    ('D', "Chemicals and Drugs"),
    (
        'E',
        "Analytical, Diagnostic and Therapeutic Techniques, and Equipment",
    ),
    ('F', "Psychiatry and Psychology"),
    ('G', "Phenomena and Processes"),
    ('H', "Disciplines and Occupations"),
    (
        'I',
        "Anthropology, Education, Sociology, and Social Phenomena",
    ),
    ('J', "Technology, Industry, and Agriculture"),
    ('K', "Humanities"),
    ('L', "Information Science"),
    ('M', "Named Groups"),
    ('N', "Health Care"),
    ('V', "Publication Characteristics"),
    ('Z', "Geographicals"),
];

/// A tree that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshTree {
    file: FileRecord,
    /// For each heading a bit for each of [`BRANCHES`].
    branches: HashMap<String, u16>,
}

impl MeshTree {
    /// Reads NLM's ASCII tree.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Field`] with the line that is no heading with its place.
    pub fn read(path: impl AsRef<Path>) -> Result<MeshTree> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let text = &bytes[mark(path, &bytes)?..];
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(MeshTree {
            file: FileRecord {
                name: name.to_string_lossy().into_owned(),
                bytes: bytes.len() as u64,
                sha256: sha256(&bytes),
            },
            branches: branches(path, &String::from_utf8_lossy(text))?,
        })
    }

    /// The file it was read from.
    pub fn file(&self) -> &FileRecord {
        &self.file
    }

    /// The [`BRANCHES`] of a heading, as bits; none for a heading that is not in the tree.
    pub(crate) fn bits(&self, heading: &str) -> Option<u16> {
        self.branches.get(heading).copied()
    }
}

fn branches(path: &Path, text: &str) -> Result<HashMap<String, u16>> {
    let mut branches = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let fault = |found: &str| Error::Field {
            path: path.to_owned(),
            place: format!("line {}", index + 1),
            expected: "a heading and its place, such as \"Head;A01.456\"".into(),
            found: format!("{:?}", found.chars().take(60).collect::<String>()),
        };
        let (heading, place) = line.rsplit_once(';').ok_or_else(|| fault(line))?;
        let branch = bit(place.trim()).ok_or_else(|| fault(line))?;
        if heading.trim().is_empty() {
            return Err(fault(line));
        }
        *branches.entry(heading.trim().to_owned()).or_default() |= branch;
    }
    match branches.is_empty() {
        true => Err(Error::Field {
            path: path.to_owned(),
            place: "line 1".into(),
            expected: "a heading and its place, such as \"Head;A01.456\"".into(),
            found: "nothing".into(),
        }),
        false => Ok(branches),
    }
}

/// The bit of `A01.236`'s branch: a letter, two digits, and any number of groups of three.
fn bit(place: &str) -> Option<u16> {
    let mut letters = place.chars();
    let letter = letters.next()?;
    let number = BRANCHES.iter().position(|(branch, _)| *branch == letter)?;
    let mut parts = letters.as_str().split('.');
    let digits =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let good =
        parts.next().is_some_and(|part| digits(part, 2)) && parts.all(|part| digits(part, 3));
    good.then_some(1 << number)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{MeshTree, branches};

    #[test]
    fn a_heading_stands_in_every_branch_of_its_places() {
        let tree = "Body Regions;A01\r\nHead;A01.456\n\nEye;A01.456.505.420\nEye;A09.371\nHumans;B01.050.150\n\
                    Seroepidemiologic Studies;E05.318\nSeroepidemiologic Studies;N05.715\nGeographic Locations;Z01\n";
        let found = branches(Path::new("t"), tree).expect("reads");
        assert_eq!(found["Eye"], 1);
        assert_eq!(found["Humans"], 2);
        assert_eq!(found["Seroepidemiologic Studies"], 1 << 4 | 1 << 13);
        assert_eq!(found["Geographic Locations"], 1 << 15);
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn a_bad_line_is_reported_with_file_line_and_content() {
        let error = |text: &str| {
            branches(Path::new("mtrees.bin"), text)
                .expect_err("refused")
                .to_string()
        };
        let expected = "expected a heading and its place, such as \"Head;A01.456\", found";
        for (text, line, found) in [
            ("Head;A01.456\nEye", 2, "\"Eye\""),
            ("Head;X01.456", 1, "\"Head;X01.456\""),
            ("Head;A1", 1, "\"Head;A1\""),
            ("Head;A01.45", 1, "\"Head;A01.45\""),
            ("Head;", 1, "\"Head;\""),
            ("\n;A01", 2, "\";A01\""),
            ("\n", 1, "nothing"),
        ] {
            assert_eq!(
                error(text),
                format!("mtrees.bin: line {line}: {expected} {found}")
            );
        }
        let missing = MeshTree::read("no/such/file")
            .expect_err("no file")
            .to_string();
        assert!(missing.starts_with("no/such/file: "), "{missing}");
    }
}

//! How a source is written on a command line or in a settings file: `kind:argument`, and behind a
//! question mark what is to be done with its rows.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::{Error, Label, Result, Source, Specialty};

/// A source and the options for its rows. Reads from and writes as
/// `kind:argument?name=value&name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The source.
    pub source: Source,
    /// Seats that a row of this source gets where classes are sampled, against 1 of another's.
    pub weight: u32,
    /// The most rows that it gives, drawn by the seed.
    pub cap: Option<usize>,
    /// The same of each class, in the order of [`Label::ALL`].
    pub class_caps: [Option<usize>; 3],
    /// Only rows of these specialties; all rows where none is named.
    pub specialties: Vec<Specialty>,
    /// Levels of difficulty of generated rows; all where none is named.
    pub levels: Vec<u8>,
    /// What the columns of own rows are called.
    pub columns: ColumnMapping,
    /// Repository and commit that the files came from, for the manifest. Is not written.
    pub hub: Option<String>,
}

/// What the columns of own rows (`jsonl`, `csv`, `parquet`) are called, and how they write the labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnMapping {
    /// The question.
    pub question: String,
    /// Its label.
    pub label: String,
    /// Why.
    pub rationale: String,
    /// Text before the question; may be missing.
    pub context: String,
    /// Name of the row; may be missing.
    pub id: String,
    /// What ties rows together; may be missing.
    pub group: String,
    /// The split that a row belongs to (train, validation, test); may be missing.
    pub split: String,
    /// The words for each label, in the order of [`Label::ALL`]; none where they are `yes`, `no`,
    /// `maybe` or `uncertain`.
    pub words: [Option<String>; 3],
}

impl Default for ColumnMapping {
    fn default() -> ColumnMapping {
        ColumnMapping {
            question: "question".into(),
            label: "label".into(),
            rationale: "rationale".into(),
            context: "context".into(),
            id: "id".into(),
            group: "group".into(),
            split: "split".into(),
            words: [None, None, None],
        }
    }
}

impl ColumnMapping {
    /// A label by its own word, or by the usual ones where none was given.
    pub(crate) fn read_label(&self, text: &str) -> Option<Label> {
        let text = text.trim();
        let is = |label: &Label| {
            let own = self.words[label.index()].as_ref();
            own.is_some_and(|own| own.eq_ignore_ascii_case(text))
        };
        let own = Label::ALL.into_iter().find(is);
        own.or_else(|| Label::parse(text).filter(|label| self.words[label.index()].is_none()))
    }

    /// The words, for an error.
    pub(crate) fn label_words(&self) -> String {
        match &self.words {
            [None, None, None] => "yes, no, maybe or uncertain".into(),
            words => {
                let usual = ["yes", "no", "maybe or uncertain"];
                let words = words.iter().zip(usual);
                let words = words.map(|(own, usual)| own.as_deref().unwrap_or(usual));
                words.collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Every column's name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [
            &self.question,
            &self.label,
            &self.rationale,
            &self.context,
            &self.id,
            &self.group,
            &self.split,
        ]
        .into_iter()
        .map(String::as_str)
    }

    /// The fields by the names of their options.
    fn named(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "question" => &mut self.question,
            "label" => &mut self.label,
            "rationale" => &mut self.rationale,
            "context" => &mut self.context,
            "id" => &mut self.id,
            "group" => &mut self.group,
            "split" => &mut self.split,
            _ => return None,
        })
    }
}

const NAMES: [&str; 7] = [
    "question",
    "label",
    "rationale",
    "context",
    "id",
    "group",
    "split",
];

/// Every option, for messages and help.
pub const OPTIONS: &str = "weight, cap, cap.yes, cap.no, cap.uncertain, specialty; for stats level; for jsonl, csv and parquet \
     question, label, rationale, context, id, group, split (names of columns), label.yes, label.no, label.uncertain (their words)";

impl From<Source> for Input {
    fn from(source: Source) -> Input {
        Input {
            source,
            weight: 1,
            cap: None,
            class_caps: [None; 3],
            specialties: Vec::new(),
            levels: Vec::new(),
            columns: ColumnMapping::default(),
            hub: None,
        }
    }
}

impl FromStr for Input {
    type Err = Error;

    fn from_str(text: &str) -> Result<Input> {
        let (source, _) = parts(text);
        Input::from(source.parse::<Source>()?).with_options(text)
    }
}

/// A source's text and its options.
pub(crate) fn parts(text: &str) -> (&str, Option<&str>) {
    let reads = |kind: &str| {
        ["jsonl", "csv", "parquet", "bioasq"].contains(&kind) || kind.starts_with("pubmedqa-")
    };
    split_options(text, reads, is_option)
}

/// A source's text and its options, of sources that have other kinds or options too: `reads` says whether a kind reads
/// a file, `is_option` whether an option has the name. A file's name may contain question marks: options begin at the
/// first one that the name of an option follows; where a file of the whole name exists, there are none.
pub fn split_options(
    text: &str,
    reads: impl Fn(&str) -> bool,
    is_option: impl Fn(&str) -> bool,
) -> (&str, Option<&str>) {
    let Some((kind, path)) = text.split_once(':') else {
        return first_mark(text);
    };
    if !reads(kind) {
        return first_mark(text);
    }
    if Path::new(path).exists() {
        return (text, None);
    }
    let marks = || text.match_indices('?').map(|(at, _)| at);
    let there = |at: &usize| Path::new(&text[kind.len() + 1..*at]).exists();
    let named = |at: &usize| {
        let name = text[at + 1..].split_once('=').map(|(name, _)| name);
        name.is_some_and(&is_option)
    };
    // No known option follows any: take what looks like one, so that it is reported, or what follows a file's name.
    let like = |at: &usize| {
        let name = text[at + 1..].split_once('=').map(|(name, _)| name);
        let letters = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'.');
        there(at) || name.is_some_and(letters)
    };
    let of_file = marks().find(|at| named(at) && there(at));
    match of_file
        .or_else(|| marks().find(named))
        .or_else(|| marks().find(like))
    {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

fn first_mark(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((source, options)) => (source, Some(options)),
        None => (text, None),
    }
}

/// Whether an option has the name.
fn is_option(name: &str) -> bool {
    let class = |of| class(name, of).is_some();
    ["weight", "cap", "level", "specialty"].contains(&name)
        || NAMES.contains(&name)
        || class("cap")
        || class("label")
}

/// The class that `cap.yes` or `label.yes` names.
fn class(name: &str, of: &str) -> Option<usize> {
    let label = name.strip_prefix(of)?.strip_prefix('.')?;
    Label::parse(label).map(Label::index)
}

impl Input {
    /// With the options that follow the question mark of `text`.
    ///
    /// # Errors
    /// [`Error::SourceOption`], which names the whole text.
    pub fn with_options(mut self, text: &str) -> Result<Input> {
        let (_, options) = parts(text);
        for option in options.into_iter().flat_map(|options| options.split('&')) {
            self.set(text, option)?;
        }
        Ok(self)
    }

    fn set(&mut self, text: &str, option: &str) -> Result<()> {
        let wrong = |expected: String| Error::SourceOption {
            text: text.to_owned(),
            expected,
            found: option.to_owned(),
        };
        let Some((name, value)) = option.split_once('=') else {
            return Err(wrong(format!("name=value, with a name of {OPTIONS}")));
        };
        let number = |least: usize| match value.parse::<usize>() {
            Ok(number) if number >= least => Ok(number),
            _ => Err(wrong(format!("{name} as a whole number from {least} on"))),
        };
        let table = matches!(
            self.source,
            Source::Jsonl(_) | Source::Csv(_) | Source::Parquet(_)
        );
        if name == "weight" {
            self.weight =
                u32::try_from(number(1)?).map_err(|_| wrong("a smaller weight".into()))?;
        } else if name == "cap" {
            self.cap = Some(number(0)?);
        } else if name == "specialty" {
            let named = value.split(',').map(str::parse::<Specialty>);
            self.specialties = named
                .collect::<std::result::Result<_, _>>()
                .map_err(wrong)?;
        } else if name == "level" && matches!(self.source, Source::Stats(_)) {
            let levels = value.split(',').map(|level| level.parse().ok());
            let levels: Option<Vec<u8>> = levels.collect();
            let known = |levels: &Vec<u8>| levels.iter().all(|level| (1..=3).contains(level));
            let levels = levels.filter(known);
            self.levels =
                levels.ok_or_else(|| wrong("levels from 1 to 3, joined by commas".into()))?;
        } else if let Some(class) = class(name, "cap") {
            self.class_caps[class] = Some(number(0)?);
        } else if let (Some(class), true) = (class(name, "label"), table) {
            self.columns.words[class] = Some(value.to_owned());
        } else if let (Some(column), true) = (self.columns.named(name), table) {
            value.clone_into(column);
        } else {
            return Err(wrong(format!("a name of {OPTIONS}")));
        }
        Ok(())
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = Vec::new();
        if self.weight != 1 {
            options.push(format!("weight={}", self.weight));
        }
        options.extend(self.cap.map(|cap| format!("cap={cap}")));
        let names = Label::ALL.map(|label| label.as_str().to_lowercase());
        for (cap, label) in self.class_caps.iter().zip(&names) {
            options.extend(cap.map(|cap| format!("cap.{label}={cap}")));
        }
        if !self.specialties.is_empty() {
            let names: Vec<&str> = self.specialties.iter().map(|of| of.name()).collect();
            options.push(format!("specialty={}", names.join(",")));
        }
        if !self.levels.is_empty() {
            let levels: Vec<String> = self.levels.iter().map(u8::to_string).collect();
            options.push(format!("level={}", levels.join(",")));
        }
        let (mut usual, mut own) = (ColumnMapping::default(), self.columns.clone());
        for name in NAMES {
            if let (Some(own), Some(usual)) = (own.named(name), usual.named(name))
                && own != usual
            {
                options.push(format!("{name}={own}"));
            }
        }
        for (word, label) in own.words.iter().zip(&names) {
            options.extend(word.as_ref().map(|word| format!("label.{label}={word}")));
        }
        let source = self.source.to_string();
        if options.is_empty() && parts(&source).1.is_some() {
            // The end of the file's name would be read as an option.
            options.push("weight=1".into());
        }
        let mark = if options.is_empty() { "" } else { "?" };
        write!(f, "{source}{mark}{}", options.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::Input;
    use crate::Label;

    #[test]
    fn every_option_reads_what_it_writes() {
        for text in [
            "clinical",
            "stats:30?weight=3&level=1,3",
            "bioasq:b?specialty=cardiology,oncology",
            "pubmedqa-artificial:a.json?cap=100&cap.yes=40&cap.uncertain=0",
            "jsonl:What is flu A?.jsonl",
            "jsonl:What? Is it?.jsonl?cap=3&question=Is it?",
            "csv:100%#1?&.csv?question=Is it?",
            "parquet:a?B=c d.parquet",
            "csv:a.csv?question=Q&label=y&rationale=why&context=c&id=n&group=g&split=s&label.yes=1&label.no=0",
        ] {
            assert_eq!(text.parse::<Input>().expect("good").to_string(), text);
        }
    }

    #[test]
    fn faults_name_the_source_the_option_and_what_it_may_be() {
        let error = |text: &str| text.parse::<Input>().expect_err("refused").to_string();
        assert_eq!(
            error("stats:30?weight=0"),
            "source \"stats:30?weight=0\": expected weight as a whole number from 1 on, found \"weight=0\""
        );
        assert!(error("stats:30?level=4").contains("expected levels from 1 to 3"));
        assert!(error("stats:30?question=q").contains("expected a name of weight, cap"));
        assert!(error("clinical?heavy").contains("expected name=value"));
        assert!(error("csv:a.csv?qestion=Q").contains("found \"qestion=Q\""));
        assert!(error("clinical?cap.perhaps=3").contains("found \"cap.perhaps=3\""));
    }

    #[test]
    fn own_words_for_labels_stand_for_the_usual_ones() {
        let input: Input = "csv:a?label.yes=1&label.no=0".parse().expect("good");
        let read = |text| input.columns.read_label(text);
        assert_eq!(read("1"), Some(Label::Yes));
        assert_eq!(read(" 0 "), Some(Label::No));
        assert_eq!(read("maybe"), Some(Label::Uncertain));
        assert_eq!(read("yes"), None);
        assert_eq!(input.columns.label_words(), "1, 0, maybe or uncertain");
    }
}

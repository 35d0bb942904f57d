//! What is indexed: one publication with its title and the sections of its abstract.

use serde::{Deserialize, Serialize};

/// One publication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The PMID (`21645374`), or the id that another source gives. Unique in an index.
    pub id: String,
    /// The title, in English where there is an English one.
    pub title: String,
    /// The abstract: one section without a label, or several with one each. Empty where there is no abstract.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// The year of publication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// The journal's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// MeSH headings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mesh: Vec<String>,
    /// Publication types, as PubMed writes them (`Randomized Controlled Trial`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Retractions, corrections and expressions of concern.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// The kind of source that it was read from (`pubmed`, `pubmedqa-labeled`, …).
    pub source: String,
}

/// A part of an abstract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The heading as it is written (`RESULTS`, `MATERIALS AND METHODS`); none in an abstract without headings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the section is about.
    pub kind: SectionKind,
    /// The text, without mark-up.
    pub text: String,
}

/// What a section is about, as NLM groups the headings of structured abstracts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SectionKind {
    /// Why the study was made.
    Background,
    /// What it was to find out.
    Objective,
    /// What was done.
    Methods,
    /// What was found.
    Results,
    /// What follows from it.
    Conclusions,
    /// Anything else, and abstracts without headings.
    #[default]
    Other,
}

impl SectionKind {
    /// The kind of a heading. NLM's own attribute (`NlmCategory`) comes first where a file has it; this reads the
    /// heading itself, in any case and number.
    pub fn of_heading(heading: &str) -> SectionKind {
        let heading = heading.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| heading.contains(word));
        // "Conclusions" before "results": RESULTS AND CONCLUSIONS is read for its conclusion.
        if has(&[
            "conclusion",
            "interpretation",
            "implication",
            "discussion",
            "significance",
            "relevance",
        ]) {
            SectionKind::Conclusions
        } else if has(&["result", "finding", "outcome", "observation"]) && !has(&["measure"]) {
            SectionKind::Results
        } else if has(&[
            "objective",
            "aim",
            "purpose",
            "goal",
            "hypothes",
            "question",
        ]) {
            SectionKind::Objective
        } else if has(&[
            "method",
            "design",
            "setting",
            "patient",
            "participant",
            "subject",
            "intervention",
            "measure",
            "material",
            "population",
            "procedure",
            "data",
            "sample",
            "analys",
        ]) {
            SectionKind::Methods
        } else if has(&[
            "background",
            "introduction",
            "context",
            "rationale",
            "importance",
        ]) {
            SectionKind::Background
        } else {
            SectionKind::Other
        }
    }
}

/// A notice that changes how far a publication can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it says.
    pub kind: NoticeKind,
    /// Where it was published, as the source writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// PMID of the notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pmid: Option<String>,
}

/// What a notice says of the publication that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// It was retracted.
    Retracted,
    /// It was corrected.
    Corrected,
    /// The editors have expressed concern.
    Concern,
}

impl Document {
    /// Whether it was retracted.
    pub fn is_retracted(&self) -> bool {
        self.notices
            .iter()
            .any(|notice| notice.kind == NoticeKind::Retracted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_name_their_kind() {
        for (heading, kind) in [
            ("RESULTS", SectionKind::Results),
            ("Main outcome measures", SectionKind::Methods),
            ("MATERIALS AND METHODS", SectionKind::Methods),
            ("RESULTS AND CONCLUSIONS", SectionKind::Conclusions),
            ("PURPOSE", SectionKind::Objective),
            ("BACKGROUND AND AIMS", SectionKind::Objective),
            ("INTRODUCTION", SectionKind::Background),
            ("", SectionKind::Other),
        ] {
            assert_eq!(SectionKind::of_heading(heading), kind, "{heading}");
        }
    }
}

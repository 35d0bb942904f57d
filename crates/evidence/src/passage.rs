//! The part of a document that is put before a question.
//!
//! An abstract that is too long loses what answers least: whole sections in the order of [`LOSES_FIRST`], so that results
//! and conclusions are kept longest. What is kept stays in the document's order. An abstract without headings loses its
//! beginning, as contexts do everywhere.

use verdict_data::latest_sentences;

use crate::{Document, Section, SectionKind};

/// The order in which sections are dropped.
pub const LOSES_FIRST: [SectionKind; 6] = [
    SectionKind::Methods,
    SectionKind::Background,
    SectionKind::Objective,
    SectionKind::Other,
    SectionKind::Conclusions,
    SectionKind::Results,
];

/// What of a document may be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conclusions {
    /// All of it.
    #[default]
    Kept,
    /// All but its conclusions: for the source of a benchmark's question, whose conclusion is the answer. A document whose
    /// abstract is not in sections has no passage then, because its conclusion cannot be separated from the rest.
    Hidden,
}

/// The text of a document, shortened until it fits; `None` where nothing may be shown or nothing fits. A document
/// without an abstract gives its title.
pub fn passage(
    document: &Document,
    conclusions: Conclusions,
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let shown = |section: &&Section| match conclusions {
        Conclusions::Kept => true,
        Conclusions::Hidden => section.kind != SectionKind::Conclusions,
    };
    let hidden = conclusions == Conclusions::Hidden;
    if hidden
        && document
            .sections
            .iter()
            .all(|section| section.label.is_none())
    {
        return None;
    }
    let mut sections: Vec<&Section> = document.sections.iter().filter(shown).collect();
    if document.sections.is_empty() {
        return Some(document.title.clone()).filter(|title| !title.is_empty() && fits(title));
    }
    for kind in LOSES_FIRST {
        while !fits(&joined(&sections)) && sections.len() > 1 {
            let Some(place) = sections.iter().position(|section| section.kind == kind) else {
                break;
            };
            sections.remove(place);
        }
    }
    let text = joined(&sections);
    let text = latest_sentences(&text, fits);
    (!text.is_empty()).then(|| text.to_owned())
}

fn joined(sections: &[&Section]) -> String {
    let texts: Vec<&str> = sections.iter().map(|section| section.text.trim()).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(sections: &[(&str, &str)]) -> Document {
        Document {
            id: "1".into(),
            title: "Does it help?".into(),
            sections: sections
                .iter()
                .map(|(label, text)| Section {
                    label: (!label.is_empty()).then(|| (*label).to_owned()),
                    kind: SectionKind::of_heading(label),
                    text: (*text).to_owned(),
                })
                .collect(),
            ..Document::default()
        }
    }

    fn words(most: usize) -> impl Fn(&str) -> bool {
        move |text| text.split_whitespace().count() <= most
    }

    fn of(document: &Document, conclusions: Conclusions, most: usize) -> Option<String> {
        passage(document, conclusions, words(most))
    }

    #[test]
    fn results_and_conclusions_are_kept_longest() {
        let whole = document(&[
            ("BACKGROUND", "Pain is common."),
            ("METHODS", "We asked forty."),
            ("RESULTS", "Thirty had less. Ten had more."),
            ("CONCLUSIONS", "It helps."),
        ]);
        let kept = |most| of(&whole, Conclusions::Kept, most).unwrap();
        assert_eq!(
            kept(14),
            "Pain is common. We asked forty. Thirty had less. Ten had more. It helps."
        );
        assert_eq!(
            kept(13),
            "Pain is common. Thirty had less. Ten had more. It helps."
        );
        assert_eq!(kept(10), "Thirty had less. Ten had more. It helps.");
        assert_eq!(kept(7), "Thirty had less. Ten had more.");
        assert_eq!(kept(5), "Ten had more.");
        assert_eq!(kept(2), "had more.");
        assert_eq!(of(&whole, Conclusions::Kept, 0), None);
    }

    #[test]
    fn a_hidden_conclusion_is_in_no_passage() {
        let whole = document(&[("RESULTS", "Thirty had less."), ("CONCLUSION", "It helps.")]);
        assert_eq!(
            of(&whole, Conclusions::Hidden, 99).as_deref(),
            Some("Thirty had less.")
        );
        let plain = document(&[("", "Thirty had less. We conclude that it helps.")]);
        assert_eq!(of(&plain, Conclusions::Hidden, 99), None);
        assert_eq!(of(&document(&[]), Conclusions::Hidden, 99), None);
        let alone = document(&[("CONCLUSION", "It helps.")]);
        assert_eq!(of(&alone, Conclusions::Hidden, 99), None);
    }

    #[test]
    fn without_sections_the_beginning_goes_and_without_an_abstract_the_title_is_left() {
        let plain = document(&[("", "Forty were asked. Thirty had less.")]);
        assert_eq!(
            of(&plain, Conclusions::Kept, 3).as_deref(),
            Some("Thirty had less.")
        );
        assert_eq!(
            of(&document(&[]), Conclusions::Kept, 3).as_deref(),
            Some("Does it help?")
        );
        assert_eq!(of(&document(&[]), Conclusions::Kept, 2), None);
    }
}

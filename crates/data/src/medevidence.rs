//! MedEvidence as a benchmark: conclusions of Cochrane reviews, each with the abstracts of its studies.
//!
//! Source: Polzak et al., "Can Large Language Models Match the Conclusions of Systematic Reviews?", 2025; JSON lines with
//! `question`, `answer`, `sources` (PMID to title and abstract), `evidence_certainty` and `medical_specialty`.
//!
//! A question there asks whether something is "higher, lower, or the same when comparing A to B". Here it becomes two
//! yes/no questions, of which at most one is answered Yes:
//!
//! | published answer | "Is … higher when comparing A to B?" | "Is … lower when comparing A to B?" |
//! |---|---|---|
//! | higher | Yes | No |
//! | lower | No | Yes |
//! | no difference | No | No |
//! | uncertain effect, insufficient data | Uncertain | Uncertain |
//!
//! The benchmark is only evaluated on; nothing of it is read by `build`.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::prompted::{clean_context, clean_question};
use crate::sources::Row;
use crate::text::regex;
use crate::{Error, Item, Label, Result, read_text};

/// A yes/no question of the benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewQuestion {
    /// The question and its label. Its context is all abstracts, one after the other; its group is the review.
    pub item: Item,
    /// PMID and abstract of each study, in the order of the file.
    pub studies: Vec<(String, String)>,
    /// The certainty of evidence that the review states (`high`, `moderate`, `low`, `very low`, or `not stated`).
    pub certainty: String,
    /// The medical specialty.
    pub specialty: String,
}

/// Reads the benchmark: two questions for each line.
///
/// # Errors
/// A file that cannot be read, a line that is no JSON, a field that is missing or is something else.
pub fn medevidence(path: &Path) -> Result<Vec<ReviewQuestion>> {
    let text = read_text(path)?;
    let mut questions = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let object: Value =
            serde_json::from_str(line).map_err(|error| Error::json(path, number + 1, &error))?;
        let row = Row {
            path,
            place: format!("line {}", number + 1),
            object: &object,
        };
        questions.extend(both(&row)?);
    }
    Ok(questions)
}

/// The choice that a question offers, in either order.
static CHOICE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b(?:higher,? lower|lower,? higher),? or the same\b"));

/// The two questions of a line.
fn both(row: &Row<'_>) -> Result<[ReviewQuestion; 2]> {
    let text = row.text("question")?;
    let Some(choice) = CHOICE.find(text) else {
        return Err(row.fault(
            "field \"question\" with \"higher, lower, or the same\"".into(),
            format!("{text:?}"),
        ));
    };
    let truths = match row.text("answer")? {
        "higher" => [Label::Yes, Label::No],
        "lower" => [Label::No, Label::Yes],
        "no difference" => [Label::No, Label::No],
        "uncertain effect" | "insufficient data" => [Label::Uncertain, Label::Uncertain],
        other => {
            return Err(row.fault(
                "field \"answer\" as higher, lower, no difference, uncertain effect or insufficient data".into(),
                format!("{other:?}"),
            ));
        }
    };
    let id = row.word("question_id")?;
    let group = match row.optional_word("original_review")? {
        Some(review) => format!("pmid:{review}"),
        None => format!("medevidence:{id}"),
    };
    let studies = studies(row)?;
    let context = studies.iter().map(|(_, text)| text.as_str());
    let context = context.collect::<Vec<_>>().join(" ");
    let certainty = row.optional_text("evidence_certainty")?.unwrap_or_default();
    let certainty = match certainty {
        "" => "not stated",
        stated => stated,
    };
    let specialty = row.optional_text("medical_specialty")?.unwrap_or("Other");
    let question = |direction: &str, label: Label| {
        let text = format!(
            "{}{direction}{}",
            &text[..choice.start()],
            &text[choice.end()..]
        );
        ReviewQuestion {
            item: Item {
                id: format!("medevidence:{id}:{direction}"),
                question: clean_question(&text).unwrap_or(text),
                label,
                rationale: String::new(),
                source: "medevidence".into(),
                group: group.clone(),
                context: Some(context.clone()),
            },
            studies: studies.clone(),
            certainty: certainty.to_owned(),
            specialty: specialty.to_owned(),
        }
    };
    Ok([question("higher", truths[0]), question("lower", truths[1])])
}

fn studies(row: &Row<'_>) -> Result<Vec<(String, String)>> {
    let Some(sources) = row.object["sources"]
        .as_object()
        .filter(|of| !of.is_empty())
    else {
        return Err(row.fault(
            "field \"sources\" as an object of studies by PMID".into(),
            "none".into(),
        ));
    };
    let mut studies = Vec::new();
    for (pmid, object) in sources {
        let study = Row {
            path: row.path,
            place: format!("{}, source {pmid}", row.place),
            object,
        };
        let text = study.text("content")?;
        if let Some(text) = clean_context(text) {
            studies.push((pmid.clone(), text));
        }
    }
    Ok(studies)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LINE: &str = r#"{"question_id":7,"question":"Is mortality higher, lower, or the same when comparing A to B?","answer":"lower","evidence_certainty":"","medical_specialty":"Surgery","original_review":"28660687","sources":{"17":{"content":"A died less.\nBy half."},"18":{"content":"No difference."}}}"#;

    fn read(text: &str) -> Result<Vec<ReviewQuestion>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        medevidence(file.path())
    }

    #[test]
    fn one_line_becomes_two_questions() {
        let found = read(LINE).unwrap();
        let questions: Vec<_> = found
            .iter()
            .map(|of| (of.item.question.as_str(), of.item.label))
            .collect();
        assert_eq!(
            questions,
            [
                ("Is mortality higher when comparing A to B?", Label::No),
                ("Is mortality lower when comparing A to B?", Label::Yes),
            ]
        );
        let first = &found[0];
        assert_eq!(first.item.group, "pmid:28660687");
        assert_eq!(
            first.item.context.as_deref(),
            Some("A died less. By half. No difference.")
        );
        assert_eq!(first.studies[1], ("18".into(), "No difference.".into()));
        assert_eq!(
            (first.certainty.as_str(), first.specialty.as_str()),
            ("not stated", "Surgery")
        );
        for (answer, labels) in [
            ("higher", [Label::Yes, Label::No]),
            ("no difference", [Label::No, Label::No]),
            ("uncertain effect", [Label::Uncertain; 2]),
            ("insufficient data", [Label::Uncertain; 2]),
        ] {
            let found = read(&LINE.replace("\"lower\"", &format!("{answer:?}"))).unwrap();
            assert_eq!(
                [found[0].item.label, found[1].item.label],
                labels,
                "{answer}"
            );
        }
    }

    #[test]
    fn each_wrong_field_is_reported_with_its_place() {
        for (from, to, expected) in [
            (
                "\"lower\"",
                "\"smaller\"",
                "line 1: expected field \"answer\" as higher, lower",
            ),
            (
                "higher, lower, or the same",
                "higher",
                "\"higher, lower, or the same\", found \"Is mortality higher",
            ),
            (
                "\"content\":\"No",
                "\"text\":\"No",
                "line 1, source 18: expected field \"content\" as text",
            ),
            (
                "\"sources\"",
                "\"studies\"",
                "expected field \"sources\" as an object of studies by PMID, found none",
            ),
            ("{\"question_id\"", "{question_id", "line 1"),
        ] {
            let changed = LINE.replacen(from, to, 1);
            assert_ne!(changed, LINE);
            let fault = read(&changed).unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
        }
    }
}

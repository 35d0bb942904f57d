//! Questions and contexts of a user, cleaned like those of training examples.

use crate::build::question;
use crate::mend::mend;
use crate::rules::built_in;

/// A question as training rows have it: byte order marks, soft hyphens, entities and mark-up mended, blanks of every
/// kind one space, no citations, a question mark at its end. None where it holds no letter and no digit: there is
/// nothing to ask.
pub fn clean_question(text: &str) -> Option<String> {
    let asked = question(text, built_in(), &mut |_, _, _| {});
    asked.contains(char::is_alphanumeric).then_some(asked)
}

/// A context as training rows have it: mended, and without citations. None where it holds no letter and no digit.
pub fn clean_context(text: &str) -> Option<String> {
    let (asked, _) = built_in().citations.remove(&mend(text));
    asked.contains(char::is_alphanumeric).then_some(asked)
}

#[cfg(test)]
mod tests {
    use super::{clean_context, clean_question};
    use crate::build::{BuildSettings, build};
    use crate::{Balance, DataSet, Input};

    /// Questions as people paste them, all of them one and the same.
    const PASTED: [&str; 8] = [
        "Does zinc shorten a cold in <5-year-old children?",
        "\u{feff}Does zinc shorten a cold in <5-year-old children?\r",
        "Does zinc short\u{ad}en a cold\u{a0}in &lt;5-year-old child\u{200b}ren?",
        "  Does  zinc\tshorten a cold in &#60;5\u{2011}year\u{2011}old children ?",
        "Does <i>zinc</i> shorten a cold in <5-year-old children",
        "Does zinc shorten a cold in <5-year-old children [3]?",
        "Does zinc shorten a cold in <5-year-old children.",
        "\u{2066}Does zinc shorten a cold in\u{2028}<5-year-old children?\u{2069}",
    ];

    #[test]
    fn a_question_is_asked_as_it_would_be_trained_on() {
        for pasted in PASTED {
            assert_eq!(clean_question(pasted).as_deref(), Some(PASTED[0]));
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("rows.jsonl");
            let row = serde_json::json!({"question": pasted, "label": "no", "rationale": "Trials found no effect."});
            std::fs::write(&file, row.to_string()).expect("written");
            let source: Input = format!("jsonl:{}", file.display()).parse().expect("good");
            let mut settings = BuildSettings::new([source], folder.path().join("data"));
            settings.balance = Balance::Natural;
            build(&settings).expect("built");
            let set = DataSet::read(settings.out).expect("reads");
            assert_eq!(
                clean_question(pasted).as_ref(),
                set.train.first().map(|row| &row.question)
            );
        }
    }

    #[test]
    fn nothing_visible_is_no_question() {
        for nothing in [
            "",
            " \t",
            "\u{feff}",
            "\u{200b}\u{ad}",
            "&nbsp;",
            "<br/>",
            "?",
            "\u{2066}\u{2069} ?",
        ] {
            assert_eq!(clean_question(nothing), None, "{nothing:?}");
            assert_eq!(clean_context(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_question_mark_of_another_script_is_one() {
        for question in ["维生素D对哮喘有帮助吗？", "هل يساعد الزنك في نزلات البرد؟"]
        {
            assert_eq!(clean_question(question).as_deref(), Some(question));
        }
        assert_eq!(
            clean_question("维生素D对哮喘有帮助吗。").as_deref(),
            Some("维生素D对哮喘有帮助吗?")
        );
    }

    #[test]
    fn a_context_is_mended_too() {
        assert_eq!(
            clean_context("\u{feff}Zinc, p&nbsp;&lt; 0.05 ,\nwas  better.").as_deref(),
            Some("Zinc, p < 0.05, was better.")
        );
    }
}

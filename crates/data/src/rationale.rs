//! From a source's answer text to a rationale: one sentence, without the label word it opens with
//! and without citations.

use std::sync::LazyLock;

use regex::Regex;

use crate::mend::mend_by;
use crate::sentences::{is_ordinal, sentences};
use crate::text::{capitalised, fixpoint, regex, tidy, words};
use crate::{Label, Rules};

/// "Yes it does", "Yes bortezomib is": no mark between, but no other reading either. The kinase Yes
/// is one, and so is "yes or no".
static BARE_YES: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^[Yy]es\s+([a-z]+|The|This|These|There|They|It|In|A|An)\b"));
const AFTER_OTHER_YES: &[&str] = &[
    "or", "and", "kinase", "kinases", "protein", "proteins", "gene", "tyrosine", "family", "was",
    "is",
];
/// Bullets, colons and notes of correction that precede a sentence.
static DEBRIS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:[\s:;,.•·*–—-]+|\[(?i:corrected|sic|note)\]|(?:[0-9]{1,2}|[a-z])[.)]\s+|\([0-9a-z]\)\s+)+",
    )
});
/// "No the drug", "No there is", "No MVA85A is a": the label word without a mark. No noun may follow it that could
/// be denied.
static BARE_NO: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^[Nn]o\s+((?:[Tt]he|[Aa]n|[Tt]here|[Ii]t|[Tt]hey|[Tt]hese|[Tt]his|[Tt]hose|[Ii]ts|[Tt]heir|[Ww]e|[Bb]ut|[Bb]ecause|[Aa]lthough)\s|[\p{L}0-9α-ω/+-]*(?:\p{Lu}[\p{L}-]*[0-9]|[0-9][\p{L}-]*\p{Lu}|\p{Lu}\p{Lu})[\p{L}0-9α-ω/+-]*\s+(?:is|are|was|were|does|do|did|has|have|can|could|cannot|should)\s+(?:an?|the|not|no|also|one|only|mainly|primarily|known to|neither)\s|[0-9]+(?:[- ][\p{L}0-9]+){1,3}\s+(?:does|do|did|is|are|was|were|has|have)\s+not\s|[\p{L}-]+\s+(?:does|do|did|is|are|was|were|has|have|can|could|should)\s+not\s)",
    )
});

/// What became of an answer text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// The rationale; blank where the answer held no sentence of enough words.
    pub(crate) text: String,
    /// The label word that the answer opened with.
    pub(crate) lead: Option<Label>,
    /// The answer had more sentences than the one that was kept.
    pub(crate) cut: bool,
    /// Speech about the study or a label word within was taken off.
    pub(crate) talked: bool,
}

/// One sentence out of an answer text that is mended and free of citations. Cleaning what comes
/// out changes nothing more.
pub(crate) fn clean(answer: &str, rules: &Rules) -> Cleaned {
    let mut cleaned = Cleaned {
        lead: strip_lead(answer, rules).map(|(label, _)| label),
        ..Cleaned::default()
    };
    cleaned.text = fixpoint(answer.to_owned(), |text| {
        let (text, _) = rules.citations.remove(&mend_by(text, rules));
        let text = match strip_lead(&text, rules) {
            Some((_, rest)) => rest.to_owned(),
            None => text,
        };
        let text = DEBRIS.replace(&text, "");
        let mut all = sentences(&text);
        let kept = all.find(|sentence| words(sentence) >= rules.rationale_words);
        let kept = kept.unwrap_or_default();
        cleaned.cut |= all.next().is_some();
        let spoken = unspoken(kept, rules);
        cleaned.talked |= spoken.is_some();
        finished(spoken.as_deref().unwrap_or(kept))
    });
    cleaned
}

/// The sentences of an answer text that is mended and free of citations, each as the rationale it would make, in order;
/// and the sentence before that, with "Therefore, …". Sentences of too few words are left out.
pub(crate) fn each_of(answer: &str, rules: &Rules) -> Vec<(String, String)> {
    let rest = match strip_lead(answer, rules) {
        Some((_, rest)) => rest,
        None => answer,
    };
    let rest = DEBRIS.replace(rest, "");
    let each = sentences(&rest).map(|sentence| (clean(sentence, rules).text, sentence.to_owned()));
    each.filter(|(text, _)| !text.is_empty()).collect()
}

/// What follows speech about the study where "that" is a pronoun: "evidence that implicates ticks".
static VERB: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(?:is|are|was|were|has|have|had|can|could|may|might|will|would|should|does|do|did|suggests?|supports?|indicates?|implicates?|shows?|links?|demonstrates?|confirms?|contradicts?)\b",
    )
});
/// A second finding of the same study: "…, suggest that …".
static SECOND: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?:,| and| but) (?:suggest|indicate|show|demonstrate|confirm|support|imply|reveal)s? that\b",
    )
});
/// "be" and the word before it.
static BE: LazyLock<Regex> = LazyLock::new(|| regex(r"([\p{L}-]+) be "));
/// Words that may precede "be" in an indicative sentence.
const BEFORE_BE: &[&str] = &[
    "can",
    "cannot",
    "could",
    "may",
    "might",
    "must",
    "shall",
    "should",
    "will",
    "would",
    "to",
    "not",
    "also",
    "likely",
    "therefore",
    "only",
    "thus",
    "still",
    "even",
    "well",
    "probably",
    "possibly",
    "further",
    "often",
    "never",
    "always",
    "potentially",
    "safely",
    "ever",
    "longer",
    "now",
    "then",
    "it",
    "he",
    "she",
    "they",
    "we",
    "there",
];

/// Would `rest` be no sentence, or another statement, without the speech about the study before it?
fn needs(speech: &str, rest: &str) -> bool {
    let speech = speech.to_lowercase();
    let proposes = ["suggest", "propose"]
        .iter()
        .any(|word| speech.contains(word));
    let subjunctive = || {
        let mut words = BE.captures_iter(rest).map(|found| found[1].to_lowercase());
        words.any(|word| !BEFORE_BE.contains(&word.as_str()) && !word.ends_with("ly"))
    };
    speech.trim_end().ends_with("that") && VERB.is_match(rest)
        || SECOND.is_match(rest)
        || proposes && subjunctive()
}

/// A sentence without speech about the study before it and label words within it; none where it has neither, or
/// where too little would be left.
fn unspoken(sentence: &str, rules: &Rules) -> Option<String> {
    let mut text = sentence;
    while let Some(found) = rules
        .study_speak
        .iter()
        .find_map(|speech| speech.find(text))
    {
        let rest = &text[found.end()..];
        if found.is_empty() || words(rest) < rules.rationale_words || needs(found.as_str(), rest) {
            break;
        }
        text = &text[found.end()..];
    }
    let mut out = text.to_owned();
    for label in &rules.label_words {
        let without = tidy(&label.replace_all(&out, ""));
        if words(&without) >= rules.rationale_words {
            out = without;
        }
    }
    (out != sentence).then_some(out)
}

/// The label word at the beginning and what follows it.
fn strip_lead<'a>(text: &'a str, rules: &Rules) -> Option<(Label, &'a str)> {
    if let Some(number) = text
        .get(..3)
        .filter(|word| word.eq_ignore_ascii_case("no."))
        && is_ordinal(&text[number.len()..])
        && text[number.len()..]
            .trim_start()
            .starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    if let Some(lead) = rules.lead_in.captures(text) {
        let rest = text[lead[0].len()..].trim_start();
        return Some((Label::parse(&lead[1])?, rest));
    }
    if let Some(rest) = BARE_NO.captures(text).and_then(|found| found.get(1)) {
        return Some((Label::No, &text[rest.start()..]));
    }
    let word = BARE_YES.captures(text)?.get(1)?;
    (!AFTER_OTHER_YES.contains(&word.as_str())).then(|| (Label::Yes, &text[word.start()..]))
}

/// A sentence with a capital at its start and a mark at its end.
fn finished(sentence: &str) -> String {
    let sentence = sentence
        .trim()
        .trim_end_matches([',', ';', ':', '-', '–', ' ']);
    if sentence.is_empty() {
        return String::new();
    }
    let first = sentence.split_whitespace().next().unwrap_or("");
    // Names like "p53", "mTOR" or "c-Myc" keep their small letter.
    let plain = first
        .chars()
        .nth(1)
        .is_none_or(|c| c.is_ascii_lowercase() || c == ',')
        && !first.chars().any(char::is_uppercase);
    let mut out = if plain {
        capitalised(sentence)
    } else {
        sentence.to_owned()
    };
    if !out
        .trim_end_matches(['"', '\'', '”', '’', ')', ']'])
        .ends_with(['.', '?', '!'])
    {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Cleaned;
    use crate::{Label, Rules};

    fn clean(answer: &str) -> Cleaned {
        super::clean(answer, &Rules::default())
    }

    #[test]
    fn keeps_one_sentence_without_the_label_word() {
        for (answer, kept, lead) in [
            (
                "Yes. Panitumumab is EGFR inhibitor.",
                "Panitumumab is EGFR inhibitor.",
                Some(Label::Yes),
            ),
            (
                "Yes,\nplatelets transport serotonin",
                "Platelets transport serotonin.",
                Some(Label::Yes),
            ),
            (
                "No,\r\nMyc is a proto-oncogene.",
                "Myc is a proto-oncogene.",
                Some(Label::No),
            ),
            (
                "Yes it does bind p53. More text here.",
                "It does bind p53.",
                Some(Label::Yes),
            ),
            ("No evidence supports it.", "No evidence supports it.", None),
            (
                "No - it was never tested. Ever.",
                "It was never tested.",
                Some(Label::No),
            ),
            (
                "Yes-associated protein binds TEAD.",
                "Yes-associated protein binds TEAD.",
                None,
            ),
            (
                "Maybe. Further trials are needed.",
                "Further trials are needed.",
                Some(Label::Uncertain),
            ),
            (
                "Indeed. Yes, it does work well.",
                "It does work well.",
                None,
            ),
            (
                "Yes bortezomib is an inhibitor.",
                "Bortezomib is an inhibitor.",
                Some(Label::Yes),
            ),
            (
                "Yes kinase is an oncogene.",
                "Yes kinase is an oncogene.",
                None,
            ),
            (
                ": Prophylactic fixation is not cheap.",
                "Prophylactic fixation is not cheap.",
                None,
            ),
            (
                "• Initial experience was good.",
                "Initial experience was good.",
                None,
            ),
            ("[corrected] This is one case.", "This is one case.", None),
            (
                "1. Screening works well. 2. It is cheap.",
                "Screening works well.",
                None,
            ),
            (
                "5-HT receptors are involved.",
                "5-HT receptors are involved.",
                None,
            ),
            (
                "No. 18 months of it changed nothing.",
                "18 months of it changed nothing.",
                Some(Label::No),
            ),
            (
                "No. 7-day courses were as good. They were cheaper.",
                "7-day courses were as good.",
                Some(Label::No),
            ),
            (
                "No. 2 of the series was the worst.",
                "No. 2 of the series was the worst.",
                None,
            ),
            (
                "No BNT162b2 is a vaccine against another virus.",
                "BNT162b2 is a vaccine against another virus.",
                Some(Label::No),
            ),
            (
                "No the vaccine is a candidate still.",
                "The vaccine is a candidate still.",
                Some(Label::No),
            ),
            (
                "No IL-6 was found in them.",
                "No IL-6 was found in them.",
                None,
            ),
            (
                "No BRCA1 mutation is known.",
                "No BRCA1 mutation is known.",
                None,
            ),
            (
                "Our data indicated that pain fell.",
                "Our data indicated that pain fell.",
                None,
            ),
            (
                "Our data indicated that all pain fell.",
                "All pain fell.",
                None,
            ),
            (
                "The results of the present study have shown that statins help men.",
                "Statins help men.",
                None,
            ),
            (
                "We conclude that aspirin is very safe.",
                "Aspirin is very safe.",
                None,
            ),
            (
                "Based on these findings, screening is not needed.",
                "Screening is not needed.",
                None,
            ),
            (
                "We found no evidence that the drug helped them.",
                "We found no evidence that the drug helped them.",
                None,
            ),
            (
                "No, there is little evidence that it helps women.",
                "There is little evidence that it helps women.",
                Some(Label::No),
            ),
            (
                "The results show no evidence that costs were saved.",
                "The results show no evidence that costs were saved.",
                None,
            ),
            (
                "There is strong evidence that it helps women.",
                "It helps women.",
                None,
            ),
            (
                "This study provides evidence that implicates ticks in it.",
                "This study provides evidence that implicates ticks in it.",
                None,
            ),
            (
                "It is suggested that more services be provided to women.",
                "It is suggested that more services be provided to women.",
                None,
            ),
            (
                "These data suggest that it may be safe for women.",
                "It may be safe for women.",
                None,
            ),
            (
                "It might be speculated that training helps women.",
                "It might be speculated that training helps women.",
                None,
            ),
            (
                "Based on the information in a biopsy, we conclude that most can be treated.",
                "Based on the information in a biopsy, we conclude that most can be treated.",
                None,
            ),
            (
                "The results confirm that it is common, suggest that it does harm.",
                "The results confirm that it is common, suggest that it does harm.",
                None,
            ),
            (
                "RESULTS: Deaths were fewer with it.",
                "Deaths were fewer with it.",
                None,
            ),
            (
                "No 6 weeks of it were not enough.",
                "6 weeks of it were not enough.",
                Some(Label::No),
            ),
            ("Yes", "", Some(Label::Yes)),
            ("", "", None),
            (
                "mTOR is active in these cells [12].",
                "mTOR is active in these cells.",
                None,
            ),
            (
                "Patients with<or =5 sites had longer survival vs. others (P < .05). It was safe.",
                "Patients with ≤ 5 sites had longer survival vs. others (P < .05).",
                None,
            ),
        ] {
            let cleaned = clean(answer);
            assert_eq!(
                (cleaned.text.as_str(), cleaned.lead),
                (kept, lead),
                "{answer:?}"
            );
            assert_eq!(clean(&cleaned.text).text, cleaned.text);
        }
    }

    #[test]
    fn says_whether_more_was_there() {
        assert!(clean("It works well here. It is safe.").cut);
        assert!(!clean("Yes. It works well here.").cut);
    }
}

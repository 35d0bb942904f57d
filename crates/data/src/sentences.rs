//! Where a sentence ends, in the English of abstracts.
//!
//! Written here after a look at the segmenters in the registry. `sentencex`, the kept one, cuts after
//! "approx.", before "(1)" in a running sentence and between "Staph." and "aureus", and its lists
//! change from release to release, which would change the bytes of a data set.

use std::sync::LazyLock;

use regex::Regex;

use crate::text::regex;

/// Abbreviations that never end a sentence, in lower case and without their last dot.
const NEVER: &[&str] = &[
    "vs", "v", "e.g", "eg", "i.e", "ie", "cf", "viz", "ca", "approx", "dr", "drs", "prof", "mr",
    "mrs", "ms", "st", "mt", "fig", "figs", "eq", "eqs", "ref", "refs", "sec", "chap", "vol", "pp",
    "resp", "incl", "excl", "conc", "subsp", "ssp", "spp", "sp", "var", "cv", "nov", "staph",
    "strep", "dept", "univ", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sept", "oct", "dec",
    "temp", "avg", "est",
];

/// Abbreviations that end a sentence only where a word follows that begins one.
const SOMETIMES: &[&str] = &[
    "etc", "i.v", "i.m", "i.p", "i.d", "i.n", "i.c.v", "s.c", "p.o", "b.i.d", "t.i.d", "q.i.d",
    "q.d", "b.d", "o.d", "a.m", "p.m", "u.s", "u.s.a", "u.k", "e.u", "d.c", "ph.d", "m.d", "inc",
    "ltd", "co", "corp", "jr", "sr", "al", "no", "nos", "wt", "mol", "hr", "hrs", "mo", "yr",
    "yrs", "wk", "wks", "s.d", "s.e", "s.e.m", "w.r.t", "min", "max",
];

/// Words that begin a sentence far more often than they follow an abbreviation.
const STARTERS: &[&str] = &[
    "A",
    "Additionally",
    "After",
    "All",
    "Although",
    "An",
    "And",
    "As",
    "At",
    "Based",
    "Because",
    "Both",
    "But",
    "By",
    "Compared",
    "Conversely",
    "Despite",
    "Due",
    "During",
    "Each",
    "Early",
    "Finally",
    "First",
    "For",
    "Further",
    "Furthermore",
    "Given",
    "Hence",
    "Here",
    "However",
    "If",
    "In",
    "Indeed",
    "It",
    "Its",
    "Most",
    "Moreover",
    "No",
    "Nevertheless",
    "Of",
    "On",
    "One",
    "Only",
    "Other",
    "Our",
    "Overall",
    "Patients",
    "Results",
    "Second",
    "Several",
    "Similarly",
    "Since",
    "Some",
    "Such",
    "Supplementation",
    "Take",
    "Taken",
    "That",
    "The",
    "Their",
    "There",
    "Therefore",
    "These",
    "They",
    "Third",
    "This",
    "Those",
    "Thus",
    "To",
    "Treatment",
    "Two",
    "Under",
    "Use",
    "Using",
    "We",
    "When",
    "Whereas",
    "Whether",
    "While",
    "With",
];

/// Byte length of the first sentence of `text`, its end mark and closing brackets or quotes
/// included. The whole text where nothing ends it.
pub(crate) fn first_end(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '.' | '!' | '?' => {
                // A bracket that closes later holds its sentence together.
                let held = depth > 0 && text[at..].contains([')', ']']);
                if !held && let Some(end) = end_here(text, at) {
                    return end;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// The sentences of a text, in order, without the blanks between them.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (sentence, after) = rest.split_at(first_end(rest));
        rest = after.trim_start();
        Some(sentence)
    })
}

/// Does the mark at byte `at` end a sentence, and where is the end?
fn end_here(text: &str, at: usize) -> Option<usize> {
    let mark = text[at..].chars().next()?;
    let tail = &text[at + mark.len_utf8()..];
    let closers = tail.len()
        - tail
            .trim_start_matches(['"', '\'', '”', '’', ')', ']', '.', '!', '?'])
            .len();
    let end = at + mark.len_utf8() + closers;
    let after = &text[end..];
    if after.trim().is_empty() {
        return Some(end);
    }
    let next = after.split_whitespace().next().unwrap_or("");
    let before = &text[..at];
    let word = last_word(before);
    if !after.starts_with(char::is_whitespace) {
        // "safe.It works": a blank is missing after a plain word.
        let plain = word.len() >= 3 && word.chars().all(|c| c.is_ascii_lowercase());
        let mut letters = after.chars();
        let capital = letters.next().is_some_and(char::is_uppercase)
            && letters.next().is_some_and(|c| c.is_lowercase() || c == ' ');
        return (mark == '.' && plain && capital && closers == 0).then_some(end);
    }
    if mark != '.' {
        return Some(end);
    }
    ends_with_dot(before, word, next, after).then_some(end)
}

/// Is the dot after `word` (the end of `before`), with `next` behind a blank, a sentence's end?
fn ends_with_dot(before: &str, word: &str, next: &str, after: &str) -> bool {
    // "a VS. All": what is written in capitals is no abbreviation with a dot.
    let capitals = word.len() > 1 && !word.contains('.') && word.chars().all(char::is_uppercase);
    let lower = if capitals {
        String::new()
    } else {
        word.to_lowercase()
    };
    let lead = &before[..before.len() - word.len()];
    let bare_next: &str = next.trim_matches(|c: char| !c.is_alphanumeric());
    let starter = STARTERS.contains(&bare_next);
    let first = next
        .trim_start_matches(['(', '[', '"', '“', '\'', '‘'])
        .chars()
        .next();
    if lower == "no" && first.is_some_and(|c| c.is_ascii_digit()) {
        // "No. 45 of 300 patients were lost" answers a question; "listed under No. 4" and "No. 3 of the series" do not.
        return before.trim() == word && !is_ordinal(after);
    }
    if lower == "no" && !lead.ends_with('-') {
        // "The answer is no. It …" ends, "No." at the very start does as well.
        return true;
    }
    if lower == "al" {
        return starter;
    }
    if NEVER.contains(&lower.as_str()) {
        return false;
    }
    if SOMETIMES.contains(&lower.as_str()) {
        return starter;
    }
    // "1. First": the number of a list, at the beginning of the sentence.
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) && before.trim() == word {
        return false;
    }
    let mut letters = word.chars();
    if let (Some(only), None) = (letters.next(), letters.next())
        && only.is_alphabetic()
        && !lead.ends_with(['-', '/'])
        && !is_contracted(lead)
    {
        // An initial or a genus, unless what follows begins sentences: "vitamin D. The", but not
        // "J. A. Smith", where the next word is an initial itself.
        let initial = bare_next.len() == 1 && next.ends_with('.');
        return only.is_uppercase() && starter && !initial;
    }
    match first {
        Some(c) if c.is_uppercase() || c.is_numeric() => true,
        // Greek letters, "•": symbols that begin names.
        Some(c) if !c.is_ascii() => true,
        // "p53", "mTOR", "miR-21": names that keep their small letter at a sentence's start.
        Some(c) if c.is_lowercase() => {
            let name = bare_next
                .chars()
                .any(|c| c.is_uppercase() || c.is_numeric());
            // After an unknown short word no sentence begins with a small letter; after a long one many do.
            name || (word.len() >= 4 && word.chars().all(|c| c.is_ascii_lowercase()))
        }
        _ => true,
    }
}

/// Does what follows "No." count something, so that the two belong together? "No. 3 of the series", "No. 1 cause of
/// death", and not "No. 12 months of treatment". `after` begins with the number.
pub(crate) fn is_ordinal(after: &str) -> bool {
    static ORDINAL: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i)^\s*#?[0-9]{1,4}[a-z]?(?:\s+(?:(?:of|in|on|from|for|among)\s+(?:the|this|these|our|their|its|a|all|any|every)\b|(?:[a-z-]+\s+)?(?:cause|killer|reason|priority|risk|choice|drug|position|place|rank|suture|sutures|blade|needle|forceps|tube|catheter|filter|problem|threat|predictor|country|hospital)\b|(?:is|was|are|were|has|had|in|on)\b)|\s*[,;):]|\s*$)",
        )
    });
    ORDINAL.is_match(after)
}

/// Does the letter behind `lead` end a contraction or a possessive? "doesn't", "the patient's".
fn is_contracted(lead: &str) -> bool {
    lead.strip_suffix(['\'', '’'])
        .is_some_and(|word| word.ends_with(char::is_alphabetic))
}

/// The last run of letters, digits and inner dots.
fn last_word(before: &str) -> &str {
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_alphanumeric() || *c == '.')
        .last()
        .map_or(before.len(), |(at, _)| at);
    before[start..].trim_start_matches('.')
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn the_first_sentence_ends_where_a_reader_would_end_it() {
        // "|" marks the end of the first sentence.
        for marked in [
            "The response was better with drug A vs. placebo (P < .05).| It was safe.",
            "Doses of 5 mg i.v. were given.| Others had 3 mg p.o. daily.",
            "Doses were given i.v.| The others had none.",
            "As shown by the Framingham group et al.| In 2019, this was confirmed.",
            "See Fig. 2 for details.| The end.",
            "Dr. Smith said e.g. aspirin works.| No more is known.",
            "The odds ratio was 0.85 (95% CI .60 to 1.05).| It crossed one.",
            "J. R. Smith found it.| It was so.",
            "J. A. Smith and A. B. Jones found it.| It was so.",
            "Staph. aureus and E. coli were found.| The second grew.",
            "The approx. value was 3.| The next was 4.",
            "We advise vitamin D.| Supplementation helps.",
            "Screen for hepatitis B.| This is cheap.",
            "It works in the U.S.| The same holds elsewhere.",
            "It was used by the U.S. Food and Drug Administration.| It was safe.",
            "Patients took 5.5 mg/d.| Then more.",
            "The drug is safe.|It works.",
            "The hypothesis is: (1) A is B; (2) B is C.| Both hold.",
            "Results (see 1. And 2.) are fine.| Good results.",
            "They fell in treated cells.| p53 rose.",
            "Low levels were seen.| mTOR was active.",
            "It is not known (i.e. no trial).| A trial is needed.",
            "Is it safe?| We think so.",
            "They called it \"safe.\"| We did not.",
            "Resistance to B. cepacia is listed under No. 4 in the table.| End of it.",
            "T. gondii was found in 3 of 10 cats.| 7 had none.",
            "It rose (P = .001), i.e. by 3 vs. 2 mm.| It fell later.",
            "The effect was small.| however it lasted.",
            "Nothing ends this one",
            "Imaging was done at 3 T.| There was no artefact.",
            "Five patients were in a VS.| All woke up.",
            "Coughs are a side effect of ACE-I.| This is known.",
            "It fell with LDL-C.| No previous study has shown it.",
            "Ischemia lasted > 30 min.| This is too long.",
            "Movement of the m. puborectalis was normal.| It was mild.",
            "The s.c. anti-TNF drugs were given.| They helped.",
            "Among U.S. adults use rose.| It was 3 %.",
            "Fewer scans were done in EDs.| This study is the first.",
            "1. Screening works.| 2. It is cheap.",
            "The first dose helped and the second didn't.| Third doses were rare.",
            "It was the patient’s.| Nobody else had one.",
            "No.| 18 months of it changed nothing.",
            "No.| 6-week courses were as good.",
            "No.| 31 of 200 men died.",
            "No. 2 of the series was worse.| It failed.",
            "No. 1 cause of death is heart disease.| It is common.",
        ] {
            let text = marked.replace('|', "");
            let first = marked.split('|').next().unwrap_or("");
            assert_eq!(sentences(&text).next(), Some(first));
        }
    }

    #[test]
    fn sentences_cover_the_text() {
        let text = "One holds. Two does, e.g. here. Three?  Four";
        assert_eq!(
            sentences(text).collect::<Vec<_>>(),
            ["One holds.", "Two does, e.g. here.", "Three?", "Four"]
        );
        assert_eq!(sentences("  ").count(), 0);
    }
}

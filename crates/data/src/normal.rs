//! The one normal form by which texts are compared: for duplicates, near duplicates, benchmarks and audits alike.
//!
//! Two texts that a reader takes for the same have the same form, however they were typed: composed or decomposed
//! accents, curly or straight quotes, any dash, the micro sign or the letter mu, a subscript or a plain digit, β or
//! "beta". What changes a meaning stays: numbers, their signs, comparisons.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use crate::digest::short;
use crate::letters::{greek, keyboard, plain_letters};
use crate::mend::mend;
use crate::text::{fixpoint, is_unspaced};

/// The form in which two questions are the same: compatibility characters, quotes and dashes as plain ones, Greek
/// letters by their names, lower case, one blank between words, no punctuation at the ends of words. Signs within
/// numbers stay: `p < 0.05` is not `p > 0.05`, and `-5` is not `5`. A hyphen between words is a blank, and a
/// character of a script that is written without blanks is a word by itself.
///
/// A normal form is its own: what is folded can be what mending removes (a fullwidth semicolon before a bracket), so
/// text beyond ASCII passes again until nothing changes.
pub fn normal(text: &str) -> String {
    let once = normal_pass(text);
    match text.is_ascii() {
        true => once,
        false => fixpoint(once, normal_pass),
    }
}

fn normal_pass(text: &str) -> String {
    let mended = mend(text);
    let folded = folded(&mended);
    let mut out = String::with_capacity(folded.len());
    let parts = folded.split(|c: char| c.is_whitespace() || c == '/');
    for word in parts.flat_map(unhyphenated) {
        let word = word.trim_matches(is_dress);
        let word = microgram(word);
        for part in units(&word) {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(part);
        }
    }
    out
}

/// Splits at hyphens; one before a number, with no letter or digit before it, is its sign.
fn unhyphenated(word: &str) -> impl Iterator<Item = &str> {
    let bytes = word.as_bytes();
    let mut from = 0;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let start = from;
        for (at, _) in word[start..].match_indices('-') {
            let at = start + at;
            let last = word[..at].chars().next_back();
            let digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            let sign = digit && !last.is_some_and(|c| c.is_alphanumeric() || c == '-');
            if !sign {
                from = at + 1;
                return Some(&word[start..at]);
            }
        }
        done = true;
        Some(&word[start..])
    })
}

/// "mcg" is how prescriptions write µg.
fn microgram(word: &str) -> Cow<'_, str> {
    match word.strip_suffix("mcg") {
        Some(number) if !number.contains(char::is_alphabetic) => format!("{number}ug").into(),
        _ => word.into(),
    }
}

/// The word, or its characters where its script is written without blanks.
fn units(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = match is_unspaced(first) {
            // Vowel signs and tone marks stay with their letter.
            true => rest[first.len_utf8()..]
                .find(|c: char| c.is_alphanumeric())
                .map_or(rest.len(), |at| first.len_utf8() + at),
            false => rest.find(is_unspaced).unwrap_or(rest.len()),
        };
        let (unit, after) = rest.split_at(end);
        rest = after;
        Some(unit.trim_matches(is_dress))
    })
    .filter(|unit| !unit.is_empty())
}

/// Lower case, compatibility characters and accents on Latin letters as plain ones, quotes and dashes as those of a
/// keyboard, Greek letters by their names.
fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        let lower = text.to_ascii_lowercase();
        return match lower.contains('`') {
            true => lower.replace('`', "'").into(),
            false => lower.into(),
        };
    }
    // Before the normal form: it makes a blank and an accent of an acute accent that serves as an apostrophe, and
    // letters of a trade mark's sign.
    let plain = text.chars().filter(|c| !matches!(c, '®' | '©' | '™' | '℠'));
    let plain: String = plain.map(keyboard).collect();
    let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize(&plain);
    let mut out = String::with_capacity(apart.len());
    let mut base = ' ';
    let lower = apart.chars().flat_map(char::to_lowercase);
    let mut letters = lower.map(keyboard).peekable();
    while let Some(c) = letters.next() {
        // Accents are removed from Latin and Greek letters; in other scripts they are part of the letter.
        if matches!(c, '\u{300}'..='\u{36f}')
            && (base.is_ascii_alphabetic()
                || plain_letters(base).is_some()
                || greek(base).is_some())
        {
            continue;
        }
        let before = std::mem::replace(&mut base, c);
        let unit = !before.is_alphabetic() && letters.peek().is_some_and(char::is_ascii_alphabetic);
        match c {
            'μ' if unit => out.push('u'),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '×' => out.push('x'),
            '±' => out.push_str("+/-"),
            c => match plain_letters(c).or_else(|| greek(c)) {
                Some(name) => out.push_str(name),
                None => out.push(c),
            },
        }
    }
    match out.is_ascii() {
        true => out.into(),
        false => ComposingNormalizerBorrowed::new_nfc()
            .normalize(&out)
            .into_owned()
            .into(),
    }
}

/// What may surround a word without being part of it.
fn is_dress(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ';'
            | ':'
            | '?'
            | '!'
            | '"'
            | '\''
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '¿'
            | '¡'
            | '、'
            | '。'
            | '，'
            | '；'
            | '：'
            | '？'
            | '！'
            | '،'
            | '؟'
            | '؛'
            | '।'
            | '·'
            | '・'
            | '〈'..='】'
    )
}

/// The key that ties rows with the same question (on the same context, where it has one).
pub(crate) fn question_key(question: &str, context: Option<&str>) -> String {
    question_key_of_normal(&normal(question), context)
}

/// The same of a question that is in its normal form already.
pub(crate) fn question_key_of_normal(question: &str, context: Option<&str>) -> String {
    let context = context.map(normal).unwrap_or_default();
    format!("question:{}", short(&format!("{question}\n{context}")))
}

/// The key that ties rows with the same abstract, by its letters and digits alone; none where it has none.
pub(crate) fn abstract_key(body: &str) -> Option<String> {
    let letters = match body.is_ascii() && !body.contains('&') {
        // As most are: a byte at a time, written always and kept where it is a letter, so that nothing has to be
        // foretold.
        true => {
            let mut letters = vec![0; body.len()];
            let mut kept = 0;
            for byte in body.bytes() {
                letters[kept] = byte.to_ascii_lowercase();
                kept += usize::from(byte.is_ascii_alphanumeric());
            }
            letters.truncate(kept);
            String::from_utf8(letters).unwrap_or_default()
        }
        false => {
            let body = html_escape::decode_html_entities(body);
            let folded = folded(&body);
            folded.chars().filter(|c| c.is_alphanumeric()).collect()
        }
    };
    (!letters.is_empty()).then(|| format!("abstract:{}", short(&letters)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{abstract_key, normal, question_key};

    #[test]
    fn the_normal_form_forgets_dress_and_keeps_numbers() {
        assert_eq!(
            normal("Is  Verubecestat effective?"),
            normal("is verubecestat effective ?")
        );
        for (one, other) in [
            ("Is p < 0.05 enough?", "Is p > 0.05 enough?"),
            ("Is p ≤ 0.05 enough?", "Is p ≥ 0.05 enough?"),
            ("a difference of -5", "a difference of 5"),
            ("a difference of −5", "a difference of 5"),
            ("a rate of 10⁻³", "a rate of 10³"),
        ] {
            assert_ne!(normal(one), normal(other));
        }
        assert_ne!(
            question_key("Is it?", None),
            question_key("Is it?", Some("Here."))
        );
    }

    #[test]
    fn what_reads_the_same_is_the_same_however_it_was_typed() {
        for (one, other) in [
            (
                "Is Crohn’s disease inherited?",
                "Is Crohn's disease inherited?",
            ),
            (
                "Is Crohn´s disease inherited?",
                "Is Crohn`s disease inherited?",
            ),
            ("Is “frailty” real?", "Is \"frailty\" real?"),
            ("Is « frailty » real?", "Is frailty real?"),
            (
                "Is grade 3–4 toxicity common?",
                "Is grade 3-4 toxicity common?",
            ),
            ("Is it IL‐6 or not?", "Is it IL-6 or not?"),
            ("Does it help — in adults?", "Does it help in adults?"),
            ("a difference of −5", "a difference of -5"),
            ("Is Sj\u{f6}gren's rare?", "Is Sjo\u{308}gren's rare?"),
            ("Is Sj\u{f6}gren's rare?", "Is Sjogren's rare?"),
            ("Is 10 \u{b5}g safe?", "Is 10 \u{3bc}g safe?"),
            ("Is 10 \u{b5}g safe?", "Is 10 mcg safe?"),
            ("Is 10µg safe?", "Is 10ug safe?"),
            ("Is CO₂ raised?", "Is CO2 raised?"),
            ("Is 30 kg/m² obese?", "Is 30 kg/m2 obese?"),
            ("Does TGF-β help?", "Does TGF-beta help?"),
            ("Do β‑blockers help?", "Do beta blockers help?"),
            ("Is ΔF508 common?", "Is deltaF508 common?"),
            ("Is the ﬁbrosis ﬂorid?", "Is the fibrosis florid?"),
            ("Is type Ⅱ worse?", "Is type II worse?"),
            ("Ｉｓ　ｉｔ　ｓａｆｅ？", "Is it safe?"),
            ("Is p&lt;0.05 enough?", "Is p<0.05 enough?"),
            ("Is it safe\u{200b} now?", "Is it safe\u{a0}now?"),
            ("Is p≤0.05 enough?", "Is p<=0.05 enough?"),
            ("Is Drug™ (a statin®) safe?", "Is Drug (a statin) safe?"),
            ("Is 5 ± 2 wide?", "Is 5 +/- 2 wide?"),
            ("Is 38 ºC fever?", "Is 38 °C fever?"),
            ("Is it\u{fe0f} \u{2066}safe\u{2069}?", "Is it safe?"),
            ("它 安全吗？", "它安全吗"),
        ] {
            assert_eq!(normal(one), normal(other));
            assert_eq!(question_key(one, None), question_key(other, None));
        }
        assert_eq!(normal("维生素D有用吗？"), "维 生 素 d 有 用 吗");
        assert_eq!(normal("운동이 도움이 됩니까?"), "운동이 도움이 됩니까");
        assert_ne!(normal("पानी"), normal("पान"));
    }

    #[test]
    fn abstracts_are_compared_by_letters() {
        assert_eq!(
            abstract_key("The aim: (1) to see."),
            abstract_key("the aim 1 To see")
        );
        assert_eq!(
            abstract_key("IFN-γ &amp; 5 µg in Ménière’s"),
            abstract_key("IFN–gamma & 5 μg in Me\u{301}nie\u{300}re's")
        );
        assert_ne!(abstract_key("Aim 1"), abstract_key("Aim 2"));
        assert_eq!(abstract_key(" – "), None);
    }

    #[test]
    fn accents_go_from_letters_without_a_decomposition_too() {
        assert_eq!(normal("Ǽ ǿ"), "ae o");
        assert_eq!(normal("l\u{142}\u{301}"), "ll");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_normal_form_is_its_own(text in "\\PC{0,24}|[a-zé’–βµ₂ .?-]{0,24}") {
            let once = normal(&text);
            prop_assert_eq!(normal(&once), once);
        }
    }
}

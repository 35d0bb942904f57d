//! Mending of mark-up leftovers.

use std::sync::LazyLock;

use regex::Regex;

use crate::Rules;
use crate::normal::is_unspaced;
use crate::rules::built_in;

/// A regular expression compiled once. The pattern is a constant of this crate, so a wrong one
/// fails in the first test that runs.
pub(crate) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

static EMPTY_BRACKETS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\s*(?:\(\s*[.,;:]*\s*\)|\[\s*[.,;:]*\s*\])"));
static AFTER_OPENING: LazyLock<Regex> = LazyLock::new(|| regex(r"([(\[])\s+"));
static BEFORE_CLOSING: LazyLock<Regex> = LazyLock::new(|| regex(r"(?:\s[.,;:]\s*|[\s,;]+)([)\]])"));
static BEFORE_MARK: LazyLock<Regex> = LazyLock::new(|| regex(r"\s+([.,;!?])(\s|$)"));
static DOUBLE_MARK: LazyLock<Regex> =
    LazyLock::new(|| regex(r"([^.])(?:\.\.|[,;]+\s*\.|([?!])\.)(\s|$)"));

/// Text as it should have been written: entities and mark-up resolved, every
/// kind of blank one space, no zero-width characters, no blanks before commas, no empty brackets.
/// Mending twice changes nothing more. By the built-in rules.
pub(crate) fn mend(text: &str) -> String {
    mend_by(text, built_in())
}

/// The same by other rules on mark-up.
pub(crate) fn mend_by(text: &str, rules: &Rules) -> String {
    match rules.text().is_none() && is_plain(text) {
        true => text.to_owned(),
        false => mended(text, rules),
    }
}

/// Whether a look at each byte shows that there is nothing to mend, as in most texts.
fn is_plain(text: &str) -> bool {
    let mut before = b' ';
    for byte in text.bytes() {
        let fine = match byte {
            b' ' => !matches!(before, b' ' | b'(' | b'['),
            b'.' => !matches!(
                before,
                b' ' | b'(' | b'[' | b'.' | b',' | b';' | b'?' | b'!'
            ),
            b',' | b';' | b':' | b'?' | b'!' => !matches!(before, b' ' | b'(' | b'['),
            // A link of Markdown.
            b'(' => before != b']',
            b')' | b']' => !matches!(before, b' ' | b'(' | b'[' | b',' | b';'),
            b'&' | b'<' | b'>' => false,
            _ => byte.is_ascii_graphic(),
        };
        if !fine {
            return false;
        }
        before = byte;
    }
    before != b' ' || text.is_empty()
}

fn mended(text: &str, rules: &Rules) -> String {
    fixpoint(text.to_owned(), |text| {
        let mut text = blanks(&html_escape::decode_html_entities(text));
        // All built-in patterns of mark-up have one of these.
        let marked = text.contains(['<', '>']) || text.contains("](") || text.contains("]]");
        if marked || rules.text().is_some() {
            for (markup, instead) in &rules.markup {
                text = blanks(&markup.replace_all(&text, instead.as_str()));
            }
        }
        tidy(&text)
    })
}

/// The spacing and punctuation that a removal leaves behind, put right.
pub(crate) fn tidy(text: &str) -> String {
    fixpoint(text.to_owned(), |text| {
        let text = EMPTY_BRACKETS.replace_all(text, "");
        let text = AFTER_OPENING.replace_all(&text, "$1");
        let text = BEFORE_CLOSING.replace_all(&text, "$1");
        let text = BEFORE_MARK.replace_all(&text, "$1$2");
        let text = DOUBLE_MARK.replace_all(&text, |found: &regex::Captures<'_>| {
            let mark = found.get(2).map_or(".", |mark| mark.as_str());
            format!("{}{mark}{}", &found[1], &found[3])
        });
        blanks(&text)
    })
}

/// Applies `step` until it changes nothing. Each step here shortens the text or leaves it, but for
/// a last comparison sign or full stop, so that a few rounds do; the bound is against a mistake.
pub(crate) fn fixpoint(mut text: String, mut step: impl FnMut(&str) -> String) -> String {
    for _ in 0..64 {
        let next = step(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

/// Runs of blanks of every kind as one space, none at the ends; characters without width gone;
/// hyphens that forbid a line break as plain ones.
fn blanks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pending = false;
    for character in text.chars() {
        match character {
            c if is_invisible(c) => {}
            c if c.is_whitespace() || c.is_control() => pending = true,
            c => {
                if pending && !out.is_empty() {
                    out.push(' ');
                }
                pending = false;
                out.push(if c == '\u{2011}' { '-' } else { c });
            }
        }
    }
    out
}

/// A character that shows nothing and parts nothing: soft hyphens, marks of direction, joiners, byte order marks,
/// variation selectors.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e01ef}'
    )
}

/// Number of words: runs without blanks that hold a letter or a digit; of a script that is written without blanks
/// each letter is one.
pub(crate) fn words(text: &str) -> usize {
    let count = |word: &str| {
        let (mut count, mut within) = (0, false);
        for c in word.chars().filter(|c| c.is_alphanumeric()) {
            let single = is_unspaced(c);
            count += usize::from(single || !within);
            within = !single;
        }
        count
    };
    text.split_whitespace().map(count).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_plain, mend, mended, words};
    use crate::rules::built_in;

    #[test]
    fn mends_what_published_files_hold() {
        for (found, mended) in [
            (
                "Patients with<or =5 metastatic sites",
                "Patients with ≤ 5 metastatic sites",
            ),
            ("age<or = 40 years", "age ≤ 40 years"),
            ("(tumour size>or=3cm)", "(tumour size ≥ 3cm)"),
            (
                "larger than 6\u{a0}mm, P\u{2009}=\u{2009}0.042",
                "larger than 6 mm, P = 0.042",
            ),
            ("renal PAN can occur.\u{2029}.", "renal PAN can occur."),
            ("p &lt; 0.05 &amp;amp; CI", "p < 0.05 & CI"),
            (
                "H<sub>2</sub>O<sup>+</sup> in <i>E. coli</i>",
                "H2O+ in E. coli",
            ),
            ("trait alone<APS<BLIPS", "trait alone<APS<BLIPS"),
            ("<dl><dt>Pain</dt><dd>It fell.</dd></dl>", "Pain, It fell."),
            (
                "It rose in <ul class=x><li>old</li> <li>young</li></ul> mice.",
                "It rose in old, young mice.",
            ),
            (
                "<h3 id='c'>Conclusion:</h3><p>It <a href=https://x.org rel=\"y\">fell</a>.</p><br><!-- end -->",
                "Conclusion: It fell.",
            ),
            (
                "<table><tr><td>Pain</td><td>4</td></tr><tr><td>Fever</td><td>2</td></tr></table>",
                "Pain, 4; Fever, 2",
            ),
            (
                "<img src=\"x\" alt=\"a > b\"/>It <b>fell</b>.<sup>4</sup>",
                "It fell. [4]",
            ),
            (
                "at 10<sup>5</sup> cells, <sup>18</sup>F, cm<sup>2</sup>",
                "at 10^5 cells, 18F, cm2",
            ),
            ("in mice<sup>4,5</sup>", "in mice [4,5]"),
            (
                "see [the trial](https://x.org/y) here",
                "see the trial here",
            ),
            ("was given (ABC 12 .) to all", "was given (ABC 12) to all"),
            ("values a<b and c>d", "values a<b and c>d"),
            ("P < .05 , but", "P < .05, but"),
            ("was seen ( ) in mice ( see ) .", "was seen in mice (see)."),
            (
                "non\u{2011}break, soft\u{ad}hyphen",
                "non-break, softhyphen",
            ),
            ("in order... we", "in order... we"),
            ("no change,.", "no change."),
        ] {
            assert_eq!(mend(found), mended);
            assert_eq!(mend(mended), mended);
        }
    }

    #[test]
    fn words_are_counted_in_scripts_without_blanks_too() {
        for (text, count) in [
            ("Yes – it is .", 3),
            ("Is beta-blockade of use in 5/6?", 6),
            ("维生素D有用吗？", 7),
            ("운동이 도움이 됩니까?", 3),
            ("運動はうつ病に効きますか？", 12),
            ("", 0),
        ] {
            assert_eq!(words(text), count, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_called_plain_needs_no_mending(
            text in "[a-c .,;:?!()\\[\\]<>&=0-1-]{0,14}|[ -~\u{a0}\u{ad}–]{0,12}"
        ) {
            if is_plain(&text) {
                prop_assert_eq!(mended(&text, built_in()), text);
            }
        }
    }

    #[test]
    fn most_texts_are_plain() {
        assert!(is_plain(
            "Is the rate (per year) lower, e.g. by 5%, in [old] mice?"
        ));
        assert!(is_plain(""));
        for text in [
            " a", "a ", "a  b", "a .", "( a", "a )", "()", "a..", "p < 0.05", "a\u{a0}b", "a&b",
        ] {
            assert!(!is_plain(text), "{text:?}");
        }
    }
}

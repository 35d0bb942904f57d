//! Texts in general: blanks, punctuation, words.

use std::sync::LazyLock;

use regex::Regex;

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

/// Is the text digits alone, and at least one?
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Applies `step` until it changes nothing. A few rounds do; the bound is against a mistake.
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
pub fn blanks(text: &str) -> String {
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

/// A letter of a script that is written without blanks between words: Chinese, Japanese, Thai, Lao, Khmer,
/// Burmese, Tibetan.
pub(crate) fn is_unspaced(c: char) -> bool {
    c.is_alphanumeric()
        && matches!(u32::from(c),
            0x0e00..=0x0eff | 0x0f00..=0x0fff | 0x1000..=0x109f | 0x1780..=0x17ff
            | 0x3005..=0x3007 | 0x3040..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
            | 0xf900..=0xfaff | 0xff66..=0xff9d | 0x20000..=0x3ffff)
}

/// With a capital first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if first.is_ascii_lowercase() => {
            format!("{}{}", first.to_ascii_uppercase(), letters.as_str())
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::words;

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
}

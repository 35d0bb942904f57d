//! Abbreviations that a text defines: "polycystic ovary syndrome (PCOS)".
//!
//! The long form is found by the algorithm of Schwartz and Hearst (2003), "A simple algorithm for identifying
//! abbreviation definitions in biomedical text": the letters of the short form are matched from last to first in the
//! words before the parenthesis, the first one at the beginning of a word. In addition, the long form has at least two
//! words, and the short form consists of capitals, digits and hyphens with at least two capitals.

use std::sync::LazyLock;

use regex::Regex;

static SHORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r" \(([A-Z][A-Z0-9-]*[A-Z][A-Z0-9-]*)\)").expect("a constant pattern")
});

/// The text with its defined abbreviations spelled out: without the parenthesis, and with the long form for each later
/// short form. None where nothing is defined, or where the result could be wrong English: the short form is part of a
/// longer word, has an article that may not fit the long form, or is defined twice.
pub fn spelled_out(text: &str) -> Option<String> {
    let found: Vec<_> = SHORT.captures_iter(text).collect();
    let mut out = text.to_owned();
    for captures in found {
        let (bracket, short) = (captures.get(0)?, captures.get(1)?.as_str());
        let long = long_form(&text[..bracket.start()], short)?;
        let (before, after) = out.split_once(bracket.as_str())?;
        if after.contains(bracket.as_str()) || replaceable(before, short)? > 0 {
            return None;
        }
        replaceable(after, short)?;
        out = format!("{before}{}", after.replace(short, long));
    }
    (out != text).then_some(out)
}

/// How often the short form occurs in a text; none where one occurrence cannot be replaced by the long form.
fn replaceable(text: &str, short: &str) -> Option<usize> {
    let mut count = 0;
    for (at, _) in text.match_indices(short) {
        let (before, after) = (&text[..at], &text[at + short.len()..]);
        let joined = |c: char| c.is_alphanumeric() || matches!(c, '-' | '/' | '\'' | '’');
        let alone = !before.ends_with(joined) && !after.starts_with(joined);
        let article = [" a ", " an ", "A ", "An "]
            .iter()
            .any(|of| before.ends_with(of));
        if !alone || article {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// The long form at the end of `before`.
fn long_form<'t>(before: &'t str, short: &str) -> Option<&'t str> {
    let letters: Vec<char> = short.chars().filter(|c| c.is_alphanumeric()).collect();
    let most = (letters.len() + 5).min(letters.len() * 2);
    let start = before
        .rmatch_indices(' ')
        .nth(most - 1)
        .map_or(0, |(at, _)| at + 1);
    let window = &before[start..];
    let mut rest = window;
    for (place, letter) in letters.iter().enumerate().rev() {
        loop {
            let (at, _) = rest
                .char_indices()
                .rev()
                .find(|(_, c)| c.eq_ignore_ascii_case(letter))?;
            let begins = !rest[..at].ends_with(char::is_alphanumeric);
            rest = &rest[..at];
            if place > 0 || begins {
                break;
            }
        }
    }
    let long = &window[rest.len()..];
    let ends = long.ends_with(char::is_alphanumeric);
    (long.contains(' ') && ends && !long.contains(['(', ')', ',', ';', ':', '?'])).then_some(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defined_abbreviations_are_spelled_out() {
        for (text, out) in [
            (
                "Is polycystic ovary syndrome (PCOS) inherited, and is PCOS common?",
                Some(
                    "Is polycystic ovary syndrome inherited, and is polycystic ovary syndrome common?",
                ),
            ),
            (
                "Is a chronic subdural haematoma (CSDH) dangerous?",
                Some("Is a chronic subdural haematoma dangerous?"),
            ),
            (
                "Do magnetic resonance imaging (MRI) and computed tomography (CT) agree?",
                Some("Do magnetic resonance imaging and computed tomography agree?"),
            ),
            // Nothing is defined; or a name is no long form.
            ("Is PCOS inherited?", None),
            ("Is rasburicase (SR29142) safe?", None),
            ("Is the enzyme (GAPDH) a receptor?", None),
            // Part of a word; with an article; before its definition.
            (
                "Is major depressive disorder (MDD) worse than non-MDD?",
                None,
            ),
            (
                "Does magnetic resonance imaging (MRI) need an MRI suite?",
                None,
            ),
            ("Is MDD, major depressive disorder (MDD), common?", None),
        ] {
            assert_eq!(spelled_out(text).as_deref(), out, "{text}");
        }
    }

    #[test]
    fn the_long_form_has_a_limited_length() {
        assert_eq!(
            long_form("In adults with heart failure", "HF"),
            Some("heart failure")
        );
        assert_eq!(
            long_form("The rate of atrial fibrillation", "AF"),
            Some("atrial fibrillation")
        );
        assert_eq!(
            long_form("diffuse large B-cell lymphoma", "DLBCL"),
            Some("diffuse large B-cell lymphoma")
        );
        assert_eq!(long_form("one word: thrombocytopenia", "TCP"), None);
    }
}

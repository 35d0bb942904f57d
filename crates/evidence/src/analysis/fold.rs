//! Characters as a keyboard has them.

use std::borrow::Cow;

use icu_normalizer::DecomposingNormalizerBorrowed;
use verdict_data::letters::{keyboard, plain_letters};

/// The text in compatibility form (NFKD) without accents, with plain quotes and dashes. Case and Greek letters stay:
/// what follows needs them. Signs of trade marks become blanks.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let sign = |c| match c {
        '®' | '©' | '™' | '℠' => ' ',
        c => keyboard(c),
    };
    let plain: String = text.chars().map(sign).collect();
    let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize(&plain);
    let mut folded = String::with_capacity(apart.len());
    for c in apart.chars() {
        match plain_letters(c) {
            _ if matches!(c, '\u{300}'..='\u{36f}' | '\u{ad}') => {}
            Some(letters) => folded.push_str(letters),
            None => folded.push(keyboard(c)),
        }
    }
    Cow::Owned(folded)
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn accents_dashes_and_small_digits_become_plain() {
        for (text, folded) in [
            ("plain", "plain"),
            ("Sjögren’s", "Sjogren's"),
            ("COVID‑19", "COVID-19"),
            ("CO₂", "CO2"),
            ("ﬁbrosis", "fibrosis"),
            ("Zyrtec®", "Zyrtec "),
            ("TNF‐α", "TNF-α"),
            ("µg", "μg"),
        ] {
            assert_eq!(fold(text), folded, "{text}");
        }
    }
}

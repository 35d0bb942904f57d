//! Mending: text as it should have been written, without leftovers of mark-up.

use crate::Rules;
use crate::rules::built_in;
use crate::text::{blanks, fixpoint, tidy};

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_plain, mend, mended};
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

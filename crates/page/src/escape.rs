//! Escaping of text for HTML and SVG.

/// Text as HTML and SVG show it, in an element or a double-quoted attribute. Control characters that XML forbids become
/// U+FFFD.
pub fn escape(text: &str) -> String {
    let forbidden = |c: char| {
        (c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r'))
            || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    let text = text.replace(forbidden, "\u{fffd}");
    html_escape::encode_double_quoted_attribute(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_xml_forbids_are_replaced() {
        assert_eq!(
            escape("a\0b\u{1b}c\n<&\">\u{ffff}é"),
            "a\u{fffd}b\u{fffd}c\n&lt;&amp;&quot;&gt;\u{fffd}é"
        );
    }
}

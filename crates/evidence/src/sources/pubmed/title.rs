//! Titles and abstracts as PubMed writes them, without what was added to them.

/// A title in English. PubMed puts translated ones in brackets, `[Title].`, some with `(author's transl)`; a placeholder
/// (`[Not Available].`) is none.
pub(super) fn english(title: &str) -> &str {
    let title = unbracketed(title).unwrap_or(title);
    let title = title
        .strip_suffix("(author's transl)")
        .map_or(title, str::trim_end);
    match title.trim_end_matches('.').to_ascii_lowercase().as_str() {
        "not available" | "in process citation" | "no title available" => "",
        _ => title,
    }
}

/// What is within brackets that enclose the whole title.
fn unbracketed(title: &str) -> Option<&str> {
    let within = title.strip_prefix('[')?;
    let within = within.strip_suffix("].").or(within.strip_suffix(']'))?;
    let mut depth = 0;
    for c in within.chars() {
        match c {
            '[' => depth += 1,
            // The first bracket closes before the end: `[18F]FDG and [11C]`.
            ']' if depth == 0 => return None,
            ']' => depth -= 1,
            _ => {}
        }
    }
    Some(within.trim())
}

/// A text without the note that it was cut, `(ABSTRACT TRUNCATED AT 250 WORDS)`.
pub(super) fn untruncated(text: &str) -> &str {
    const NOTE: &str = "(ABSTRACT TRUNCATED";
    match text.rfind(NOTE) {
        Some(at) if text[at..].ends_with(')') && !text[at..text.len() - 1].contains(')') => {
            text[..at].trim_end()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{english, untruncated};

    #[test]
    fn only_whole_titles_lose_their_brackets() {
        for (title, expected) in [
            ("[Asthma in children].", "Asthma in children"),
            ("[Is it [safe]?]", "Is it [safe]?"),
            ("[Pain (author's transl)].", "Pain"),
            ("[18F]FDG and [11C].", "[18F]FDG and [11C]."),
            ("[Not Available].", ""),
            ("[In Process Citation]", ""),
            ("Plain [sic].", "Plain [sic]."),
            ("[", "["),
            ("", ""),
        ] {
            assert_eq!(english(title), expected);
        }
    }

    #[test]
    fn the_note_of_a_cut_goes() {
        for (text, expected) in [
            ("It fell.(ABSTRACT TRUNCATED AT 250 WORDS)", "It fell."),
            ("It fell. (ABSTRACT TRUNCATED)", "It fell."),
            (
                "(ABSTRACT TRUNCATED) is a note (n).",
                "(ABSTRACT TRUNCATED) is a note (n).",
            ),
        ] {
            assert_eq!(untruncated(text), expected);
        }
    }
}

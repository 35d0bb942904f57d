//! Private words: those that this project once used for a thing that has a usual name, and the usual name of each. They
//! are searched for in documents, in snapshots of what the program prints, in comments, and in the string literals of
//! code that is not for tests. The glossary (docs/concepts/glossary.md) defines the usual terms.

use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;

/// A pattern, and what to write instead. Patterns match whole words in any case.
const WORDS: &[(&str, &str)] = &[
    (r"told|tells", "describes, reports, prints, shows"),
    (r"stands", "is, is stored, contains"),
    (r"(go|goes|went|gone|going) on", "continues, resumes"),
    (r"by heart", "memorized"),
    (r"ask(s|ed|ing)? everyone", "evaluates all models"),
    (r"lets? go( of)?", "releases, frees; unconstrained"),
    (r"turn(s|ed|ing)? round", "negated, reverses"),
    (
        r"(give|gives|gave|given|giving)[- ]away",
        "contaminated; annotation artifact",
    ),
    (r"wish|wishes|wished", "requests, target"),
    (r"(its|their|whose) (own )?company", "batch-invariant"),
    (
        r"most tokens",
        "maximum new tokens, maximum sequence length",
    ),
    (r"to the bit", "bitwise identical"),
    (r"(hang|hangs|hung) (on|upon)", "depends on"),
    (r"whoever|whosoever", "the one who, the code that"),
    (r"is said|are said", "is given, is stated"),
    (r"but for", "except for"),
    (
        r"(begin|begins|began|begun|made|make|makes|built|read) anew",
        "again, from the beginning",
    ),
    (r"owed|owes", "pending, due"),
];

/// Uses of these words that are ordinary English, or quotations.
const ORDINARY: &[&str] = &[
    r"(told|tells) (them )?apart",
    r"stands for",
    r"all but for",
    r"(go|goes|going|went) on (a|an|the|to|its|their)\b",
    r#"“[^”]*”"#,
];

/// Texts that are data, or that use these words on purpose: a dated log, the questions of data sets, this list.
const SKIPPED: &[&str] = &[
    "docs/experiments.md",
    "crates/questions/src/families/",
    "dev/xtask/src/words.rs",
];

/// What to look for; built once for all files.
pub struct Words {
    words: Vec<(Regex, &'static str)>,
    ordinary: Regex,
    /// Names in code font are spelled as they are in files and programs.
    code: Regex,
}

impl Words {
    /// The list above.
    pub fn new() -> Words {
        let pattern = |text: &str| Regex::new(text).expect("a good pattern");
        let words = WORDS.iter();
        Words {
            words: words
                .map(|(word, instead)| (pattern(&format!(r"(?i)\b(?:{word})\b")), *instead))
                .collect(),
            ordinary: pattern(&format!("(?i){}", ORDINARY.join("|"))),
            code: pattern("`[^`]*`"),
        }
    }

    /// Every such word in the texts of a file, with its line.
    pub fn faults(&self, path: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if SKIPPED.iter().any(|skipped| path.starts_with(skipped)) {
            return faults;
        }
        for (line, text) in texts(path, text) {
            let text = self.code.replace_all(&text, "``");
            let text = self.ordinary.replace_all(&text, "");
            for (word, instead) in &self.words {
                for found in word.find_iter(&text) {
                    let found = found.as_str();
                    faults.push(format!(
                        "{path}: line {line}: `{found}` is a private word; say: {instead}"
                    ));
                }
            }
        }
        faults
    }
}

/// The texts of a file that people read, each with the number of its first line.
fn texts(path: &str, text: &str) -> Vec<(usize, String)> {
    let comment = |sign: &str, line: &str| line.split_once(sign).map(|(_, of)| of.to_owned());
    let comments = |sign: &str| {
        let lines = lines(text);
        lines
            .filter_map(|(number, line)| Some((number, comment(sign, line)?)))
            .collect()
    };
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "md" => lines(text).map(|(n, line)| (n, line.to_owned())).collect(),
        "snap" => {
            // Up to the second rule, insta describes the test.
            let mut rules = 0;
            let shown = lines(text).filter(|(_, line)| {
                rules += usize::from(*line == "---");
                rules >= 2
            });
            shown.map(|(n, line)| (n, line.to_owned())).collect()
        }
        "rs" => {
            let mut all: Vec<(usize, String)> = comments("//");
            let tests = path.contains("/tests/") || path.ends_with("tests.rs");
            if let Some(code) = text.parse().ok().filter(|_| !tests) {
                literals(code, &mut all);
            }
            all
        }
        "cu" => comments("//"),
        "toml" | "py" | "yml" => comments("#"),
        _ => Vec::new(),
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

/// Adds the literals of more than one word in some code, except that of tests. Documentation comments, which the parser
/// turns into attributes, are not among them.
fn literals(code: TokenStream, all: &mut Vec<(usize, String)>) {
    let mut tokens = code.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == '#' => {
                // `#[…]` or, for a whole file, `#![…]`.
                let mut attribute = tokens.next().map_or_else(String::new, |of| of.to_string());
                if attribute == "!" {
                    attribute = tokens.next().map_or_else(String::new, |of| of.to_string());
                }
                let attribute = attribute.replace(' ', "");
                if attribute.starts_with("[cfg(test") || attribute.starts_with("[cfg(all(test") {
                    // The item that follows ends with braces or a semicolon.
                    for token in tokens.by_ref() {
                        let text = token.to_string();
                        if text.starts_with('{') || text == ";" {
                            break;
                        }
                    }
                }
            }
            TokenTree::Group(group) => literals(group.stream(), all),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if text.contains(' ') {
                    all.push((literal.span().start().line, text));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        Words::new().faults(path, text).len()
    }

    #[test]
    fn a_private_word_is_a_fault_with_its_line_and_the_usual_term() {
        let faults = Words::new().faults("README.md", "# Title\n\nIt goes on where it was.\n");
        let expected = "README.md: line 3: `goes on` is a private word; say: continues, resumes";
        assert_eq!(faults, [expected]);
    }

    #[test]
    fn ordinary_uses_and_names_in_code_font_are_none() {
        let text = "AUC stands for an area; the field `told` keeps its name; “it goes on”";
        assert_eq!(found("docs/a.md", text), 0);
    }

    #[test]
    fn comments_and_texts_of_code_are_checked_and_tests_texts_are_not() {
        let comment = "//! What it is.\n// It stands here.\nfn f() {}\n";
        assert_eq!(found("crates/a/src/a.rs", comment), 1);
        let text = "//! What it is.\nfn f() -> &'static str { \"it\\n stands here\" }\n";
        assert_eq!(found("crates/a/src/a.rs", text), 1);
        let test = format!("//! x\n#[cfg(test)]\nmod tests {{ {} }}\n", &text[17..]);
        assert_eq!(found("crates/a/src/a.rs", &test), 0);
    }
}

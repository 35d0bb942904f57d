//! Medical specialties: which of them a publication or a question belongs to, by its MeSH headings or its words.
//!
//! The table is `specialties.toml`. It is a rule, not a reference: headings were not made to name specialties.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// A specialty of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specialty(usize);

/// Names, in order, with the beginnings of words that belong to each.
static TABLE: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    toml::from_str(include_str!("specialties.toml"))
        .unwrap_or_else(|error| unreachable!("the table is built in: {error}"))
});

impl Specialty {
    /// Every specialty, by name.
    pub fn all() -> impl Iterator<Item = Specialty> {
        (0..TABLE.len()).map(Specialty)
    }

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        TABLE.keys().nth(self.0).map_or("", String::as_str)
    }

    /// Whether a question belongs to the specialty: by the headings of its publication or, where none is known, by its
    /// own words.
    pub fn covers(self, headings: &[String], question: &str) -> bool {
        let Some(beginnings) = TABLE.values().nth(self.0) else {
            return false;
        };
        let has = |text: &str| {
            let text = format!(
                " {}",
                text.to_lowercase().replace(['(', ',', '"', '/'], " ")
            );
            beginnings
                .iter()
                .any(|beginning| text.contains(&format!(" {beginning}")))
        };
        match headings {
            [] => has(question),
            headings => headings.iter().any(|heading| has(heading)),
        }
    }
}

impl FromStr for Specialty {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Specialty::all().find(|specialty| specialty.name() == text);
        found.ok_or_else(|| {
            let names: Vec<&str> = Specialty::all().map(Specialty::name).collect();
            format!("a specialty of {}", names.join(", "))
        })
    }
}

impl fmt::Display for Specialty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Specialty;

    fn covering(headings: &[&str], question: &str) -> Vec<&'static str> {
        let headings: Vec<String> = headings.iter().map(|&of| of.to_owned()).collect();
        let all = Specialty::all().filter(|of| of.covers(&headings, question));
        all.map(Specialty::name).collect()
    }

    #[test]
    fn headings_decide_where_there_are_any() {
        let headings = [
            "Humans",
            "Coronary Artery Bypass",
            "Diabetes Mellitus, Type 2",
        ];
        let found = covering(&headings, "Is the knee stable?");
        assert_eq!(found, ["cardiology", "endocrinology", "surgery"]);
        assert_eq!(covering(&[], "Is the knee stable?"), ["musculoskeletal"]);
        assert!(covering(&["Humans", "Attitude"], "Is the knee stable?").is_empty());
    }

    #[test]
    fn a_beginning_is_that_of_a_word() {
        assert_eq!(
            covering(&["Neoplasms, Hormone-Dependent"], ""),
            ["oncology"]
        );
        assert!(covering(&["Bioelectric Energy Sources"], "").is_empty());
        assert_eq!(covering(&["Carcinoma (Basal Cell)"], ""), ["oncology"]);
        assert_eq!(covering(&["Multiple Sclerosis"], ""), ["neurology"]);
    }

    #[test]
    fn names_are_read_and_written() {
        for specialty in Specialty::all() {
            assert_eq!(specialty.name().parse(), Ok(specialty));
        }
        let fault = "hearts".parse::<Specialty>().unwrap_err();
        assert!(fault.contains("cardiology, endocrinology"), "{fault}");
    }
}

//! Whether what has the form of a citation also has a citation's place in the sentence. Brackets contain isotopes,
//! residues of peptides, intervals and amounts as well as references, and a year follows a country as often as an
//! author: what is not certain to be a citation stays.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use super::kind::Kind;
use crate::text::regex;

/// Words that distinguish a number or a name from a citation, in lower case unless a case is part of the word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spared {
    /// Units and things counted, behind a bracket: "[10, 20] mmol".
    units: Vec<String>,
    /// What is numbered without a blank: "grade3–4". Plurals are meant too.
    numbered: Vec<String>,
    /// Words before a bracket with a number: `n [12]`.
    counted: Vec<String>,
    /// Words before a bracket with two numbers: "scale [1-10]". Plurals are meant too.
    ranged: Vec<String>,
    /// Peptides whose residues are given in brackets: "angiotensin [1-7]".
    peptides: Vec<String>,
    /// Ordinary words after which a number without a blank is a reference: "disease1–3".
    before_superscript: Vec<String>,
    /// Endings of such words.
    before_superscript_endings: Vec<String>,
    /// What precedes a year and is no author: "Sweden (2005)".
    not_authors: Vec<String>,
    /// Organisations that are cited by their letters: "(WHO, 2010)".
    organisations: Vec<String>,
}

/// Isotopes by element, as they are used in medicine.
const ISOTOPES: &[(&str, &[u32])] = &[
    ("Ac", &[225]),
    ("As", &[72, 74, 76]),
    ("At", &[211]),
    ("Au", &[198]),
    ("Ba", &[133]),
    ("Bi", &[212, 213]),
    ("Br", &[75, 76, 77]),
    ("C", &[11, 13, 14]),
    ("Ca", &[45, 47]),
    ("Co", &[55, 57, 58, 60]),
    ("Cr", &[51]),
    ("Cs", &[131, 137]),
    ("Cu", &[60, 61, 62, 64, 67]),
    ("F", &[18, 19]),
    ("Fe", &[52, 55, 59]),
    ("Ga", &[66, 67, 68]),
    ("H", &[1, 2, 3]),
    ("Ho", &[166]),
    ("I", &[123, 124, 125, 127, 129, 131]),
    ("In", &[111, 113]),
    ("Ir", &[192]),
    ("K", &[40, 42]),
    ("Kr", &[81]),
    ("Lu", &[176, 177]),
    ("Mn", &[52]),
    ("Mo", &[99]),
    ("N", &[13, 15]),
    ("Na", &[22, 23, 24]),
    ("O", &[15, 17, 18]),
    ("P", &[31, 32, 33]),
    ("Pb", &[203, 212]),
    ("Pd", &[103]),
    ("Ra", &[223, 224, 226]),
    ("Rb", &[82]),
    ("Re", &[186, 188]),
    ("Rn", &[222]),
    ("S", &[35]),
    ("Sc", &[43, 44, 47]),
    ("Se", &[75]),
    ("Sm", &[153]),
    ("Sr", &[82, 89, 90]),
    ("Tb", &[149, 152, 155, 161]),
    ("Tc", &[94, 99]),
    ("Th", &[227, 232]),
    ("Ti", &[45]),
    ("Tl", &[201]),
    ("U", &[235, 238]),
    ("Xe", &[129, 133]),
    ("Y", &[86, 90]),
    ("Zn", &[65]),
    ("Zr", &[89]),
];

/// The most references that a dash may span.
const WIDEST: u32 = 25;

static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex("[0-9]+"));
static RANGE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^\[?([0-9]{1,3}) ?([,;–-]) ?([0-9]{1,3})\]?$"));
static DASHED: LazyLock<Regex> = LazyLock::new(|| regex(r"([0-9]{1,3}) ?[–-] ?([0-9]{1,3})"));
/// A number at the end of a text, with a sign of percent or a comparison: "65", "0.85", "12/45", "±3", "30%".
static ENDS_IN_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?:^|[^\p{L}0-9-])[−±<>=≤≥~-]?([0-9]+(?:[.,·][0-9]+)*)(?:/[0-9]+)? ?[%‰°]?$")
});
static YEAR: LazyLock<Regex> = LazyLock::new(|| regex("^(?:19|20)[0-9]{2}$"));
/// A number and one word behind it, at the end of a text: "65 years".
static NUMBER_AND_WORD: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:^|[^\p{L}0-9-])([0-9]+(?:\.[0-9]+)?) ?[%\p{L}/]+$"));
static LAST_WORD: LazyLock<Regex> = LazyLock::new(|| regex(r"[\p{L}0-9β'’+/-]+$"));
static NEXT_WORD: LazyLock<Regex> = LazyLock::new(|| regex(r"^ ?([\p{L}µμ]+)"));
/// Names of rings and cages, whose number is in brackets.
static RING: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:calix|cucurbit|pillar|cyclo|spiro|resorcin|hydro|aza|benzo|annulen|helicen|rotax|caten)$",
    )
});
/// One of several groups, at the end of a text: its number of members may follow.
static NAMED_GROUP: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?i)\b(?:group|arm|cohort|class|stratum) (?:[A-Z]|[0-9]{1,2}|I{1,3}|IV)$")
});
/// Words that continue a sentence about somebody's work.
static REPORTS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^,? (?:(?:have|has|had|also|first|recently|previously|later|then|therefore|all|both) )*(?:show|shew|find|found|report|demonstrat|conclud|suggest|observ|not(?:e|ed|es) |stat(?:e|ed|es) |argu|describ|propos|introduc|develop|investigat|compar|stud(?:y|ied)|examin|review|analy[sz]|evaluat|us(?:e|ed|es) |confirm|identif|estimat|measur|recommend|agree|disagree|hypothes|publish|present|defin|claim|point|concur|did |was the first|were the first|performed|conducted|obtained|assessed|reviewed|treated|followed|noticed|discussed|emphasi[sz]ed|documented|tested|and colleagues|and co-?workers)",
    )
});
/// Words after which an author is named.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:\b(?:by|according to|see|see also|cf\.?|in contrast to|in line with|in agreement with|in accordance with|consistent with|findings of|results of|study of|studies of|work of|report of|reports of|data of|model of|method of|criteria of|classification of)|[;(]) $",
    )
});

impl Spared {
    /// Is `range` of `text`, which has the form of a citation, certain to be one?
    pub(super) fn certain(&self, kind: Kind, text: &str, range: &Range<usize>) -> bool {
        let (before, found, after) = (
            &text[..range.start],
            &text[range.clone()],
            &text[range.end..],
        );
        match kind {
            Kind::Reference => match found.chars().next() {
                Some('[') => self.bracket(before, found, after),
                Some('0'..='9') => self.superscript(before, found),
                // "(Tab. 2, Fig. 2, Ref. 22)" says how many there are.
                _ => {
                    let bracket = before.rsplit(['(', '[']).next().unwrap_or("");
                    !bracket.contains("Fig") && !bracket.contains("Tab")
                }
            },
            Kind::AuthorYear => self.author(before, found, after),
            Kind::Journal => match found.chars().next() {
                Some(first) if first.is_alphabetic() => {
                    !is_among(&self.numbered, first_word(found))
                }
                _ => true,
            },
            _ => true,
        }
    }

    /// Is a bracket of numbers a reference?
    fn bracket(&self, before: &str, found: &str, after: &str) -> bool {
        let numbers: Vec<u32> = NUMBER
            .find_iter(found)
            .filter_map(|number| number.as_str().parse().ok())
            .collect();
        let [first, ..] = numbers[..] else {
            return true;
        };
        let counts = NUMBER
            .find_iter(found)
            .all(|number| !number.as_str().starts_with('0'));
        let range = RANGE.captures(found);
        let dashed = DASHED.captures_iter(found).all(|of| {
            let [from, to] = [1, 2].map(|at| of[at].parse::<u32>().unwrap_or(0));
            from < to && to - from <= WIDEST
        });
        counts
            && dashed
            && self.fits_after(numbers.len(), first, before, after)
            && self.fits_before(&numbers, range.is_some(), before, after)
    }

    /// May what follows a bracket follow a reference?
    fn fits_after(&self, count: usize, first: u32, before: &str, after: &str) -> bool {
        let mut next = after.chars();
        match next.next() {
            None => return true,
            Some(' ') => {}
            Some(c) if c.is_alphabetic() => {
                // "It helps.[12]The other": a blank is missing. No symbol of an element has three letters.
                let word = NEXT_WORD
                    .captures(after)
                    .map_or("", |word| word.get(1).map_or("", |w| w.as_str()));
                let capital = c.is_uppercase() && word.chars().skip(1).all(char::is_lowercase);
                return before.ends_with(['.', ';', ',']) && capital && word.chars().count() > 2;
            }
            Some(c) => {
                return matches!(
                    c,
                    '.' | ',' | ';' | ':' | ')' | ']' | '[' | '?' | '!' | '"' | '”' | '’'
                );
            }
        }
        let rest = after.trim_start();
        if rest.starts_with([
            '=', '<', '>', '≤', '≥', '±', '×', '%', '‰', '°', '/', '+', '·',
        ]) {
            return false;
        }
        let Some(word) = NEXT_WORD.captures(after).and_then(|word| word.get(1)) else {
            return true;
        };
        let isotope = ISOTOPES
            .iter()
            .any(|(symbol, masses)| *symbol == word.as_str() && masses.contains(&first));
        let unit = self.units.iter().any(|unit| {
            unit == word.as_str() || (unit.len() > 3 && *unit == word.as_str().to_lowercase())
        });
        !(unit || isotope && count == 1)
    }

    /// May the text before a bracket precede a reference?
    fn fits_before(&self, numbers: &[u32], range: bool, before: &str, after: &str) -> bool {
        let single = numbers.len() == 1;
        let Some(last) = before.chars().next_back() else {
            // At the start only before a sentence.
            return after
                .trim_start()
                .chars()
                .next()
                .is_none_or(char::is_uppercase);
        };
        let glued = last != ' ';
        let before = before.trim_end();
        let word = LAST_WORD.find(before).map_or("", |word| word.as_str());
        if before.ends_with([
            '=', '<', '>', '≤', '≥', '±', '~', '×', '/', '+', '-', '–', '*', '^', '%',
        ]) && glued
            || before.ends_with(['=', '<', '>', '≤', '≥', '±', '×', '~'])
        {
            return false;
        }
        if let Some(number) = ENDS_IN_NUMBER.captures(before) {
            // "in 2010 [3]" cites, "65 [58–72]" is an interval.
            return YEAR.is_match(&number[1]) && !before.ends_with('%');
        }
        if let [low, high] = numbers
            && let Some(value) = NUMBER_AND_WORD.captures(before)
            && let Ok(value) = value[1].parse::<f64>()
            && (f64::from(*low)..=f64::from(*high)).contains(&value)
        {
            // "65 years [58–72]".
            return false;
        }
        if is_among(&self.counted, word)
            || is_among(&self.ranged, word) && range
            || self.peptides.iter().any(|of| word.ends_with(of.as_str())) && range
        {
            return false;
        }
        if NAMED_GROUP.is_match(before) && single {
            // "Group A [12] and group B [14]".
            return false;
        }
        let genotype = word == "P" || (word.starts_with('G') && word.ends_with('P'));
        if genotype && single {
            return false;
        }
        if !glued {
            return true;
        }
        match last {
            '0'..='9' => false,
            c if c.is_uppercase() || "βαγδ".contains(c) => {
                // "SpO[2]", "PTH[1-34]", "F[1,306]".
                if single {
                    numbers[0] > 9 && word.len() > 1
                } else {
                    numbers.len() > 2
                }
            }
            // "7q[31]".
            c if c.is_lowercase() && word.contains(|c: char| c.is_ascii_digit()) => false,
            c if c.is_lowercase() => {
                let bare = word.rsplit('/').next().unwrap_or(word);
                let unit = bare.len() < 3 && self.units.iter().any(|unit| unit == bare);
                let residues = range && (word.ends_with("in") || word.contains(char::is_uppercase));
                !unit && !residues && !RING.is_match(word)
            }
            _ => true,
        }
    }

    /// Are numbers without a blank before them references? Only behind words that have no numbers themselves.
    fn superscript(&self, before: &str, found: &str) -> bool {
        let word = LAST_WORD.find(before).map_or("", |word| word.as_str());
        if word.chars().any(|c| !c.is_lowercase()) || is_among(&self.numbered, word) {
            return false;
        }
        let ascending = DASHED.captures_iter(found).all(|of| {
            let [from, to] = [1, 2].map(|at| of[at].parse::<u32>().unwrap_or(0));
            from < to
        });
        let known = self.before_superscript.iter().any(|of| of == word);
        let ending = self
            .before_superscript_endings
            .iter()
            .any(|ending| word.ends_with(ending.as_str()) && word.len() > ending.len() + 1);
        // One number may be a name's: "condition1". Things in the plural and qualities are not numbered.
        let alone = !found.contains([',', '–', '-']);
        let plural = is_plural(word)
            || ["ism", "ity", "ness", "ncy"]
                .iter()
                .any(|of| word.ends_with(of));
        ascending && !found.starts_with('0') && (plural || !alone && (known || ending))
    }

    /// Is a name with a year an author? With "et al." it is.
    fn author(&self, before: &str, found: &str, after: &str) -> bool {
        if found.contains(" al") {
            return true;
        }
        let others = ["colleagues", "workers", "associates", "collaborators"];
        if others.iter().any(|of| found.contains(of)) {
            // "Nurses and colleagues reported": no name.
            let plural = first_word(found).ends_with('s');
            let reported = super::instead::SAID.is_match(after);
            let dated = found.ends_with(|c: char| c.is_ascii_digit() || c == ')' || c == ']');
            // "Dr. Ruth Heyn and colleagues" are people, not their work.
            let named = before.trim_end().rsplit(' ').next().is_some_and(|word| {
                word.starts_with(char::is_uppercase) && word.chars().any(char::is_lowercase)
            });
            return dated || reported && !plural && !named;
        }
        let inside = found.starts_with(['(', '['])
            || found.ends_with([';', ')', ']']) && !found.contains(['(', '[']);
        let names = found.split(|c: char| " ,;()[]&".contains(c));
        let names: Vec<&str> = names
            .filter(|name| name.starts_with(char::is_uppercase))
            .collect();
        let known = |name: &&str| self.not_authors.iter().any(|of| of == name);
        let capitals = |name: &&str| name.len() > 1 && name.chars().all(|c| !c.is_lowercase());
        if names.iter().any(known) {
            return false;
        }
        if inside || found.contains('&') {
            let organisation = |name: &&str| self.organisations.iter().any(|of| of == name);
            return names.len() > 1
                || names
                    .iter()
                    .all(|name| !capitals(name) || organisation(name));
        }
        if names.len() > 1 && after.starts_with(" [") && !found.contains(['(', '[']) {
            return true;
        }
        // "Smith (2005)": only where the sentence speaks of an author's work.
        let article = first_word(found);
        let determined = before.trim_end().rsplit(' ').next().is_some_and(|word| {
            matches!(
                &*word.to_lowercase(),
                "the" | "a" | "an" | "this" | "in" | "our" | "to" | "at" | "on"
            )
        });
        let capitalised = before.trim_end().rsplit(' ').next().is_some_and(|word| {
            word.chars().next().is_some_and(char::is_uppercase)
                && !word.ends_with(['.', ',', ';', ':'])
                && !matches!(
                    word,
                    "By" | "From" | "See" | "Unlike" | "Like" | "Following" | "Both"
                )
        });
        !capitals(&article)
            && !capitalised
            && (NAMES.is_match(before)
                || !determined
                    && (REPORTS.is_match(after)
                        || after.starts_with("'s")
                        || after.starts_with("’s")
                        || (names.len() > 1 && before.trim().is_empty())))
    }
}

/// Is a word, or what it is the plural of, among others? Compared in lower case.
fn is_among(words: &[String], word: &str) -> bool {
    let word = word.to_lowercase();
    let word = word.trim_end_matches('.');
    let one = word.strip_suffix('s').unwrap_or(word);
    words.iter().any(|of| of == word || of == one)
}

/// Is a word in small letters the plural of a noun, by its ending?
fn is_plural(word: &str) -> bool {
    word.len() > 4
        && word.ends_with('s')
        && !["ss", "us", "is", "as", "os"]
            .iter()
            .any(|ending| word.ends_with(ending))
}

fn first_word(text: &str) -> &str {
    text.split([' ', '.']).next().unwrap_or("")
}

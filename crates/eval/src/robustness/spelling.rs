//! British and American spellings of words that biomedical questions use.
//!
//! Only whole words in lower case are changed: a capitalised word may belong to a name ("Pediatric Risk of Mortality
//! score"), and names keep their spelling. The table has no words that differ in more than spelling, or that are spelled
//! both ways in one of the variants.

/// British and American spelling; plurals with `s` are included.
const PAIRS: &[(&str, &str)] = &[
    ("ageing", "aging"),
    ("aetiology", "etiology"),
    ("aetiological", "etiological"),
    ("anaemia", "anemia"),
    ("anaemic", "anemic"),
    ("anaesthesia", "anesthesia"),
    ("anaesthetic", "anesthetic"),
    ("bacteraemia", "bacteremia"),
    ("behaviour", "behavior"),
    ("behavioural", "behavioral"),
    ("caesarean", "cesarean"),
    ("catheterisation", "catheterization"),
    ("centre", "center"),
    ("characterised", "characterized"),
    ("coeliac", "celiac"),
    ("colour", "color"),
    ("diarrhoea", "diarrhea"),
    ("dyspnoea", "dyspnea"),
    ("favour", "favor"),
    ("favourable", "favorable"),
    ("fibre", "fiber"),
    ("gynaecological", "gynecological"),
    ("gynaecology", "gynecology"),
    ("haematological", "hematological"),
    ("haematoma", "hematoma"),
    ("haemodialysis", "hemodialysis"),
    ("haemodynamic", "hemodynamic"),
    ("haemoglobin", "hemoglobin"),
    ("haemophilia", "hemophilia"),
    ("haemorrhage", "hemorrhage"),
    ("haemorrhagic", "hemorrhagic"),
    ("haemorrhoid", "hemorrhoid"),
    ("haemostasis", "hemostasis"),
    ("haemostatic", "hemostatic"),
    ("hospitalisation", "hospitalization"),
    ("hospitalised", "hospitalized"),
    ("hypercholesterolaemia", "hypercholesterolemia"),
    ("hyperglycaemia", "hyperglycemia"),
    ("hypoglycaemia", "hypoglycemia"),
    ("hypovolaemia", "hypovolemia"),
    ("immunisation", "immunization"),
    ("ischaemia", "ischemia"),
    ("ischaemic", "ischemic"),
    ("labour", "labor"),
    ("leukaemia", "leukemia"),
    ("localised", "localized"),
    ("metastasise", "metastasize"),
    ("normalise", "normalize"),
    ("oedema", "edema"),
    ("oesophageal", "esophageal"),
    ("oesophagitis", "esophagitis"),
    ("oesophagus", "esophagus"),
    ("oestradiol", "estradiol"),
    ("oestrogen", "estrogen"),
    ("optimise", "optimize"),
    ("organisation", "organization"),
    ("orthopaedic", "orthopedic"),
    ("paediatric", "pediatric"),
    ("paediatrician", "pediatrician"),
    ("programme", "program"),
    ("randomised", "randomized"),
    ("revascularisation", "revascularization"),
    ("septicaemia", "septicemia"),
    ("standardised", "standardized"),
    ("sterilisation", "sterilization"),
    ("sulphate", "sulfate"),
    ("tumour", "tumor"),
    ("uraemia", "uremia"),
    ("uraemic", "uremic"),
    ("utilisation", "utilization"),
    ("visualisation", "visualization"),
    ("hospitalise", "hospitalize"),
    ("minimise", "minimize"),
    ("neutralise", "neutralize"),
    ("recognise", "recognize"),
];

/// The text with every word of the table in the other spelling; none where it has no such word, or words of both
/// spellings.
pub fn respelled(text: &str) -> Option<String> {
    let american = with(text, |(british, american)| (british, american));
    let british = with(text, |(british, american)| (american, british));
    match (american, british) {
        (Some(text), None) | (None, Some(text)) => Some(text),
        _ => None,
    }
}

/// The text with the first word of each pair replaced by the second; none where there is nothing to replace.
fn with(
    text: &str,
    order: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut changed = false;
    let mut rest = text;
    while !rest.is_empty() {
        let letters = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(letters);
        let found = PAIRS
            .iter()
            .map(|pair| order(*pair))
            .find_map(|(from, to)| {
                let plural = word.strip_prefix(from)?;
                matches!(plural, "" | "s").then(|| format!("{to}{plural}"))
            });
        match found {
            Some(other) => {
                changed |= other != word;
                out.push_str(&other);
            }
            None => out.push_str(word),
        }
        let others = after.find(char::is_alphabetic).unwrap_or(after.len());
        let (between, next) = after.split_at(others);
        out.push_str(between);
        rest = next;
    }
    changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_respelled_both_ways_and_names_are_not() {
        for (text, other) in [
            ("Do tumours cause anaemia?", Some("Do tumors cause anemia?")),
            ("Do tumors cause anemia?", Some("Do tumours cause anaemia?")),
            ("Is tumour/oedema one?", Some("Is tumor/edema one?")),
            ("Is the Pediatric Risk of Mortality score valid?", None),
            ("Do tumours differ from tumors?", None),
            ("Is antitumour activity known?", None),
            ("Is it so?", None),
        ] {
            assert_eq!(respelled(text).as_deref(), other, "{text}");
        }
    }

    #[test]
    fn no_word_stands_in_two_pairs() {
        let mut words: Vec<&str> = PAIRS
            .iter()
            .flat_map(|(one, other)| [*one, *other])
            .collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }
}

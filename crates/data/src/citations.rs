//! Citations: how they look, whether a text contains one, and how a text reads without them. This is
//! their one home: the data builder removes what is listed in `rules.toml`, the answer grammar forbids it
//! and the evaluation counts it.

pub(crate) mod detector;
mod instead;
pub(crate) mod kind;
pub(crate) mod place;

pub use detector::{CitationMatch, Citations};
pub use kind::Kind;

use crate::rules::built_in;

/// Does the text contain a citation of any kind, by the built-in rules?
pub fn contains(text: &str) -> bool {
    built_in().citations.contains(text)
}

/// [`Citations::remove`] by the built-in rules.
pub fn remove(text: &str) -> (String, Vec<CitationMatch>) {
    built_in().citations.remove(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Kind, contains, remove};
    use crate::rules::built_in;

    /// A text of any one pattern.
    fn cited() -> impl Strategy<Value = String> {
        let texts = built_in().citations.each.iter().map(|pattern| {
            // Ends and boundaries generate nothing.
            let plain = pattern.as_str().replace("\\b", "").replace("|$", "");
            let text = proptest::string::string_regex(&plain);
            text.expect("a plain pattern").boxed()
        });
        proptest::strategy::Union::new(texts)
    }

    proptest! {
        #[test]
        fn the_quick_look_lets_every_citation_through(text in cited()) {
            prop_assert!(built_in().citations.may(&text), "{text}");
        }
    }

    #[test]
    fn every_form_is_found_and_removed() {
        for (text, kind, cleaned) in [
            ("It helps (PMID: 21645374).", Kind::Pmid, "It helps."),
            (
                "It helps (PMIDs 21645374, 2164537).",
                Kind::Pmid,
                "It helps.",
            ),
            ("It helps, see PubMed 21645374.", Kind::Pmid, "It helps."),
            ("It helps [PMCID: PMC1234567].", Kind::Pmcid, "It helps."),
            (
                "It helps (PMC1234567) a lot.",
                Kind::Pmcid,
                "It helps a lot.",
            ),
            (
                "It helps. doi: 10.1056/NEJMoa2034577.",
                Kind::Doi,
                "It helps.",
            ),
            ("It helps (10.1000/xyz123).", Kind::Doi, "It helps."),
            (
                "Survival was longer. See Video Abstract at http://links.lww.com/DCR/A446.",
                Kind::Url,
                "Survival was longer.",
            ),
            ("It helps (https://doi.org/10.1/x).", Kind::Url, "It helps."),
            (
                "It helps (source: http://www.ncbi.nlm.nih.gov/pubmed/33861387).",
                Kind::Url,
                "It helps.",
            ),
            (
                "It helps (PubMed: 35996994, 20689246).",
                Kind::Pmid,
                "It helps.",
            ),
            (
                "In this issue, Sun et al. show that it helps.",
                Kind::AuthorYear,
                "In this issue, earlier work shows that it helps.",
            ),
            (
                "It helps (available at www.who.int).",
                Kind::Url,
                "It helps.",
            ),
            (
                "Data are at clinicaltrials.gov/ct2/show here.",
                Kind::Url,
                "Data are here.",
            ),
            (
                "Glucose fell. Trial Registration (ORIGIN ClinicalTrials.gov number NCT00069784).",
                Kind::Trial,
                "Glucose fell. Trial Registration.",
            ),
            (
                "Stents helped (Zotarolimus in Uncertain DES Candidates [ZEUS]; NCT01385319).",
                Kind::Trial,
                "Stents helped (Zotarolimus in Uncertain DES Candidates [ZEUS]).",
            ),
            (
                "Features of PCOS. Clinical Trials.gov: NCT01046032.",
                Kind::Trial,
                "Features of PCOS.",
            ),
            ("It helps (ISRCTN12345678).", Kind::Trial, "It helps."),
            (
                "It helps (EudraCT number 2010-123456-12).",
                Kind::Trial,
                "It helps.",
            ),
            ("It helps (ACTRN12605000001628).", Kind::Trial, "It helps."),
            ("It helps (ChiCTR-TRC-12001234).", Kind::Trial, "It helps."),
            ("It helps (ChiCTR2000029308).", Kind::Trial, "It helps."),
            ("It helps (UMIN000012345).", Kind::Trial, "It helps."),
            ("It helps (UMIN-CTR: 000012345).", Kind::Trial, "It helps."),
            ("It helps (jRCTs031180001).", Kind::Trial, "It helps."),
            ("It helps (DRKS00012345).", Kind::Trial, "It helps."),
            ("It helps (CTRI/2017/08/009345).", Kind::Trial, "It helps."),
            ("It helps (IRCT20171122037571N1).", Kind::Trial, "It helps."),
            (
                "It helps (PROSPERO CRD42018091234).",
                Kind::Trial,
                "It helps.",
            ),
            (
                "It helps (Netherlands Trial Register NTR1234).",
                Kind::Trial,
                "It helps (Netherlands).",
            ),
            ("It helps [12].", Kind::Reference, "It helps."),
            ("It helps.[12]", Kind::Reference, "It helps."),
            (
                "It helps [1,2-5] in mice.",
                Kind::Reference,
                "It helps in mice.",
            ),
            ("It helps [1–3].", Kind::Reference, "It helps."),
            ("[4] It helps.", Kind::Reference, "It helps."),
            (
                "It helps (Smith et al., 2019).",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "It helps (Smith et al. 2019) in mice.",
                Kind::AuthorYear,
                "It helps in mice.",
            ),
            (
                "It helps (Smith and Jones, 2019).",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "It helps (Smith, 2019; Lee & Kim, 2020).",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "Smith et al. (2019) found that it helps.",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "Smith et al. (2019) compared both.",
                Kind::AuthorYear,
                "Earlier work compared both.",
            ),
            (
                "As reported by Smith et al., it helps.",
                Kind::AuthorYear,
                "As reported by earlier work, it helps.",
            ),
            (
                "It helps (Smith et al., 2019; Lee et al. 2020b).",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "It fell in the study of van der Meer et al. in mice.",
                Kind::AuthorYear,
                "It fell in the study in mice.",
            ),
            (
                "As shown by da Silva et al. (2014), it helps.",
                Kind::AuthorYear,
                "As shown by earlier work, it helps.",
            ),
            (
                "Novak P, O'Neill J, et al. reported that it helps.",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "We took Meyer et al.'s criteria.",
                Kind::AuthorYear,
                "We took the criteria.",
            ),
            (
                "Meyer et al.’s (2011) criteria were met.",
                Kind::AuthorYear,
                "The criteria were met.",
            ),
            (
                "Prof. ten Hove et al. found that it helps.",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "Novak and colleagues reported that it helps.",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "The data of Novak et al. and of Roth et al. agree.",
                Kind::AuthorYear,
                "The data of earlier work agree.",
            ),
            (
                "It fell in rats et al. and in dogs.",
                Kind::AuthorYear,
                "It fell in rats and in dogs.",
            ),
            (
                "It fell in rats, cf. al-Rashid et al. 2012.",
                Kind::AuthorYear,
                "It fell in rats.",
            ),
            (
                "It helps (von Braun, 2011; de la Cruz and D'Amico, 2009).",
                Kind::AuthorYear,
                "It helps.",
            ),
            (
                "According to Larsson (2005) it helps.",
                Kind::AuthorYear,
                "According to Larsson it helps.",
            ),
            (
                "It helps in old mice [12].",
                Kind::Reference,
                "It helps in old mice.",
            ),
            (
                "It helps,[3,4] but little.",
                Kind::Reference,
                "It helps, but little.",
            ),
            (
                "It was so in 2010 [3].",
                Kind::Reference,
                "It was so in 2010.",
            ),
            (
                "It lives in such cells4,5.",
                Kind::Reference,
                "It lives in such cells.",
            ),
            ("It helps (ref. 12).", Kind::Reference, "It helps."),
            (
                "There was no effect in the study [12].",
                Kind::Reference,
                "There was no effect in the study.",
            ),
            (
                "NCT01234567 was stopped early.",
                Kind::Trial,
                "The trial was stopped early.",
            ),
            (
                "Smith and Jones (2019) agree.",
                Kind::AuthorYear,
                "Smith and Jones agree.",
            ),
            (
                "It helps (Lancet 2019;393:1234-45).",
                Kind::Journal,
                "It helps (Lancet).",
            ),
        ] {
            assert!(contains(text), "{text}");
            let (out, found) = remove(text);
            assert_eq!(out, cleaned);
            assert_eq!(found.first().map(|found| found.kind), Some(kind), "{text}");
            assert!(!contains(&out), "{out}");
            assert_eq!(remove(&out), (out.clone(), Vec::new()));
        }
    }

    #[test]
    fn what_only_looks_like_a_citation_stays() {
        for text in [
            "The Survey (2010) found less.",
            "The program is free. Contact: first.last@uni.edu.au or a@b-c.net. It is fast.",
            "Nurses and colleagues reported that it helps.",
            "Use was highest in Norway (2007) and rose in Iowa (2011).",
            "It was studied in Salzburg (2013).",
            "Scans with [64]Cu-DOTATATE, [123]I-MIBG and [13] N-ammonia agreed.",
            "[89]Zr-trastuzumab and [3H]-thymidine were taken up.",
            "A [3Fe-4S] cluster and [Ca2+] were measured.",
            "Neurotensin[8-13] and PTH[1-34] bind, as angiotensin [1-7] does.",
            "They were 71 [64–79] years old and had 12 [8-15] visits.",
            "At 12 months [9–14] most were well.",
            "Levels lay in [4, 11] mmol/L on a scale [1-10].",
            "Pain was 3 [0-10], and [0, 1] was allowed.",
            "Counts of 10[5] cells, CO[2], FEV[1] and 70 kg/m[2] were usual.",
            "calix[4]arene, [2.2]paracyclophane and [5]helicene were made.",
            "Toxicity of grade2–3, exons4-6, claudin3,4 and weeks1–4.",
            "mir1-3, del45-55 and mrjp1-9 were found (Fig. 2, Table 1).",
            "Genes were beclin1, condition2 and COX2.",
            "They got vitamin B12, 5 [n=5] and ≥3 [IQR 2-4] doses.",
            "It rose in summer (July 2005) and in Rotterdam (1990).",
            "Strains were G12P[8] and G2P[4].",
            "The odds ratio was 0.85 [95% CI 0.60 to 1.05].",
            "A 1.47 [95% confidence interval (CI): 1.01-2.14, P = 0.042] fold higher rate.",
            "Between 2001 and 2010 (January 2001 to May 2010) rates fell.",
            "PMCA and NCTs matter; doing so helps.",
            "Doses of 10.5 mg/d and 12/24 h were given.",
            "Hepatitis (B and C) and p75NTR were measured in 2019.",
            "Time-consuming tests, hypoalbuminemia, interest alone.",
        ] {
            assert!(!contains(text), "{text}");
            assert_eq!(remove(text), (text.to_owned(), Vec::new()));
        }
    }
}

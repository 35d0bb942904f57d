//! Makes files in the form of PubMed's baseline for measurements of reading and indexing: `pubmed25n0001.xml.gz` and on,
//! 30,000 articles each, with their MD5 sums. Abstracts have PubMed's lengths and are mixed from sentences of real ones
//! (PubMedQA, BioASQ, MedEvidence), with other numbers in them, so that the vocabulary grows with the number of articles.
//! The same arguments give the same bytes.
//!
//! ```text
//! cargo run --release -p verdict-evidence --example make_pubmed -- DATA OUT ARTICLES [SEED]
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};
use verdict_common::hash::hex;
use verdict_common::random::SplitMix64;
use verdict_data::sentences;
use verdict_evidence::{Change, LiteratureSource, SectionKind};

/// Articles of a file, as NLM's.
const OF_FILE: usize = 30_000;

/// The headings of most structured abstracts, and the share of an abstract's sentences under each.
const SECTIONS: [(&str, SectionKind, usize); 4] = [
    ("BACKGROUND", SectionKind::Background, 2),
    ("METHODS", SectionKind::Methods, 3),
    ("RESULTS", SectionKind::Results, 4),
    ("CONCLUSIONS", SectionKind::Conclusions, 2),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, out, articles, rest @ ..] = arguments.as_slice() else {
        return Err("expected DATA OUT ARTICLES [SEED]".into());
    };
    let articles: usize = articles.parse()?;
    let seed = rest.first().map_or(Ok(1), |seed| seed.parse())?;
    let pool = Pool::read(Path::new(data))?;
    let out = Path::new(out);
    std::fs::create_dir_all(out)?;
    let mut random = SplitMix64::new(seed);
    for (index, first) in (0..articles).step_by(OF_FILE).enumerate() {
        let name = format!("pubmed25n{:04}.xml.gz", index + 1);
        let path = out.join(&name);
        let mut packed = GzEncoder::new(BufWriter::new(File::create(&path)?), Compression::new(6));
        packed.write_all(HEAD.as_bytes())?;
        for number in first..articles.min(first + OF_FILE) {
            packed.write_all(pool.article(number + 1, &mut random).as_bytes())?;
        }
        packed.write_all(b"</PubmedArticleSet>\n")?;
        packed.finish()?.flush()?;
        let sum = hex(&Md5::digest(std::fs::read(&path)?));
        std::fs::write(
            out.join(format!("{name}.md5")),
            format!("MD5({name})= {sum}\n"),
        )?;
        println!("{}", path.display());
    }
    Ok(())
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!DOCTYPE PubmedArticleSet PUBLIC \"-//NLM//DTD PubMedArticle, \
    1st January 2025//EN\" \"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd\">\n<PubmedArticleSet>\n";

/// What articles are mixed from.
#[derive(Default)]
struct Pool {
    titles: Vec<String>,
    mesh: Vec<String>,
    /// Sentences of sections of a kind, in the order of [`SECTIONS`].
    sections: [Vec<String>; 4],
    /// All sentences.
    all: Vec<String>,
}

impl Pool {
    fn read(data: &Path) -> Result<Pool, Box<dyn Error>> {
        let mut pool = Pool::default();
        for source in [
            format!(
                "pubmedqa-labeled:{}",
                data.join("pubmedqa/ori_pqal.json").display()
            ),
            format!("bioasq:{}", data.join("bioasq").display()),
            format!("bioasq:{}", data.join("bioasq-11").display()),
        ] {
            let source: LiteratureSource = source.parse()?;
            source.read(&mut |change| {
                if let Change::Put(document) = change {
                    pool.titles
                        .extend(Some(document.title).filter(|title| !title.is_empty()));
                    pool.mesh.extend(document.mesh);
                    for section in document.sections {
                        let place = SECTIONS
                            .iter()
                            .position(|(_, kind, _)| *kind == section.kind);
                        pool.add(&section.text, place);
                    }
                }
                Ok(())
            })?;
        }
        let rows = std::fs::read_to_string(data.join("medevidence/med-evidence-abstract.jsonl"))?;
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row)?;
            for (_, source) in row["sources"].as_object().into_iter().flatten() {
                pool.add(source["content"].as_str().unwrap_or_default(), None);
            }
        }
        Ok(pool)
    }

    fn add(&mut self, text: &str, place: Option<usize>) {
        for sentence in sentences(text) {
            let sentence = html_escape::encode_text(sentence.trim()).into_owned();
            if let Some(place) = place {
                self.sections[place].push(sentence.clone());
            }
            self.all.push(sentence);
        }
    }

    /// An article with what PubMed has beside the text: authors with their addresses, a history, references.
    fn article(&self, number: usize, random: &mut SplitMix64) -> String {
        let mut text = String::with_capacity(8 << 10);
        let year = 1975 + random.below(50);
        let title = pick(&self.titles, random).trim_end_matches('?');
        let title = html_escape::encode_text(title);
        let heading = html_escape::encode_text(pick(&self.mesh, random));
        let mut add = |part: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            let _ = text.write_fmt(part);
        };
        add(format_args!(
            "  <PubmedArticle>\n    <MedlineCitation Status=\"MEDLINE\" Owner=\"NLM\">\n      <PMID Version=\"1\">{}</PMID>\n      \
             <Article PubModel=\"Print\">\n        <Journal>\n          <ISSN IssnType=\"Print\">0000-0000</ISSN>\n          \
             <JournalIssue CitedMedium=\"Print\"><Volume>{}</Volume><PubDate><Year>{year}</Year></PubDate></JournalIssue>\n          \
             <Title>Journal of examples {}</Title>\n        </Journal>\n        <ArticleTitle>{title}: {heading}.</ArticleTitle>\n        \
             <Abstract>\n",
            50_000_000 + number,
            random.below(99) + 1,
            random.below(5_000),
        ));
        // 8 to 14 sentences of about 20 words: the 200 to 250 words that most journals allow.
        let length = 8 + random.below(7);
        if random.below(10) < 4 {
            for ((label, kind, share), pool) in SECTIONS.iter().zip(&self.sections) {
                add(format_args!(
                    "          <AbstractText Label=\"{label}\" NlmCategory=\"{}\">",
                    format!("{kind:?}").to_uppercase()
                ));
                for _ in 0..(length * share / 11).max(1) {
                    add(format_args!("{} ", renumbered(pick(pool, random), random)));
                }
                add(format_args!("</AbstractText>\n"));
            }
        } else {
            add(format_args!("          <AbstractText>"));
            for _ in 0..length {
                add(format_args!(
                    "{} ",
                    renumbered(pick(&self.all, random), random)
                ));
            }
            add(format_args!("</AbstractText>\n"));
        }
        add(format_args!(
            "        </Abstract>\n        <AuthorList CompleteYN=\"Y\">\n"
        ));
        for author in 0..1 + random.below(8) {
            add(format_args!(
                "          <Author ValidYN=\"Y\"><LastName>Author{author}</LastName><ForeName>A B</ForeName><Initials>AB</Initials>\
                 <AffiliationInfo><Affiliation>Department of {heading}, University of Examples, Example Street {}, City, \
                 Country.</Affiliation></AffiliationInfo></Author>\n",
                random.below(1_000)
            ));
        }
        add(format_args!(
            "        </AuthorList>\n        <Language>eng</Language>\n        <PublicationTypeList><PublicationType UI=\"D016428\">\
             Journal Article</PublicationType></PublicationTypeList>\n      </Article>\n      <MeshHeadingList>\n"
        ));
        for _ in 0..4 + random.below(12) {
            add(format_args!(
                "        <MeshHeading><DescriptorName UI=\"D000000\" MajorTopicYN=\"N\">{}</DescriptorName></MeshHeading>\n",
                html_escape::encode_text(pick(&self.mesh, random))
            ));
        }
        add(format_args!(
            "      </MeshHeadingList>\n    </MedlineCitation>\n    <PubmedData>\n      <ReferenceList>\n"
        ));
        for _ in 0..random.below(20) {
            add(format_args!(
                "        <Reference><Citation>J Ex. {year};{}:1-9</Citation><ArticleIdList><ArticleId IdType=\"pubmed\">{}</ArticleId>\
                 </ArticleIdList></Reference>\n",
                random.below(99),
                random.below(30_000_000)
            ));
        }
        add(format_args!(
            "      </ReferenceList>\n    </PubmedData>\n  </PubmedArticle>\n"
        ));
        text
    }
}

fn pick<'a>(from: &'a [String], random: &mut SplitMix64) -> &'a str {
    &from[random.below(from.len())]
}

/// The sentence with other digits.
fn renumbered(sentence: &str, random: &mut SplitMix64) -> String {
    let digit = |c: char| match c.is_ascii_digit() {
        true => char::from(b'0' + random.below(10) as u8),
        false => c,
    };
    sentence.chars().map(digit).collect()
}

//! PubMed as NLM publishes it: baseline and update files (`pubmed25n0001.xml.gz`), and what its search interface exports
//! as XML. A file is read event by event; what is in memory is one article.
//!
//! Source: the document type definition `pubmed_250101.dtd` and NLM's element descriptions
//! (<https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html>). What becomes of each element is listed in
//! `docs/concepts/literature.md`.

mod article;
mod attributes;
mod markup;
mod title;
mod xml;

use std::io::BufRead;
use std::path::Path;

use super::change::{Change, Emit};
use super::files::{FileRecord, file_record};
use super::unpacked::with_content;
use crate::Result;

use article::{Draft, pmid};
use xml::Xml;

/// Elements that hold articles.
const ROOTS: [&str; 2] = ["PubmedArticleSet", "MedlineCitationSet"];

/// Reads a file, after it was compared with its MD5 sum.
pub(super) fn read(path: &Path, emit: &mut Emit<'_>) -> Result<FileRecord> {
    let record = file_record(path)?;
    with_content(path, |content| read_xml(path, content, emit))?;
    Ok(record)
}

/// Reads the content of a file.
pub(super) fn read_xml(path: &Path, content: impl BufRead, emit: &mut Emit<'_>) -> Result<()> {
    let mut xml = Xml::new(path, content);
    xml.root(&ROOTS)?;
    xml.children(&mut |xml, name| match name {
        "PubmedArticle" => {
            let mut draft = Draft::default();
            xml.begin_article();
            xml.children(&mut |xml, name| match name {
                "MedlineCitation" => draft.citation(xml),
                _ => xml.skip(),
            })?;
            emit(Change::Put(Box::new(draft.finish(xml)?)))
        }
        // Where the set is one of citations.
        "MedlineCitation" => {
            let mut draft = Draft::default();
            xml.begin_article();
            draft.citation(xml)?;
            emit(Change::Put(Box::new(draft.finish(xml)?)))
        }
        "PubmedBookArticle" => {
            let mut draft = Draft::default();
            xml.begin_article();
            xml.children(&mut |xml, name| match name {
                "BookDocument" => draft.book(xml),
                _ => xml.skip(),
            })?;
            emit(Change::Put(Box::new(draft.finish(xml)?)))
        }
        "DeleteCitation" | "DeleteDocument" => xml.children(&mut |xml, name| match name {
            "PMID" => {
                xml.begin_article();
                emit(Change::Delete(pmid(xml)?))
            }
            _ => xml.skip(),
        }),
        other => Err(xml.fault(format!(
            "expected PubmedArticle, PubmedBookArticle or DeleteCitation, found <{other}>"
        ))),
    })?;
    xml.end()
}

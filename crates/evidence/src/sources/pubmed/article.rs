//! One article of PubMed, or one chapter of its books, as a document.

use std::io::BufRead;

use super::title::{english, untruncated};
use super::xml::Xml;
use crate::{Document, Notice, NoticeKind, Result, Section, SectionKind, SourceKind};

/// What was read of an article.
#[derive(Default)]
pub(super) struct Draft {
    pmid: Option<String>,
    title: String,
    vernacular: String,
    sections: Vec<Section>,
    /// An abstract in English that is not the publication's own, where it has none.
    other: Vec<Section>,
    issue_year: Option<u16>,
    article_year: Option<u16>,
    journal: Option<String>,
    abbreviation: Option<String>,
    mesh: Vec<String>,
    types: Vec<String>,
    notices: Vec<Notice>,
}

/// A PMID, which is the text of the element that was opened last.
pub(super) fn pmid<R: BufRead>(xml: &mut Xml<'_, R>) -> Result<String> {
    let text = xml.text()?;
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(text),
        false => {
            let found = match text.is_empty() {
                true => "nothing".into(),
                false => format!("{:?}", text.chars().take(40).collect::<String>()),
            };
            Err(xml.field("field \"PMID\" as digits", found))
        }
    }
}

impl Draft {
    /// `MedlineCitation`.
    pub(super) fn citation<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        xml.children(&mut |xml, name| match name {
            "PMID" => self.number(xml),
            "Article" => self.article(xml),
            "MedlineJournalInfo" => xml.children(&mut |xml, name| match name {
                "MedlineTA" => first(xml, &mut self.abbreviation),
                _ => xml.skip(),
            }),
            "MeshHeadingList" => xml.children(&mut |xml, _| self.heading(xml)),
            "CommentsCorrectionsList" => xml.children(&mut |xml, _| self.notice(xml)),
            "OtherAbstract" => self.other_abstract(xml),
            _ => xml.skip(),
        })
    }

    fn article<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        xml.children(&mut |xml, name| match name {
            "Journal" => self.journal(xml),
            "ArticleTitle" => text_into(xml, &mut self.title),
            "VernacularTitle" => text_into(xml, &mut self.vernacular),
            "Abstract" => sections(xml, &mut self.sections),
            "PublicationTypeList" => xml.children(&mut |xml, _| self.publication_type(xml)),
            "ArticleDate" => {
                let year = year_in(xml)?;
                self.article_year = self.article_year.or(year);
                Ok(())
            }
            _ => xml.skip(),
        })
    }

    /// `BookDocument`: a chapter, with the book in the place of the journal.
    pub(super) fn book<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        xml.children(&mut |xml, name| match name {
            "PMID" => self.number(xml),
            "ArticleTitle" => text_into(xml, &mut self.title),
            "VernacularTitle" => text_into(xml, &mut self.vernacular),
            "Abstract" => sections(xml, &mut self.sections),
            "PublicationType" => self.publication_type(xml),
            "Book" => xml.children(&mut |xml, name| match name {
                "BookTitle" => first(xml, &mut self.journal),
                "PubDate" => {
                    self.issue_year = year_in(xml)?;
                    Ok(())
                }
                _ => xml.skip(),
            }),
            _ => xml.skip(),
        })
    }

    fn number<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        let number = pmid(xml)?;
        xml.pmid = Some(number.clone());
        self.pmid = Some(number);
        Ok(())
    }

    fn journal<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        xml.children(&mut |xml, name| match name {
            "Title" => first(xml, &mut self.journal),
            "ISOAbbreviation" => first(xml, &mut self.abbreviation),
            "JournalIssue" => xml.children(&mut |xml, name| match name {
                "PubDate" => {
                    self.issue_year = year_in(xml)?;
                    Ok(())
                }
                _ => xml.skip(),
            }),
            _ => xml.skip(),
        })
    }

    /// `MeshHeading`: its descriptor. Qualifiers (`/drug therapy`) narrow a heading and are passed over.
    fn heading<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        xml.children(&mut |xml, name| match name {
            "DescriptorName" => {
                let heading = xml.text()?;
                if !heading.is_empty() && !self.mesh.contains(&heading) {
                    self.mesh.push(heading);
                }
                Ok(())
            }
            _ => xml.skip(),
        })
    }

    fn publication_type<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        let of = xml.text()?;
        if !of.is_empty() && !self.types.contains(&of) {
            self.types.push(of);
        }
        Ok(())
    }

    /// `CommentsCorrections`: what was published of this article later. Comments, and what this article says of others
    /// (`RetractionOf`), are none.
    fn notice<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        let of = xml.attribute("RefType")?;
        let kind = match of.as_deref() {
            Some("RetractionIn" | "RetractedandRepublishedIn") => NoticeKind::Retracted,
            Some("ErratumIn" | "CorrectedandRepublishedIn" | "PartialRetractionIn") => {
                NoticeKind::Corrected
            }
            Some("ExpressionOfConcernIn") => NoticeKind::Concern,
            _ => return xml.skip(),
        };
        let mut notice = Notice {
            kind,
            reference: None,
            pmid: None,
        };
        xml.children(&mut |xml, name| match name {
            "RefSource" => first(xml, &mut notice.reference),
            "PMID" => {
                notice.pmid = Some(pmid(xml)?);
                Ok(())
            }
            _ => xml.skip(),
        })?;
        self.notices.push(notice);
        Ok(())
    }

    /// An abstract by somebody else: of the languages English alone, and of its kinds all but those for laypeople, which
    /// say again what the abstract says.
    fn other_abstract<R: BufRead>(&mut self, xml: &mut Xml<'_, R>) -> Result<()> {
        let language = xml.attribute("Language")?;
        let english = language.is_none_or(|language| language.eq_ignore_ascii_case("eng"));
        let of = xml.attribute("Type")?;
        let plain = of.is_some_and(|of| of.eq_ignore_ascii_case("plain-language-summary"));
        match english && !plain && self.other.is_empty() {
            true => sections(xml, &mut self.other),
            false => xml.skip(),
        }
    }

    /// The document.
    pub(super) fn finish<R: BufRead>(self, xml: &Xml<'_, R>) -> Result<Document> {
        let Some(id) = self.pmid else {
            return Err(xml.field("field \"PMID\" as digits", "nothing".into()));
        };
        let title = match english(&self.title) {
            "" => self.vernacular,
            title if title.len() == self.title.len() => self.title,
            title => title.to_owned(),
        };
        let mut notices = self.notices;
        let retracted = |notice: &Notice| notice.kind == NoticeKind::Retracted;
        let of_type = |name: &str| self.types.iter().any(|of| of == name);
        if of_type("Retracted Publication") && !notices.iter().any(retracted) {
            notices.push(Notice {
                kind: NoticeKind::Retracted,
                reference: None,
                pmid: None,
            });
        }
        Ok(Document {
            id,
            title,
            sections: match self.sections.is_empty() {
                true => self.other,
                false => self.sections,
            },
            year: self.issue_year.or(self.article_year),
            journal: self.journal.or(self.abbreviation),
            mesh: self.mesh,
            types: self.types,
            notices,
            source: SourceKind::Pubmed.name().into(),
        })
    }
}

/// The first text that is not empty.
fn first<R: BufRead>(xml: &mut Xml<'_, R>, into: &mut Option<String>) -> Result<()> {
    let text = xml.text()?;
    if into.is_none() && !text.is_empty() {
        *into = Some(text);
    }
    Ok(())
}

fn text_into<R: BufRead>(xml: &mut Xml<'_, R>, into: &mut String) -> Result<()> {
    *into = xml.text()?;
    Ok(())
}

/// `Abstract` or `OtherAbstract`: each `AbstractText` that is not empty. The copyright is passed over.
fn sections<R: BufRead>(xml: &mut Xml<'_, R>, into: &mut Vec<Section>) -> Result<()> {
    xml.children(&mut |xml, name| {
        if name != "AbstractText" {
            return xml.skip();
        }
        let label = xml.attribute("Label")?;
        let label = label.map(|label| verdict_data::blanks(&label));
        let unlabelled = ["", "UNLABELLED", "UNASSIGNED"];
        let label = label.filter(|label| !unlabelled.contains(&label.as_str()));
        let category = xml.attribute("NlmCategory")?;
        let text = xml.text()?;
        let text = untruncated(&text);
        if !text.is_empty() {
            into.push(Section {
                kind: kind(category.as_deref(), label.as_deref()),
                label,
                text: text.to_owned(),
            });
        }
        Ok(())
    })
}

/// What a section is about: what NLM says, or else its heading.
fn kind(category: Option<&str>, label: Option<&str>) -> SectionKind {
    match category {
        Some("BACKGROUND") => SectionKind::Background,
        Some("OBJECTIVE") => SectionKind::Objective,
        Some("METHODS") => SectionKind::Methods,
        Some("RESULTS") => SectionKind::Results,
        Some("CONCLUSIONS") => SectionKind::Conclusions,
        _ => label.map_or(SectionKind::Other, SectionKind::of_heading),
    }
}

/// The year of a date: its `Year`, or the first one in a `MedlineDate` (`1998 Dec-1999 Jan`, `Spring 1976`). None where
/// neither holds one.
fn year_in<R: BufRead>(xml: &mut Xml<'_, R>) -> Result<Option<u16>> {
    let mut found = None;
    xml.children(&mut |xml, name| match name {
        "Year" | "MedlineDate" => {
            let text = xml.text()?;
            found = found.or_else(|| year(&text));
            Ok(())
        }
        _ => xml.skip(),
    })?;
    Ok(found)
}

/// The first run of exactly four digits that can be a year.
fn year(text: &str) -> Option<u16> {
    text.split(|c: char| !c.is_ascii_digit())
        .filter(|run| run.len() == 4)
        .filter_map(|run| run.parse().ok())
        .find(|year| (1500..=2100).contains(year))
}

#[cfg(test)]
mod tests {
    use super::year;

    #[test]
    fn years_are_found_in_every_form_of_a_date() {
        for (text, expected) in [
            ("1998 Dec-1999 Jan", Some(1998)),
            ("Spring 1976", Some(1976)),
            ("2025", Some(2025)),
            ("1978-1979", Some(1978)),
            ("19791 2003", Some(2003)),
            ("0000", None),
            ("n.d.", None),
        ] {
            assert_eq!(year(text), expected, "{text}");
        }
    }
}

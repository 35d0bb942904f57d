//! `verdict search`: looks into an index of literature.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use verdict_evidence::{Document, Filters, Hit, Index, Notice, NoticeKind, SearchQuery};

use crate::failure::Result;
use crate::filters::FilterFlags;
use crate::printer::Printer;

/// Search an index of literature
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that `verdict index` wrote
    pub index: PathBuf,
    /// What to search for, in plain words
    pub question: String,
    /// Show at most this many documents
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    #[command(flatten)]
    pub filters: FilterFlags,
    /// Show retracted publications too
    #[arg(long)]
    pub retracted: bool,
}

/// A document found, as `search --json` prints it: one a line.
#[derive(Serialize)]
struct FoundDocument<'a> {
    rank: usize,
    score: f32,
    #[serde(flatten)]
    document: &'a Document,
}

/// Searches, and prints what was found.
pub fn run(args: Args, printer: &Printer) -> Result {
    let index = Index::open(&args.index)?;
    let start = Instant::now();
    let hits = index.search(&SearchQuery {
        text: &args.question,
        top: args.top,
        filters: Filters {
            retracted: args.retracted,
            ..args.filters.filters()
        },
    })?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    for (place, hit) in hits.iter().enumerate() {
        printer.json(&FoundDocument {
            rank: place + 1,
            score: hit.score,
            document: &hit.document,
        });
        printer.line(format!("{:>2}. {}", place + 1, text(hit)));
    }
    if hits.is_empty() {
        printer.note("nothing found");
    }
    tracing::debug!(ms, documents = index.len(), found = hits.len(), "searched");
    Ok(())
}

/// A hit in two lines: the title, and what it is.
fn text(hit: &Hit) -> String {
    let document = &hit.document;
    let title = match document.title.is_empty() {
        true => "(no title)",
        false => &document.title,
    };
    let year = document.year.map(|year| year.to_string());
    let notices = document.notices.iter().map(notice);
    let about: Vec<String> = [Some(document.id.clone()), year, document.journal.clone()]
        .into_iter()
        .flatten()
        .chain([format!("score {:.2}", hit.score)])
        .chain(notices)
        .collect();
    format!("{title}\n    {}", about.join("  "))
}

fn notice(notice: &Notice) -> String {
    let kind = match notice.kind {
        NoticeKind::Retracted => "RETRACTED",
        NoticeKind::Corrected => "corrected",
        NoticeKind::Concern => "expression of concern",
    };
    match &notice.reference {
        Some(reference) => format!("{kind} ({reference})"),
        None => kind.to_owned(),
    }
}

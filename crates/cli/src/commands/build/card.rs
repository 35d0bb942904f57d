//! `verdict build --card`: writes the data card of a finished data set again.

use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_data::Card;
use verdict_data::card::{HTML, MARKDOWN};

use crate::failure::Result;
use crate::printer::Printer;

/// Writes both files and prints their paths.
pub(super) fn card(folder: &Path, printer: &Printer) -> Result {
    Card::of(folder)?.renew(folder)?;
    let files = CardFiles {
        html: folder.join(HTML),
        markdown: folder.join(MARKDOWN),
    };
    printer.json(&files);
    for path in [&files.html, &files.markdown] {
        printer.line(format!("card       {}", path.display()));
    }
    Ok(())
}

#[derive(Serialize)]
struct CardFiles {
    html: PathBuf,
    markdown: PathBuf,
}

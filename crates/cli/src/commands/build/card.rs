//! `verdict build --card`: the data card of a finished set, made anew out of its folder.

use std::path::{Path, PathBuf};

use serde::Serialize;
use verdict_data::Card;
use verdict_data::card::{HTML, MARKDOWN};

use crate::failure::Result;
use crate::printer::Printer;

/// Writes both files and tells where they are.
pub(super) fn card(folder: &Path, printer: &Printer) -> Result {
    Card::of(folder)?.renew(folder)?;
    let told = Told {
        html: folder.join(HTML),
        markdown: folder.join(MARKDOWN),
    };
    printer.json(&told);
    for path in [&told.html, &told.markdown] {
        printer.line(format!("card       {}", path.display()));
    }
    Ok(())
}

#[derive(Serialize)]
struct Told {
    html: PathBuf,
    markdown: PathBuf,
}

//! The data card: a report of a finished data set for the people who decide whether to use it, in Markdown and in
//! HTML. Made out of the manifest and a few rows, so that the folder alone gives it again, byte by byte.
//!
//! `page` has the contents, once for both formats; `figures` draws. `verdict-page` writes the files.
//! No clock, no network, no script.

mod census;
mod checks;
mod figures;
mod page;
mod rights;
mod tables;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::Path;

pub(crate) use census::{Census, Words, measure};

use crate::new_file_in;
use crate::staging::write_file;
use crate::{DataSet, Error, Item, Manifest, Result};

/// The Markdown's file name.
pub const MARKDOWN: &str = "card.md";
/// The HTML's file name.
pub const HTML: &str = "card.html";

/// A data card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// For a repository: tables, no figures.
    pub markdown: String,
    /// For a browser: one file with figures inside, nothing loaded from elsewhere.
    pub html: String,
}

impl Card {
    /// The card of a data set with this manifest; of `examples`, two of each source and class are enough.
    pub fn new(manifest: &Manifest, examples: &[Item]) -> Card {
        let page = page::page(manifest, examples);
        Card {
            markdown: page.markdown(),
            html: page.html(),
        }
    }

    /// The card of a finished set, out of its folder alone. Counts that an older build did not keep in the
    /// manifest are taken from the rows.
    ///
    /// # Errors
    /// Those of [`DataSet::read`].
    pub fn of(folder: impl AsRef<Path>) -> Result<Card> {
        let mut set = DataSet::read(folder)?;
        let mut census = Census::of(&set);
        if set.manifest.by_source.is_empty() {
            set.manifest.by_source = census.by_source();
        }
        if set.manifest.lengths.is_empty() {
            set.manifest.lengths = census.lengths();
        }
        Ok(Card::new(&set.manifest, &census.take_examples()))
    }

    /// Writes both files into a folder that is being made.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        for (name, text) in self.files() {
            write_file(&folder.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes both files into a finished data set, replacing those that are there. Each is replaced as a whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn renew(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        for (name, text) in self.files() {
            let path = folder.join(name);
            let file = new_file_in(folder).map_err(Error::io(&path))?;
            let written = file
                .as_file()
                .write_all(text.as_bytes())
                .and_then(|()| file.as_file().sync_all());
            written.map_err(Error::io(&path))?;
            file.persist(&path)
                .map_err(|fault| Error::io(&path)(fault.error))?;
        }
        Ok(())
    }

    fn files(&self) -> [(&'static str, &str); 2] {
        [(MARKDOWN, &self.markdown), (HTML, &self.html)]
    }
}

//! Reads PubMed's files and prints what was in them and how long it took: the speed of the reader alone.
//!
//! ```text
//! cargo run --release -p verdict-evidence --example read_pubmed -- FOLDER
//! ```
#![allow(clippy::print_stdout)]

use std::time::Instant;

use verdict_evidence::{Change, LiteratureSource, SourceKind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected a file or folder")?;
    let start = Instant::now();
    let (mut put, mut deleted, mut bytes) = (0, 0, 0);
    let source = LiteratureSource::new(SourceKind::Pubmed, path);
    let records = source.read(&mut |change| {
        match change {
            Change::Put(document) => {
                put += 1;
                bytes += document
                    .sections
                    .iter()
                    .map(|of| of.text.len())
                    .sum::<usize>();
            }
            Change::Delete(_) => deleted += 1,
        }
        Ok(())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let packed: u64 = records.iter().map(|record| record.bytes).sum();
    println!(
        "{put} articles, {deleted} deletions, {} files, {packed} bytes packed, {bytes} bytes of abstracts, {seconds:.2} s, {:.0} articles/s",
        records.len(),
        f64::from(put) / seconds
    );
    Ok(())
}

//! `verdict index`: builds or updates a search index of literature.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use verdict_common::{bytes, counted, duration, grouped};
use verdict_evidence::{
    Contents, Counts, IndexManifest, IndexSettings, IndexWriter, KINDS, LiteratureSource,
};

use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::shell;

/// Build a search index of literature, for evidence
///
/// The index holds titles and abstracts with year, journal, MeSH headings, publication types, retractions and
/// corrections. A build that was interrupted is continued by the same command. `verdict search` looks into it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read documents from a source, as KIND:PATH
    ///
    /// The kinds are pubmed (a baseline or update file of NLM, or a folder of them), pubmedqa-labeled,
    /// pubmedqa-artificial, pubmedqa-unlabeled, bioasq (snippets), jsonl, csv and parquet (columns id, title, text, year,
    /// journal, mesh, types). Sources apply in the order given; a later version of a document replaces an earlier one.
    #[arg(long, value_name = "KIND:PATH", required = true, action = clap::ArgAction::Append)]
    pub source: Vec<String>,
    /// Write the index to this folder
    #[arg(long, value_name = "INDEX")]
    pub out: PathBuf,
    /// Add the files that the index in --out does not have yet
    #[arg(long, conflicts_with_all = ["overwrite", "leave_out_retracted", "with_abstract_only"])]
    pub update: bool,
    /// Replace the index in --out
    #[arg(long)]
    pub overwrite: bool,
    /// Leave out retracted publications [default: flag them]
    #[arg(long)]
    pub leave_out_retracted: bool,
    /// Leave out publications without an abstract
    ///
    /// By default they are found by their titles.
    #[arg(long)]
    pub with_abstract_only: bool,
    /// Memory for documents that are not on disk yet, in MiB
    #[arg(long, value_name = "MIB", default_value_t = IndexSettings::default().memory_mib)]
    pub memory_mib: usize,
}

/// What `index --json` prints.
#[derive(Serialize)]
struct IndexOutput<'a> {
    out: &'a Path,
    documents: usize,
    files_read: usize,
    files_known: usize,
    changes: usize,
    bytes: u64,
    seconds: f64,
    counts: Counts,
    manifest: &'a IndexManifest,
}

/// Builds or updates, and prints what is in the index.
pub fn run(args: Args, printer: &Printer) -> Result {
    let start = Instant::now();
    let sources = sources(&args.source)?;
    let settings = IndexSettings {
        contents: Contents {
            leave_out_retracted: args.leave_out_retracted,
            with_abstract_only: args.with_abstract_only,
        },
        memory_mib: args.memory_mib,
        overwrite: args.overwrite,
        ..IndexSettings::default()
    };
    let mut writer = match args.update {
        true => IndexWriter::update(&args.out, &settings)?,
        false => IndexWriter::create(&args.out, &settings)?,
    };
    if !args.update && !writer.files().is_empty() {
        printer.note(format!(
            "continuing after {}",
            counted(writer.files().len(), "file")
        ));
    }
    let (mut read, mut known, mut changes) = (0, 0, 0);
    for source in &sources {
        let files = source.files()?.len();
        let progress = printer.progress("indexing", "file", files as u64);
        let (mut begun, mut so_far) = (0, 0);
        let found = writer.read(source, &mut |path, change| {
            match change {
                None => begun += 1,
                Some(number) => so_far = number,
            }
            if change.is_none_or(|number| number.is_multiple_of(1_000)) {
                let rate = (changes + so_far) as f64 / start.elapsed().as_secs_f64();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let text = match changes + so_far {
                    0 => name.into_owned(),
                    _ => format!("{name}  {} documents/s", grouped(rate as usize)),
                };
                progress.set((begun as u64).saturating_sub(1), &text);
            }
            Ok(())
        })?;
        progress.set(files as u64, "");
        read += found.read;
        known += found.known;
        changes += found.changes;
    }
    let manifest = writer.finish()?;
    let output = IndexOutput {
        out: &args.out,
        documents: manifest.counts.documents,
        files_read: read,
        files_known: known,
        changes,
        bytes: size(&args.out),
        seconds: start.elapsed().as_secs_f64(),
        counts: manifest.counts,
        manifest: &manifest,
    };
    print(&output, printer);
    Ok(())
}

/// All sources, or the faults of all.
fn sources(texts: &[String]) -> Result<Vec<LiteratureSource>> {
    let (mut sources, mut faults) = (Vec::new(), Vec::new());
    for text in texts {
        match text.parse::<LiteratureSource>() {
            Ok(source) => sources.push(source),
            Err(error) => faults.push(format!("--source: {error}")),
        }
    }
    match faults.is_empty() {
        true => Ok(sources),
        false => Err(Failure::faults(faults).hint(format!("sources are {KINDS}"))),
    }
}

fn print(output: &IndexOutput, printer: &Printer) {
    printer.json(output);
    let counts = output.counts;
    let known = match output.files_known {
        0 => String::new(),
        known => format!(", {} in the index already", grouped(known)),
    };
    printer.line(format!(
        "read       {}{known}",
        counted(output.files_read, "file")
    ));
    let files = output.manifest.files.iter();
    let (deleted, left_out) = files.fold((0, 0), |sum, file| {
        (sum.0 + file.deleted, sum.1 + file.left_out)
    });
    printer.line(format!("documents  {}", grouped(counts.documents)));
    for (name, count) in [
        ("deleted", deleted),
        ("left out", left_out),
        ("retracted", counts.retracted),
        ("corrected", counts.corrected),
        ("concern", counts.concern),
    ] {
        if count > 0 {
            printer.line(format!("{name:<11}{}", grouped(count)));
        }
    }
    if counts.without_abstract > 0 {
        let number = grouped(counts.without_abstract);
        printer.line(format!("title only {number}"));
    }
    let rate = output.changes as f64 / output.seconds.max(1e-3);
    printer.line(format!("size       {}", bytes(output.bytes)));
    printer.line(format!(
        "time       {}, {} documents a second",
        duration(output.seconds),
        grouped(rate as usize)
    ));
    printer.line(format!("index      {}", output.out.display()));
    printer.next(format!(
        "verdict search {} \"your question\"",
        shell::word(output.out)
    ));
}

/// Bytes of all files in a folder. Files that go while it is read count nothing.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

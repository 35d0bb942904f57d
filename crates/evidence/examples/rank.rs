//! Builds an index of a source and ranks its documents for queries in JSON lines (`id`, `text`, `without`); writes each
//! query's ids, best first, and prints times.
//!
//! `rank SOURCE QUERIES INDEX RUN [joined=0.3] [candidates=50]`, with a source as `verdict index` takes it; `-` takes
//! the index as it is. `dev/reference/retrieval/bm25s_compare.py` makes documents and queries, and judges the runs.

#![expect(clippy::print_stdout, reason = "a program of its own")]

use std::error::Error;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use serde::Deserialize;
use verdict_evidence::{
    Filters, Index, IndexSettings, IndexWriter, LiteratureSource, Ranking, SearchQuery,
};

#[derive(Deserialize)]
struct Query {
    id: String,
    text: String,
    #[serde(default)]
    without: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, queries, index, run, weights @ ..] = &arguments[..] else {
        return Err("rank SOURCE QUERIES INDEX RUN [joined=0.3] …".into());
    };
    let ranking = ranking(weights)?;
    if source != "-" {
        build(source, Path::new(index))?;
    }
    let index = Index::open(Path::new(index))?;
    let mut out = BufWriter::new(std::fs::File::create(run)?);
    let mut times = Vec::new();
    for line in BufReader::new(std::fs::File::open(queries)?).lines() {
        let query: Query = serde_json::from_str(&line?)?;
        let filters = Filters {
            without: query.without,
            ..Filters::default()
        };
        let search = SearchQuery {
            text: &query.text,
            top: 10,
            filters,
        };
        let start = Instant::now();
        let hits = index.search_with(&search, &ranking)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let ids: Vec<_> = hits.iter().map(|hit| &hit.document.id).collect();
        writeln!(out, "{}", serde_json::json!({"id": query.id, "found": ids}))?;
    }
    out.flush()?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{} queries: p50 {:.2} ms, p99 {:.2} ms, slowest {:.2} ms",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

fn build(source: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let settings = IndexSettings {
        overwrite: true,
        ..IndexSettings::default()
    };
    let source: LiteratureSource = source.parse()?;
    let mut writer = IndexWriter::create(path, &settings)?;
    writer.read(&source, &mut |_, _| Ok(()))?;
    let read = start.elapsed().as_secs_f64();
    let manifest = writer.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    let count = manifest.counts.documents;
    println!(
        "{count} documents in {seconds:.1} s ({read:.1} s until all were read), {:.0} a second",
        count as f64 / seconds
    );
    Ok(())
}

fn ranking(weights: &[String]) -> Result<Ranking, Box<dyn Error>> {
    let mut ranking = Ranking::default();
    for weight in weights {
        let (name, value) = weight.split_once('=').ok_or("expected NAME=VALUE")?;
        match name {
            "joined" => ranking.joined = value.parse()?,
            "candidates" => ranking.candidates = value.parse()?,
            other => return Err(format!("no weight {other:?}").into()),
        }
    }
    Ok(ranking)
}

//! What is in a data set and how it was made: tables and the sentences above them, each a function of the manifest.
//! What was found out about the examples is in `checks`.

use std::collections::BTreeMap;

use verdict_common::{counted, grouped, percent};
use verdict_page::{Cell, Table};

use crate::manifest::{LabelCounts, Manifest};
use crate::mesh::BRANCHES;
use crate::{Label, Split};

/// Years that are listed one by one; more of them are grouped into periods.
const YEARS: usize = 12;
/// Years of a period.
const PERIOD: u16 = 5;
/// Files that are shown at once.
const FILES: usize = 8;
/// Headings that are listed.
const HEADINGS: usize = 20;

/// Kinds of sources, each once, in the order given; what disagreements made comes last.
pub(super) fn kinds(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let given = manifest.sources.iter().map(|source| source.source.as_str());
    let kept = manifest
        .splits
        .iter()
        .flat_map(|split| split.sources.keys());
    let mut seen: Vec<&str> = Vec::new();
    for kind in given.chain(kept.map(String::as_str)) {
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    seen.into_iter()
}

/// Rows of a label in all splits.
pub(super) fn label_rows(manifest: &Manifest, label: Label) -> usize {
    let splits = manifest.splits.iter();
    splits.map(|split| rows(&split.labels, label)).sum()
}

/// Rows of a label.
pub(super) fn rows(counts: &LabelCounts, label: Label) -> usize {
    counts.get(&label).copied().unwrap_or(0)
}

/// Rows kept of a kind of source.
pub(super) fn kept(manifest: &Manifest, kind: &str) -> usize {
    let splits = manifest.splits.iter();
    splits.filter_map(|split| split.sources.get(kind)).sum()
}

/// Rows read of a kind of source.
pub(super) fn read(manifest: &Manifest, kind: &str) -> usize {
    let sources = manifest.sources.iter();
    let of = sources.filter(|source| source.source == kind);
    of.map(|source| source.rows).sum()
}

/// Rows that a rule touched.
pub(super) fn touched(manifest: &Manifest, rule: &str) -> usize {
    let rules = manifest.rules.iter();
    rules.filter(|of| of.rule == rule).map(|of| of.rows).sum()
}

pub(super) fn settings(manifest: &Manifest) -> Table {
    let settings = &manifest.settings;
    let mut table = Table::new("Settings", &["setting", "value"]);
    let mut row = |name: &str, value: String| table.rows.push(vec![name.into(), value.into()]);
    row("tool", format!("verdict {}", manifest.tool_version));
    row("seed", manifest.seed.to_string());
    row(
        "balance",
        match (settings.balance.as_str(), settings.per_class) {
            ("balanced", None) => "every class as large as the rarest".into(),
            ("balanced", Some(most)) => format!("{} of each class", counted(most, "row")),
            ("capped", Some(most)) => format!("at most {} of each class", counted(most, "row")),
            ("natural", _) => "all rows, classes as in the sources".into(),
            (other, _) => other.to_owned(),
        },
    );
    if let Some(shares) = &settings.split {
        row(
            "split",
            format!("{shares} % for training, validation, test"),
        );
    }
    row(
        "context",
        match (&settings.context, settings.contexts) {
            (Some(how), _) if how == "whole" => "abstract, whole".into(),
            (Some(how), _) => format!("abstract, the last {how}"),
            (None, true) => "abstract".into(),
            (None, false) => "none: the question alone".into(),
        },
    );
    row(
        "conflicting labels",
        match settings.disagreement.as_deref() {
            Some("uncertain") => "one Uncertain example that names the disagreement".into(),
            Some(other) => other.to_owned(),
            None => "all rows of the question dropped".into(),
        },
    );
    row(
        "cleaning rules",
        settings.rules.clone().unwrap_or_else(|| "built in".into()),
    );
    for source in &settings.sources {
        row("source options", source.clone());
    }
    for benchmark in &settings.protected {
        let questions = counted(benchmark.questions, "question");
        row("kept out", format!("{} ({questions})", benchmark.name));
    }
    if settings.protected.is_empty() {
        row("kept out", "no benchmark".into());
    }
    table
}

pub(super) fn sources(manifest: &Manifest) -> Table {
    let head = [
        "source",
        "rows read",
        "Yes",
        "No",
        "Uncertain",
        "other types",
        "hub and commit",
    ];
    let mut table = Table::new("Sources", &head);
    for source in &manifest.sources {
        let mut row = vec![Cell::Code(source.source.clone()), source.rows.into()];
        row.extend(Label::ALL.map(|label| Cell::Number(rows(&source.labels, label))));
        row.push(source.passed_over.into());
        let from = match source.files.is_empty() {
            true => "built in",
            false => "local files",
        };
        row.push(source.hub.as_deref().unwrap_or(from).into());
        table.rows.push(row);
    }
    table
}

pub(super) fn files(manifest: &Manifest) -> Option<Table> {
    let head = ["for", "file", "bytes", "SHA-256"];
    let mut table = Table::new("Files read", &head);
    let mut row = |what: &str, name: &str, bytes: Option<u64>, sha256: &str| {
        let code = |text: &str| Cell::Code(text.to_owned());
        let bytes = bytes.map_or("".into(), |bytes| Cell::Number(bytes as usize));
        let cells = vec![code(what), code(name), bytes, code(sha256)];
        table.rows.push(cells);
    };
    for source in &manifest.sources {
        for file in &source.files {
            row(&source.source, &file.name, Some(file.bytes), &file.sha256);
        }
    }
    for of in &manifest.settings.protected {
        row("protect", &of.name, None, &of.sha256);
    }
    let mesh = manifest.mesh_record.as_ref();
    if let Some(tree) = mesh.and_then(|mesh| mesh.tree.as_ref()) {
        row("mesh-tree", &tree.name, Some(tree.bytes), &tree.sha256);
    }
    table.folded = table.rows.len() > FILES;
    (!table.rows.is_empty()).then_some(table)
}

pub(super) fn outputs(manifest: &Manifest) -> Table {
    let mut table = Table::new("Files of the set", &["file", "rows", "SHA-256"]);
    let splits = manifest.splits.iter();
    let splits = splits.map(|split| (&split.file, split.rows, &split.sha256));
    let apart = manifest.unlabelled.iter();
    let apart = apart.map(|apart| (&apart.file, apart.rows, &apart.sha256));
    for (file, rows, sha256) in splits.chain(apart) {
        table.rows.push(vec![
            Cell::Code(file.clone()),
            rows.into(),
            Cell::Code(sha256.clone()),
        ]);
    }
    table
}

pub(super) fn labels(manifest: &Manifest) -> Table {
    let mut table = Table::new(
        "Rows by split and label",
        &["split", "Yes", "No", "Uncertain", "all"],
    );
    for split in &manifest.splits {
        table
            .rows
            .push(label_row(vec![split.split.as_str().into()], &split.labels));
    }
    let all = Label::ALL.map(|label| (label, label_rows(manifest, label)));
    table
        .rows
        .push(label_row(vec!["all".into()], &all.into_iter().collect()));
    table.total = true;
    table
}

/// The cells of `before`, the count of each label and their sum.
fn label_row(mut before: Vec<Cell>, counts: &LabelCounts) -> Vec<Cell> {
    before.extend(Label::ALL.map(|label| Cell::Number(rows(counts, label))));
    before.push(counts.values().sum::<usize>().into());
    before
}

pub(super) fn by_source(manifest: &Manifest) -> Option<Table> {
    let head = ["source", "split", "Yes", "No", "Uncertain", "all"];
    let mut table = Table::new("Rows by source, split and label", &head);
    for kind in kinds(manifest) {
        let Some(splits) = manifest.by_source.get(kind) else {
            continue;
        };
        for split in Split::ALL {
            if let Some(counts) = splits.get(&split) {
                let before = vec![Cell::Code(kind.to_owned()), split.as_str().into()];
                table.rows.push(label_row(before, counts));
            }
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Examples that have a year.
pub(super) fn dated(manifest: &Manifest) -> usize {
    manifest.years.values().flat_map(BTreeMap::values).sum()
}

pub(super) fn years_text(manifest: &Manifest) -> Option<String> {
    let mut years = manifest.years.values().flat_map(BTreeMap::keys);
    let first = years.clone().min()?;
    let last = years.by_ref().max()?;
    Some(format!(
        "{} of {} have a year of publication, from {first} to {last}.",
        grouped(dated(manifest)),
        counted(manifest.rows_kept, "row"),
    ))
}

pub(super) fn years(manifest: &Manifest) -> Option<Table> {
    let years = &manifest.years;
    let mut distinct: Vec<u16> = years.values().flat_map(BTreeMap::keys).copied().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let span = if distinct.len() > YEARS { PERIOD } else { 1 };
    let mut head = vec![if span == 1 { "year" } else { "years" }];
    head.extend(years.keys().map(String::as_str));
    head.push("all");
    let mut table = Table::new("Rows by year of publication", &head);
    let mut periods: Vec<u16> = distinct.iter().map(|year| year / span * span).collect();
    periods.dedup();
    for first in periods {
        let last = first.saturating_add(span - 1);
        let of = |years: &BTreeMap<u16, usize>| {
            years
                .range(first..=last)
                .map(|(_, rows)| rows)
                .sum::<usize>()
        };
        let name = if span == 1 {
            first.to_string()
        } else {
            format!("{first}–{last}")
        };
        let mut row = vec![Cell::Text(name)];
        row.extend(years.values().map(|years| Cell::Number(of(years))));
        row.push(years.values().map(of).sum::<usize>().into());
        table.rows.push(row);
    }
    (!table.rows.is_empty()).then_some(table)
}

pub(super) fn mesh_text(manifest: &Manifest) -> Option<String> {
    let Some(mesh) = &manifest.mesh_record else {
        let only = "MeSH headings were not counted by branch of the tree.";
        return (!manifest.mesh.is_empty()).then(|| only.to_owned());
    };
    let mut text = format!(
        "{} of {} carry MeSH headings, {} different ones.",
        grouped(mesh.rows),
        counted(manifest.rows_kept, "row"),
        grouped(mesh.headings)
    );
    match (&mesh.tree, mesh.unlisted) {
        (None, _) => {
            text += " To count them by the sixteen branches of the tree, give NLM's file mtreesYYYY.bin: verdict build --mesh-tree FILE.";
        }
        (Some(tree), 0) => text += &format!(" All are in {}.", tree.name),
        (Some(tree), unlisted) => {
            text += &format!(
                " {} are not in {}: check tags such as Female and Male belong to no branch, others were renamed.",
                grouped(unlisted),
                tree.name
            );
        }
    }
    Some(text)
}

/// Branch and rows of each, in MeSH's order.
pub(super) fn branch_rows(manifest: &Manifest) -> Vec<(String, usize)> {
    let Some(mesh) = manifest
        .mesh_record
        .as_ref()
        .filter(|mesh| mesh.tree.is_some())
    else {
        return Vec::new();
    };
    let rows = |letter: char| mesh.branches.get(&letter.to_string()).copied().unwrap_or(0);
    BRANCHES
        .iter()
        .map(|(letter, name)| (format!("{letter} {name}"), rows(*letter)))
        .collect()
}

pub(super) fn branches(manifest: &Manifest) -> Option<Table> {
    let of = manifest.mesh_record.as_ref()?.rows;
    let caption = "Rows by MeSH branch; a row may belong to several";
    let mut table = Table::new(caption, &["branch", "rows", "of rows with headings"]);
    for (branch, rows) in branch_rows(manifest) {
        table.rows.push(vec![
            branch.into(),
            rows.into(),
            Cell::Figure(percent(rows, of)),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
}

pub(super) fn headings(manifest: &Manifest) -> Option<Table> {
    let mut headings: Vec<(&String, &usize)> = manifest.mesh.iter().collect();
    headings.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    headings.truncate(HEADINGS);
    let mut table = Table::new("Most common MeSH headings", &["heading", "rows"]);
    for (heading, rows) in headings {
        table
            .rows
            .push(vec![heading.as_str().into(), (*rows).into()]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// What has a length, in the order of the prompt's answer.
pub(super) const LENGTHS: [&str; 3] = ["question", "rationale", "context"];

/// What a bar of a histogram holds: `20–29`, the last one `300 and more`.
pub(super) fn bar_name(bar: usize, bars: usize, width: usize, longest: usize) -> String {
    let first = bar * width;
    let open = bar + 1 == bars && longest >= first + width;
    match (open, width) {
        (true, _) => format!("{first} and more"),
        (false, 1) => first.to_string(),
        (false, _) => format!("{first}–{}", first + width - 1),
    }
}

pub(super) fn lengths(manifest: &Manifest) -> Vec<Table> {
    let head = [
        "text",
        "rows",
        "shortest",
        "median",
        "mean",
        "95 of 100 within",
        "longest",
    ];
    let mut all = Table::new("Words of each text", &head);
    let mut tables = Vec::new();
    for name in LENGTHS {
        let Some(lengths) = manifest.lengths.get(name) else {
            continue;
        };
        let mean = lengths.words as f64 / lengths.rows.max(1) as f64;
        all.rows.push(vec![
            name.into(),
            lengths.rows.into(),
            lengths.shortest.into(),
            lengths.median.into(),
            Cell::Figure(format!("{mean:.1}")),
            lengths.p95.into(),
            lengths.longest.into(),
        ]);
        let mut bars = Table::new(format!("Rows by words of the {name}"), &["words", "rows"]);
        bars.folded = true;
        let last = lengths.bars.len();
        let empty = lengths.bars.iter().take_while(|rows| **rows == 0).count();
        for (bar, rows) in lengths.bars.iter().enumerate().skip(empty) {
            let words = bar_name(bar, last, lengths.bar, lengths.longest);
            bars.rows.push(vec![Cell::Figure(words), (*rows).into()]);
        }
        tables.push(bars);
    }
    if !all.rows.is_empty() {
        tables.insert(0, all);
    }
    tables
}

//! `verdict build`: builds a data set folder from sources.

mod audit;
mod card;
mod explain;
mod settings;
mod verify;

use std::path::PathBuf;

use serde::Serialize;
use verdict_common::counted;
use verdict_data::manifest::Effect;
use verdict_data::{BuildReport, BuildSettings, Label, Manifest, Shard};
use verdict_eval::Proportion;

use self::settings::{Settings, protect};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::printer::Printer;
use crate::shards::ShardIndex;
use crate::shell;
use crate::table::Table;

/// Build a data set: read sources, clean, deduplicate, balance, split
///
/// The folder holds train, validation and test splits as JSON lines, a data card and a manifest. The same sources,
/// settings and seed give the same bytes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read settings from a TOML file
    ///
    /// Its keys are these flags with underscores (`per_class = 100`). Flags win over the file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Replace the data set in --out
    #[arg(long)]
    pub overwrite: bool,
    /// Build a data set of 10 rows or more even if a split is empty
    #[arg(long)]
    pub allow_empty_splits: bool,
    /// Check a finished data set against its manifest
    ///
    /// With --source and the other settings of its build, build it again and compare the bytes.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["audit", "out", "overwrite"])]
    pub verify: Option<PathBuf>,
    /// Look for leaks between the splits of a data set and to benchmarks
    ///
    /// Takes any folder with train, validation and test as JSON lines, made by `verdict build` or not. --protect names
    /// the benchmarks. Exits with status 1 if there are leaks.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["out", "overwrite", "source"])]
    pub audit: Option<PathBuf>,
    /// Show what the build does to one row of the sources, rule by rule
    #[arg(long, value_name = "ID", conflicts_with_all = ["out", "overwrite", "audit", "verify"])]
    pub explain: Option<String>,
    /// Only read and clean part N of M of the input, for --merge
    #[arg(long, value_name = "N/M", value_parser = shard, conflicts_with_all = ["audit", "verify", "explain", "overwrite"])]
    pub shard: Option<Shard>,
    /// Build the data set from the folders of all shards
    ///
    /// The bytes are those of a build in one piece.
    #[arg(long, value_name = "FOLDER", num_args = 1.., conflicts_with_all = ["audit", "verify", "explain", "shard", "source", "seed", "context", "rules"])]
    pub merge: Vec<PathBuf>,
    /// Write the data card of a finished data set again
    ///
    /// card.md and card.html in its folder.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["audit", "verify", "explain", "shard", "merge", "out", "overwrite", "config", "source", "mesh_tree", "rules", "protect", "seed"])]
    pub card: Option<PathBuf>,
    /// Print the built-in cleaning rules, a start for --rules
    #[arg(long, conflicts_with_all = ["audit", "verify", "explain", "shard", "merge", "card", "out", "source"])]
    pub print_rules: bool,
    #[command(flatten)]
    pub settings: Settings,
}

/// `2/8` as a shard.
fn shard(text: &str) -> std::result::Result<Shard, String> {
    let ShardIndex { index, of } = text.parse()?;
    let most = |_| format!("expected at most {} shards", u32::MAX);
    Ok((
        index.try_into().map_err(most)?,
        of.try_into().map_err(most)?,
    ))
}

/// Builds, and prints what was read, dropped and kept.
pub fn run(args: Args, printer: &Printer) -> Result {
    if args.print_rules {
        printer.raw(verdict_data::rules::BUILT_IN);
        return Ok(());
    }
    if let Some(folder) = args.card {
        return card::card(&folder, printer);
    }
    // Ctrl-C leaves no partial data set behind.
    interrupt::before_end(verdict_data::abandon);
    let mut settings = args.settings.over(args.config.as_deref())?;
    if let Some(folder) = args.verify {
        return verify::verify(&folder, settings, printer);
    }
    if let Some(folder) = args.audit {
        let mut faults = Vec::new();
        let protect = protect(settings.protect.as_deref(), &mut faults);
        return match faults.is_empty() {
            true => audit::audit(&folder, &protect, printer),
            false => Err(Failure::faults(faults)),
        };
    }
    if let Some(id) = args.explain {
        settings.out.get_or_insert_default();
        return explain::explain(&id, &settings.resolve(false, printer)?, printer);
    }
    if !args.merge.is_empty() {
        // The shards name their sources; this one only passes the check for at least one.
        settings.source = Some(vec!["clinical".into()]);
        let settings = BuildSettings {
            empty_splits: args.allow_empty_splits,
            ..settings.resolve(args.overwrite, printer)?
        };
        print(&verdict_data::merge(&args.merge, &settings)?, printer);
        return Ok(());
    }
    let settings = BuildSettings {
        empty_splits: args.allow_empty_splits,
        ..settings.resolve(args.overwrite, printer)?
    };
    if let Some((n, of)) = args.shard {
        let rows = verdict_data::scan_shard(&settings, (n, of))?;
        printer.json(&serde_json::json!({"out": settings.out, "shard": n, "of": of, "rows": rows}));
        printer.line(format!(
            "shard      {n} of {of}: {} in {}",
            counted(rows, "row"),
            settings.out.display()
        ));
        return Ok(());
    }
    print(&verdict_data::build(&settings)?, printer);
    Ok(())
}

/// What `build --json` prints.
#[derive(Serialize)]
struct BuildOutput<'a> {
    out: &'a PathBuf,
    manifest: &'a Manifest,
}

fn print(report: &BuildReport, printer: &Printer) {
    let manifest = &report.manifest;
    printer.json(&BuildOutput {
        out: &report.out,
        manifest,
    });
    for split in manifest.splits.iter().filter(|split| split.rows == 0) {
        if !manifest.settings.has_share(&split.split) {
            // It is empty on purpose.
            continue;
        }
        printer.warn(format!(
            "the {} split is empty: {} in {}, and a group is never divided between splits",
            split.split,
            counted(manifest.rows_kept, "row"),
            counted(manifest.groups, "group")
        ));
    }
    for source in &manifest.sources {
        let skipped = match source.passed_over {
            0 => String::new(),
            rows => format!(", {rows} of other kinds skipped"),
        };
        printer.line(format!(
            "read       {}: {}{skipped}",
            source.source,
            counted(source.rows, "row")
        ));
    }
    for rule in manifest.rules.iter().filter(|rule| rule.rows > 0) {
        let effect = match rule.effect {
            Effect::Changed => "changed",
            Effect::Dropped => "dropped",
            Effect::Tied => "tied",
            Effect::Apart => "apart",
        };
        let rows = counted(rule.rows, "row");
        printer.line(format!("{effect:<11}{rows}: {}", rule.about));
    }
    if let Some(found) = manifest.artefact {
        let Proportion {
            value, low, high, ..
        } = Proportion::new(found.right, found.rows);
        let percent = |share: f64| 100.0 * share;
        printer.line(format!(
            "baseline   the question alone predicts {:.1} % of {} [{:.1}–{:.1}], the majority label {:.1} %",
            percent(value),
            counted(found.rows, "label"),
            percent(low),
            percent(high),
            percent(found.majority as f64 / found.rows.max(1) as f64),
        ));
    }
    if !manifest.suspects.is_empty() {
        printer.line(format!(
            "suspects   {} of near-duplicate questions with conflicting labels: `suspects` in MANIFEST.json",
            counted(manifest.suspects.len(), "pair")
        ));
    }
    if let Some(weights) = &manifest.class_weights {
        let weights = weights
            .iter()
            .map(|(label, weight)| format!("{label} {weight:.3}"));
        printer.line(format!(
            "weights    {}",
            weights.collect::<Vec<_>>().join(", ")
        ));
    }
    printer.line("");
    printer.table(&splits(manifest));
    printer.line(format!(
        "\n{}; a group is never divided between splits",
        counted(manifest.groups, "group")
    ));
    printer.line(format!("data set   {}", report.out.display()));
    let card = report.out.join(verdict_data::card::HTML);
    printer.line(format!("card       {}", card.display()));
    printer.next(format!(
        "verdict train --data {} --model smollm2-135m --out run",
        shell::word(&report.out)
    ));
}

/// Rows of each split by label.
pub fn splits(manifest: &Manifest) -> Table {
    let mut table = Table::new(["split", "examples", "Yes", "No", "Uncertain"]);
    for split in &manifest.splits {
        let count = |label| split.labels.get(&label).copied().unwrap_or(0).to_string();
        let counts = Label::ALL.map(count);
        let cells = [split.split.clone(), split.rows.to_string()];
        table.row(cells.into_iter().chain(counts).collect());
    }
    table
}

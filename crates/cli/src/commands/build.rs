//! `verdict build`: raw sources to a data set folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use verdict_data::audit::{Leak, LeakKind};
use verdict_data::manifest::Effect;
use verdict_data::{Balance, BuildReport, BuildSettings, Label, Manifest, Protect, Source};
use verdict_eval::Proportion;

use crate::failure::{Failure, Result};
use crate::printer::Printer;
use crate::settings;
use crate::table::Table;

/// Build a data set: clean, canonical, deduplicated, balanced, split
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings file (TOML); its keys are these flags with underscores, flags win
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Replace the data set that stands in --out
    #[arg(long)]
    pub overwrite: bool,
    /// Check a finished data set against its manifest; with --source and the other settings of its
    /// build, build it anew and compare the bytes
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["audit", "out", "overwrite"])]
    pub verify: Option<PathBuf>,
    /// Look for leaks between the splits of any data set (JSON lines in train, validation and test,
    /// also one made elsewhere) and to the benchmarks of --protect
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["out", "overwrite", "source"])]
    pub audit: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
}

/// What a settings file may hold too.
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where rows come from; may be given several times. One of pubmedqa-labeled:PATH,
    /// pubmedqa-artificial:PATH, bioasq:PATH-OR-FOLDER, jsonl:PATH, stats:ROWS, clinical
    #[arg(long, value_name = "SOURCE")]
    #[serde(deserialize_with = "settings::one_or_many")]
    pub source: Option<Vec<String>>,
    /// Rows of each class [default: as many as the rarest class has]
    #[arg(long, value_name = "ROWS", conflicts_with = "natural")]
    pub per_class: Option<usize>,
    /// Keep every row, the classes as the sources have them
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub natural: bool,
    /// Put the abstracts of PubMedQA and BioASQ before their questions
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub contexts: bool,
    /// Benchmark whose questions stay out, with their near copies and what shares their abstract:
    /// pubmedqa-test, a file (PubMedQA, BioASQ, JSON lines, PMIDs), or none; may be given
    /// several times [default: pubmedqa-test]
    #[arg(long, value_name = "BENCHMARK")]
    #[serde(deserialize_with = "settings::one_or_many")]
    pub protect: Option<Vec<String>>,
    /// Seed of sampling, splitting and generated rows [default: 42]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Data set folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

/// The word for no benchmark.
const NONE: &str = "none";

/// The benchmarks that are meant; with a word about what is wrong.
fn protect(named: Option<&[String]>, faults: &mut Vec<String>) -> Vec<Protect> {
    let Some(named) = named else {
        return Protect::usual();
    };
    if named.len() > 1 && named.iter().any(|name| name == NONE) {
        faults.push("--protect: expected none alone, or benchmarks, found both".into());
    }
    let named = named.iter().filter(|name| *name != NONE);
    named.filter_map(|name| name.parse().ok()).collect()
}

impl Settings {
    /// What the data crate wants; every fault at once.
    fn resolve(self, overwrite: bool) -> Result<BuildSettings> {
        let mut faults = Vec::new();
        let texts = self.source.unwrap_or_default();
        if texts.is_empty() {
            faults.push(format!("--source: {}", verdict_data::Error::NoSources));
        }
        let sources = texts.iter().map(|text| text.parse::<Source>());
        let sources: Vec<Source> = sources
            .filter_map(|source| source.map_err(|fault| faults.push(fault.to_string())).ok())
            .collect();
        let out = self.out.unwrap_or_else(|| {
            faults.push("--out: expected a folder for the data set, found none".into());
            PathBuf::new()
        });
        let balance = match (self.per_class, self.natural) {
            (Some(_), true) => {
                faults.push("per_class: expected per_class or natural, found both".into());
                Balance::Natural
            }
            (Some(0), false) => {
                faults.push("--per-class: expected at least 1, found 0".into());
                Balance::Largest
            }
            (Some(rows), false) => Balance::PerClass(rows),
            (None, true) => Balance::Natural,
            (None, false) => Balance::Largest,
        };
        let protect = protect(self.protect.as_deref(), &mut faults);
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        let defaults = BuildSettings::new(sources, out);
        let seed = self.seed.unwrap_or(defaults.seed);
        Ok(BuildSettings {
            balance,
            seed,
            contexts: self.contexts,
            protect,
            overwrite,
            ..defaults
        })
    }
}

/// Builds and tells what was read, what was dropped and what came out.
pub fn run(args: Args, printer: &Printer) -> Result {
    let settings = settings::resolve(args.settings, args.config.as_deref())?;
    match (args.verify, args.audit) {
        (Some(folder), _) => verify(&folder, settings, printer),
        (None, Some(folder)) => audit(&folder, settings.protect.as_deref(), printer),
        (None, None) => {
            let report = verdict_data::build(&settings.resolve(args.overwrite)?)?;
            tell(&report, printer);
            Ok(())
        }
    }
}

/// Checks a finished set, and where sources are given builds it anew beside it.
fn verify(folder: &Path, mut settings: Settings, printer: &Printer) -> Result {
    let set = verdict_data::verify(folder)?;
    let mut told = vec![format!(
        "{}: {} rows in {} groups are what the manifest says",
        folder.display(),
        set.manifest.rows_kept,
        set.manifest.groups
    )];
    let rebuilt = settings.source.is_some();
    if rebuilt {
        let workshop = tempfile::tempdir().map_err(|e| Failure::from_error(&e))?;
        settings.out = Some(workshop.path().join("set"));
        let again = verdict_data::build(&settings.resolve(false)?)?.manifest;
        for (ours, theirs) in set.manifest.splits.iter().zip(&again.splits) {
            if ours.sha256 != theirs.sha256 {
                let fault = format!(
                    "{}: {}: expected SHA-256 {} as built anew, found {}",
                    folder.display(),
                    ours.file,
                    theirs.sha256,
                    ours.sha256
                );
                let hint = "other sources, settings, seed or version: MANIFEST.json says with which it was built";
                return Err(Failure::input(fault).hint(hint));
            }
        }
        told.push("built anew from its sources: the same bytes".into());
    }
    printer.json(&Verified {
        folder,
        rows: set.manifest.rows_kept,
        rebuilt,
    });
    told.iter().for_each(|line| printer.line(line));
    Ok(())
}

#[derive(Serialize)]
struct Verified<'a> {
    folder: &'a Path,
    rows: usize,
    /// Whether it was built anew and came out the same.
    rebuilt: bool,
}

/// Examples of each kind of leak that are shown.
const SHOWN: usize = 3;

/// Tells the leaks of a set; having some is a failure, so that a script may ask.
fn audit(folder: &Path, named: Option<&[String]>, printer: &Printer) -> Result {
    let mut faults = Vec::new();
    let protect = protect(named, &mut faults);
    if !faults.is_empty() {
        return Err(Failure::faults(faults));
    }
    let audit = verdict_data::audit(folder, &protect)?;
    printer.json(&audit);
    let rows = audit
        .rows
        .iter()
        .map(|(name, rows)| format!("{name} {rows}"));
    let rows: Vec<String> = rows.collect();
    printer.line(format!("rows       {}", rows.join(", ")));
    if audit.leaks.is_empty() {
        printer.line("leaks      none: no row stands in two of them");
        return Ok(());
    }
    let mut table = Table::new(["leak", "of", "seen in", "rows", "such as"]);
    for kind in LeakKind::ALL {
        let mut places: BTreeMap<(&str, &str), Vec<&Leak>> = BTreeMap::new();
        for leak in audit.leaks.iter().filter(|leak| leak.kind == kind) {
            let place = (leak.row.split.as_str(), leak.seen.split.as_str());
            places.entry(place).or_default().push(leak);
        }
        for ((of, seen), leaks) in places {
            let lines = leaks.iter().take(SHOWN);
            let lines = lines.map(|leak| format!("{} in {}", leak.row.line, leak.seen.line));
            table.row(vec![
                kind.about().into(),
                of.into(),
                seen.into(),
                leaks.len().to_string(),
                format!("line {}", lines.collect::<Vec<_>>().join(", ")),
            ]);
        }
    }
    printer.table(&table);
    let (leaks, place) = (audit.leaks.len(), folder.display());
    Err(Failure::failed(format!(
        "{place}: {leaks} leaks between its splits and benchmarks"
    )))
}

#[derive(Serialize)]
struct Told<'a> {
    out: &'a PathBuf,
    manifest: &'a Manifest,
}

fn tell(report: &BuildReport, printer: &Printer) {
    let manifest = &report.manifest;
    printer.json(&Told {
        out: &report.out,
        manifest,
    });
    for source in &manifest.sources {
        let skipped = match source.passed_over {
            0 => String::new(),
            rows => format!(", {rows} of other kinds passed over"),
        };
        printer.line(format!(
            "read       {}: {} rows{skipped}",
            source.source, source.rows
        ));
    }
    for rule in manifest.rules.iter().filter(|rule| rule.rows > 0) {
        let effect = match rule.effect {
            Effect::Changed => "changed",
            Effect::Dropped => "dropped",
            Effect::Tied => "tied",
        };
        printer.line(format!("{effect:<11}{} rows: {}", rule.rows, rule.about));
    }
    if let Some(found) = manifest.artefact {
        let Proportion {
            value, low, high, ..
        } = Proportion::new(found.right, found.rows);
        let percent = |share: f64| 100.0 * share;
        printer.line(format!(
            "artefacts  the words of the question alone guess {:.1} % of {} labels [{:.1}–{:.1}], the commonest label {:.1} %",
            percent(value),
            found.rows,
            percent(low),
            percent(high),
            percent(found.majority as f64 / found.rows.max(1) as f64),
        ));
    }
    if !manifest.suspects.is_empty() {
        printer.line(format!(
            "suspect    {} pairs of nearly equal questions with different labels: `suspects` in MANIFEST.json",
            manifest.suspects.len()
        ));
    }
    printer.line("");
    printer.table(&splits(manifest));
    printer.line(format!(
        "\n{} groups; a group never spans two splits",
        manifest.groups
    ));
    printer.line(format!("data set   {}", report.out.display()));
}

/// Rows of each split by label.
pub fn splits(manifest: &Manifest) -> Table {
    let mut table = Table::new(["split", "rows", "Yes", "No", "Uncertain"]);
    for split in &manifest.splits {
        let count = |label| split.labels.get(&label).copied().unwrap_or(0).to_string();
        let counts = Label::ALL.map(count);
        let cells = [split.split.clone(), split.rows.to_string()];
        table.row(cells.into_iter().chain(counts).collect());
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn resolve(flags: &[&str]) -> Result<BuildSettings> {
        let words = std::iter::once("build").chain(flags.iter().copied());
        let args = Line::try_parse_from(words).expect("good usage").args;
        settings::resolve(args.settings, args.config.as_deref())?.resolve(args.overwrite)
    }

    #[test]
    fn each_flag_reaches_its_setting() {
        let flags = [
            "--source",
            "stats:30",
            "--source",
            "clinical",
            "--per-class",
            "7",
            "--contexts",
            "--protect",
            "mine.jsonl",
            "--seed",
            "3",
            "--out",
            "d",
            "--overwrite",
        ];
        let expected = BuildSettings {
            sources: vec![Source::Stats(30), Source::Clinical],
            balance: Balance::PerClass(7),
            seed: 3,
            contexts: true,
            protect: vec![Protect::File("mine.jsonl".into())],
            out: "d".into(),
            overwrite: true,
        };
        assert_eq!(resolve(&flags).expect("good"), expected);
        let natural = resolve(&["--source", "clinical", "--natural", "--out", "d"]).expect("good");
        assert_eq!(natural.balance, Balance::Natural);
        let open =
            resolve(&["--source", "clinical", "--protect", "none", "--out", "d"]).expect("good");
        assert_eq!(open.protect, []);
    }

    #[test]
    fn no_flags_mean_the_defaults() {
        let found = resolve(&["--source", "clinical", "--out", "d"]).expect("good");
        assert_eq!(found, BuildSettings::new(vec![Source::Clinical], "d"));
    }

    #[test]
    fn a_file_may_hold_every_key_and_flags_win() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "source = \"clinical\"\nper_class = 5\ncontexts = true\nseed = 1\nout = \"a\"\n";
        std::fs::write(file.path(), text).expect("written");
        let path = file.path().display().to_string();
        let found = resolve(&["--config", &path, "--seed", "2"]).expect("good");
        assert_eq!(
            (found.seed, found.contexts, found.balance),
            (2, true, Balance::PerClass(5))
        );
        assert_eq!(found.sources, [Source::Clinical]);
    }

    #[test]
    fn all_faults_are_told_together() {
        let failure = resolve(&[
            "--source",
            "pubmed:x",
            "--per-class",
            "0",
            "--protect",
            "none",
            "--protect",
            "x",
        ])
        .expect_err("four faults");
        assert_eq!(failure.faults.len(), 4, "{:?}", failure.faults);
    }
}

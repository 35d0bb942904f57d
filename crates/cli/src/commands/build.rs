//! `verdict build`: raw sources to a data set folder.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use verdict_data::manifest::Effect;
use verdict_data::{Balance, BuildReport, BuildSettings, Label, Manifest, Source};

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
    /// Seed of sampling, splitting and generated rows [default: 42]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Data set folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
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
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        let defaults = BuildSettings::new(sources, out);
        let seed = self.seed.unwrap_or(defaults.seed);
        Ok(BuildSettings {
            balance,
            seed,
            contexts: self.contexts,
            overwrite,
            ..defaults
        })
    }
}

/// Builds and tells what was read, what was dropped and what came out.
pub fn run(args: Args, printer: &Printer) -> Result {
    let settings = settings::resolve(args.settings, args.config.as_deref())?;
    let report = verdict_data::build(&settings.resolve(args.overwrite)?)?;
    tell(&report, printer);
    Ok(())
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
        };
        printer.line(format!("{effect:<11}{} rows: {}", rule.rows, rule.about));
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
            out: "d".into(),
            overwrite: true,
        };
        assert_eq!(resolve(&flags).expect("good"), expected);
        let natural = resolve(&["--source", "clinical", "--natural", "--out", "d"]).expect("good");
        assert_eq!(natural.balance, Balance::Natural);
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
        let failure =
            resolve(&["--source", "pubmed:x", "--per-class", "0"]).expect_err("three faults");
        assert_eq!(failure.faults.len(), 3, "{:?}", failure.faults);
    }
}

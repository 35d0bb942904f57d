//! `verdict build`: raw sources to a data set folder.

mod audit;
mod card;
mod explain;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use verdict_common::counted;
use verdict_data::manifest::Effect;
use verdict_data::{
    Balance, BuildReport, BuildSettings, Context, Disagreement, Label, Manifest, MeshTree, Protect,
    Rules, Shard,
};
use verdict_eval::Proportion;

use crate::datasets::{self, Written};
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::loading;
use crate::printer::Printer;
use crate::settings;
use crate::shards::Part;
use crate::shell;
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
    /// Build a set of ten rows or more although its train, validation or test split has none
    #[arg(long)]
    pub allow_empty_splits: bool,
    /// Check a finished data set against its manifest; with --source and the other settings of its
    /// build, build it anew and compare the bytes
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["audit", "out", "overwrite"])]
    pub verify: Option<PathBuf>,
    /// Look for leaks between the splits of any data set (JSON lines in train, validation and test,
    /// also one made elsewhere) and to the benchmarks of --protect
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["out", "overwrite", "source"])]
    pub audit: Option<PathBuf>,
    /// Show one row of the sources before and after, rule by rule, and what became of it
    #[arg(long, value_name = "ID", conflicts_with_all = ["out", "overwrite", "audit", "verify"])]
    pub explain: Option<String>,
    /// Only read and clean the N-th of M equal shares of the input into --out, for --merge
    #[arg(long, value_name = "N/M", value_parser = shard, conflicts_with_all = ["audit", "verify", "explain", "overwrite"])]
    pub shard: Option<Shard>,
    /// Make the data set out of the folders of all shards: the same bytes as one build
    #[arg(long, value_name = "FOLDER", num_args = 1.., conflicts_with_all = ["audit", "verify", "explain", "shard", "source", "seed", "context", "rules"])]
    pub merge: Vec<PathBuf>,
    /// Write the data card of a finished data set anew: card.md and card.html in its folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["audit", "verify", "explain", "shard", "merge", "out", "overwrite", "config", "source", "mesh_tree", "rules", "protect", "seed"])]
    pub card: Option<PathBuf>,
    /// Print the built-in cleaning rules, as a file for --rules to begin with
    #[arg(long, conflicts_with_all = ["audit", "verify", "explain", "shard", "merge", "card", "out", "source"])]
    pub print_rules: bool,
    #[command(flatten)]
    pub settings: Settings,
}

/// What a settings file may hold too.
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where rows come from; may be given several times. One of pubmedqa-labeled:PATH,
    /// pubmedqa-artificial:PATH, pubmedqa-unlabeled:PATH, bioasq:PATH, jsonl:PATH, csv:PATH, parquet:PATH (a file
    /// or a folder of them), hub:ORG/NAME/FOLDER (or a file; with @REVISION behind it, if not main; PubMedQA:
    /// hub:qiaojin/PubMedQA/pqa_labeled, pqa_artificial, pqa_unlabeled), stats:ROWS, clinical. Behind a question mark may stand, joined by &:
    /// weight=2, cap=1000, cap.yes=500, and for jsonl, csv and parquet the columns' names:
    /// question=Q, label=answer, label.yes=1, rationale, context, id, group, split
    #[arg(long, value_name = "SOURCE")]
    #[serde(deserialize_with = "settings::one_or_many")]
    pub source: Option<Vec<String>>,
    /// Rows of each class [default: as many as the rarest class has]
    #[arg(long, value_name = "ROWS", conflicts_with_all = ["natural", "at_most"])]
    pub per_class: Option<usize>,
    /// Rows of each class at most; a rarer class keeps all it has
    #[arg(long, value_name = "ROWS", conflicts_with = "natural")]
    pub at_most: Option<usize>,
    /// Keep every row, the classes as the sources have them; their weights stand in the manifest
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub natural: bool,
    /// What becomes of a question that sources answer differently: drop, or one row whose answer is
    /// Uncertain and whose source is "disagreement" [default: drop]
    #[arg(long, value_name = "WHAT", value_parser = ["drop", "uncertain"])]
    pub disagreement: Option<String>,
    /// What stands before the questions of PubMedQA and BioASQ: none or abstract [default: none]
    #[arg(long, value_name = "WHAT", value_parser = ["none", "abstract"])]
    pub context: Option<String>,
    /// Tokens of context at most; longer ones lose whole sentences from the front, so that results stay
    /// [default: none are cut; train, eval and ask cut to the run's --max-length]
    #[arg(long, value_name = "TOKENS")]
    pub context_tokens: Option<usize>,
    /// Model by whose tokenizer they are counted, or a tokenizer.json [default: an estimate, one
    /// for every three and a half characters]
    #[arg(long, value_name = "MODEL")]
    pub tokenizer: Option<String>,
    /// Cleaning rules (TOML) in the place of the built-in ones; see --print-rules
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// NLM's MeSH tree (mtreesYYYY.bin, lines such as Head;A01.456): the data card then counts rows
    /// by branch
    #[arg(long, value_name = "FILE")]
    pub mesh_tree: Option<PathBuf>,
    /// Benchmark whose questions stay out, with their near copies and what shares their abstract:
    /// pubmedqa-test, a file (PubMedQA, BioASQ, JSON lines, PMIDs), or none; may be given
    /// several times [default: pubmedqa-test]
    #[arg(long, value_name = "BENCHMARK")]
    #[serde(deserialize_with = "settings::one_or_many")]
    pub protect: Option<Vec<String>>,
    /// Seed of sampling, splitting and generated rows [default: 42]
    #[arg(long)]
    pub seed: Option<u64>,
    /// MiB of memory that a build may take; changes no byte of the set [default: 1024]
    #[arg(long, value_name = "MIB")]
    pub memory_mib: Option<usize>,
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
    let named: Vec<Protect> = named.filter_map(|name| name.parse().ok()).collect();
    for protect in &named {
        if let Protect::File(path) = protect
            && !path.exists()
        {
            faults.push(format!(
                "--protect: expected pubmedqa-test, none or a file, found {:?}, which is no file",
                path.display().to_string()
            ));
        }
    }
    named
}

impl Settings {
    /// What the data crate wants; every fault at once.
    fn resolve(self, overwrite: bool, printer: &Printer) -> Result<BuildSettings> {
        let mut faults = Vec::new();
        let texts = self.source.unwrap_or_default();
        if texts.is_empty() {
            faults.push(format!(
                "--source: {}",
                datasets::told(&verdict_data::Error::NoSources)
            ));
        }
        let sources = texts.iter().map(|text| text.parse::<Written>());
        let sources: Vec<Written> = sources
            .filter_map(|source| source.map_err(|fault| faults.push(fault)).ok())
            .collect();
        let out = self.out.unwrap_or_else(|| {
            faults.push("--out: expected a folder for the data set, found none".into());
            PathBuf::new()
        });
        let balance = match (self.per_class, self.at_most, self.natural) {
            (Some(0), ..) | (_, Some(0), _) => {
                let flag = if self.at_most.is_some() {
                    "at-most"
                } else {
                    "per-class"
                };
                faults.push(format!("--{flag}: expected at least 1, found 0"));
                Balance::Largest
            }
            (None, None, true) => Balance::Natural,
            (None, Some(rows), false) => Balance::AtMost(rows),
            (Some(rows), None, false) => Balance::PerClass(rows),
            (None, None, false) => Balance::Largest,
            _ => {
                faults.push(
                    "per_class: expected one of per_class, at_most and natural, found several"
                        .into(),
                );
                Balance::Natural
            }
        };
        let protect = protect(self.protect.as_deref(), &mut faults);
        let rules = match self.rules.as_deref().map(Rules::read).transpose() {
            Ok(rules) => rules.unwrap_or_default(),
            Err(fault) => {
                faults.push(fault.to_string());
                Rules::default()
            }
        };
        let mesh_tree = self.mesh_tree.as_deref().map(MeshTree::read).transpose();
        let mesh_tree = mesh_tree.unwrap_or_else(|fault| {
            faults.push(fault.to_string());
            None
        });
        let context = self.context.as_deref() == Some("abstract");
        if !context && (self.context_tokens.is_some() || self.tokenizer.is_some()) {
            faults.push(
                "--context-tokens, --tokenizer: expected --context abstract with them".into(),
            );
        }
        if self.tokenizer.is_some() && self.context_tokens.is_none() {
            faults.push(
                "--tokenizer: expected --context-tokens with it, found no limit to count to".into(),
            );
        }
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        let context = match (context, self.context_tokens, self.tokenizer) {
            (false, ..) => None,
            (true, None, _) => Some(Context::whole()),
            (true, Some(tokens), None) => Some(Context::estimated(tokens)),
            (true, Some(tokens), Some(model)) => Some(counted_by(tokens, &model, printer)?),
        };
        let sources = sources.into_iter();
        let sources = sources.map(|source| loading::input(source, printer));
        let defaults = BuildSettings::new(sources.collect::<Result<Vec<_>>>()?, out);
        let seed = self.seed.unwrap_or(defaults.seed);
        let disagreement = match self.disagreement.as_deref() {
            Some("uncertain") => Disagreement::Uncertain,
            _ => Disagreement::Drop,
        };
        Ok(BuildSettings {
            balance,
            disagreement,
            seed,
            context,
            protect,
            rules,
            memory_mib: self.memory_mib.unwrap_or(defaults.memory_mib),
            mesh_tree,
            overwrite,
            ..defaults
        })
    }
}

/// A budget counted by a model's tokenizer.
fn counted_by(tokens: usize, model: &str, printer: &Printer) -> Result<Context> {
    let tokenizer = match model.ends_with("tokenizer.json") {
        true => tokenizers::Tokenizer::from_file(model)
            .map_err(|fault| Failure::input(format!("{model}: {fault}")))?,
        false => loading::find(model, printer)?.tokenizer()?,
    };
    let count = move |text: &str| {
        // What a tokenizer cannot encode is as long as it can be.
        tokenizer
            .encode_fast(text, false)
            .map_or(text.len(), |encoded| encoded.len())
    };
    let name = model
        .rsplit('/')
        .find(|part| *part != "tokenizer.json")
        .unwrap_or(model);
    Ok(Context::counted(tokens, name, Arc::new(count)))
}

/// `2/8` as a shard.
fn shard(text: &str) -> std::result::Result<Shard, String> {
    let Part { index, of } = text.parse()?;
    let most = |_| format!("expected at most {} shards", u32::MAX);
    Ok((
        index.try_into().map_err(most)?,
        of.try_into().map_err(most)?,
    ))
}

/// Builds and tells what was read, what was dropped and what came out.
pub fn run(args: Args, printer: &Printer) -> Result {
    if args.print_rules {
        printer.raw(verdict_data::rules::BUILT_IN);
        return Ok(());
    }
    if let Some(folder) = args.card {
        return card::card(&folder, printer);
    }
    // Ctrl-C leaves nothing half-made.
    interrupt::before_end(verdict_data::abandon);
    let mut settings = settings::resolve(args.settings, args.config.as_deref())?;
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
        // The shards know their sources.
        settings.source = Some(vec!["clinical".into()]);
        let settings = BuildSettings {
            empty_splits: args.allow_empty_splits,
            ..settings.resolve(args.overwrite, printer)?
        };
        tell(&verdict_data::merge(&args.merge, &settings)?, printer);
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
    tell(&verdict_data::build(&settings)?, printer);
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
    for split in manifest.splits.iter().filter(|split| split.rows == 0) {
        printer.warn(format!(
            "the {} split is empty: {} in {}, and a group stays in one split",
            split.split,
            counted(manifest.rows_kept, "row"),
            counted(manifest.groups, "group")
        ));
    }
    for source in &manifest.sources {
        let skipped = match source.passed_over {
            0 => String::new(),
            rows => format!(", {rows} of other kinds passed over"),
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
            "artefacts  the words of the question alone guess {:.1} % of {} [{:.1}–{:.1}], the commonest label {:.1} %",
            percent(value),
            counted(found.rows, "label"),
            percent(low),
            percent(high),
            percent(found.majority as f64 / found.rows.max(1) as f64),
        ));
    }
    if !manifest.suspects.is_empty() {
        printer.line(format!(
            "suspect    {} of nearly equal questions with different labels: `suspects` in MANIFEST.json",
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
        "\n{}; a group never spans two splits",
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
    use verdict_data::Source;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn resolve(flags: &[&str]) -> Result<BuildSettings> {
        let words = std::iter::once("build").chain(flags.iter().copied());
        let args = Line::try_parse_from(words).expect("good usage").args;
        settings::resolve(args.settings, args.config.as_deref())?
            .resolve(args.overwrite, &Printer::new(false, true))
    }

    #[test]
    fn each_flag_reaches_its_setting() {
        let tree = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(tree.path(), "Head;A01.456\n").expect("written");
        let tree_path = tree.path().display().to_string();
        let flags = [
            "--mesh-tree",
            &tree_path,
            "--source",
            "stats:30",
            "--source",
            "clinical",
            "--per-class",
            "7",
            "--context",
            "abstract",
            "--context-tokens",
            "200",
            "--memory-mib",
            "100",
            "--disagreement",
            "uncertain",
            "--protect",
            &tree_path,
            "--seed",
            "3",
            "--out",
            "d",
            "--overwrite",
        ];
        let expected = BuildSettings {
            sources: vec![Source::Stats(30).into(), Source::Clinical.into()],
            balance: Balance::PerClass(7),
            seed: 3,
            context: Some(Context::estimated(200)),
            disagreement: Disagreement::Uncertain,
            rules: Rules::default(),
            memory_mib: 100,
            mesh_tree: Some(MeshTree::read(tree.path()).expect("a tree")),
            protect: vec![Protect::File(tree.path().into())],
            out: "d".into(),
            empty_splits: false,
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
        let text =
            "source = \"clinical\"\nper_class = 5\ncontext = \"abstract\"\nseed = 1\nout = \"a\"\n";
        std::fs::write(file.path(), text).expect("written");
        let path = file.path().display().to_string();
        let found = resolve(&["--config", &path, "--seed", "2"]).expect("good");
        assert_eq!(
            (found.seed, found.context, found.balance),
            (2, Some(Context::whole()), Balance::PerClass(5))
        );
        assert_eq!(found.sources, [Source::Clinical.into()]);
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
        .expect_err("five faults");
        assert_eq!(failure.faults.len(), 5, "{:?}", failure.faults);
    }
}

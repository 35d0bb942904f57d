//! The settings of a build as flags and as keys of a settings file, and what they resolve to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use verdict_common::settings_file;
use verdict_data::{
    Balance, BuildSettings, Context, Disagreement, MeshTree, Protect, Rules, SplitShares,
};

use crate::datasets::{self, SourceSpec};
use crate::failure::{Failure, Result};
use crate::loading;
use crate::printer::Printer;
use crate::settings;

/// Flags that are keys of a settings file too.
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Read rows from this source; repeatable
    ///
    /// KIND:PATH, stats:ROWS or clinical. Kinds are pubmedqa-labeled, pubmedqa-artificial, pubmedqa-unlabeled, bioasq, jsonl, csv, parquet and hub
    /// (hub:ORG/NAME/PATH). Options follow a question mark: jsonl:rows.jsonl?weight=2&question=Q. Every kind and option
    /// is described in docs/guide/sources.md.
    #[arg(long, value_name = "SOURCE")]
    #[serde(deserialize_with = "settings_file::some_one_or_many")]
    pub source: Option<Vec<String>>,
    /// Keep N examples of each class [default: the rarest class's]
    #[arg(long, value_name = "N", conflicts_with_all = ["unbalanced", "max_per_class"])]
    pub per_class: Option<usize>,
    /// Keep at most this many examples of each class
    ///
    /// A class with fewer examples keeps them all; the manifest then holds class weights.
    #[arg(long, value_name = "N", conflicts_with = "unbalanced")]
    pub max_per_class: Option<usize>,
    /// Keep every example; class weights go into the manifest
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unbalanced: bool,
    /// Share of training, validation, test in percent [default: 80,10,10]
    ///
    /// 90,10,0 makes no test set, for data whose test is a benchmark that --protect keeps out.
    #[arg(long, value_name = "SHARES")]
    pub split: Option<String>,
    /// Resolve conflicting labels: drop, uncertain [default: drop]
    ///
    /// For a question that sources label differently: drop it, or keep one example with the label Uncertain and the source
    /// "disagreement".
    #[arg(long, value_name = "HOW", value_parser = ["drop", "uncertain"], hide_possible_values = true)]
    pub conflicting_labels: Option<String>,
    /// Put text before questions: none, abstract [default: none]
    ///
    /// `abstract` is, for PubMedQA, the abstract without its conclusion, and for BioASQ the snippets.
    #[arg(long, value_name = "WHAT", value_parser = ["none", "abstract"], hide_possible_values = true)]
    pub context: Option<String>,
    /// Cut contexts to this many tokens [default: keep them whole]
    ///
    /// Whole sentences are removed from the beginning, so that results stay. Without it contexts are whole in the data
    /// set, and train, eval and ask cut them to the run's --max-length.
    #[arg(long, value_name = "N")]
    pub max_context_tokens: Option<usize>,
    /// Count tokens with this model's tokenizer [default: an estimate]
    ///
    /// A model, or a tokenizer.json. The estimate is one token for every three and a half characters.
    #[arg(long, value_name = "MODEL")]
    pub tokenizer: Option<String>,
    /// Clean with the rules in this TOML file [default: built-in]
    ///
    /// --print-rules prints the built-in rules.
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Count examples by MeSH branch in the data card, with NLM's tree
    ///
    /// The file is mtreesYYYY.bin, with lines such as Head;A01.456.
    #[arg(long, value_name = "FILE")]
    pub mesh_tree: Option<PathBuf>,
    /// Exclude this benchmark; repeatable [default: pubmedqa-test]
    ///
    /// Its questions are kept out of the data set: pubmedqa-test, a file (PubMedQA, BioASQ, JSON Lines, PMIDs), or none.
    /// Near duplicates of its questions and examples that share its abstracts stay out too.
    #[arg(long, value_name = "BENCHMARK")]
    #[serde(deserialize_with = "settings_file::some_one_or_many")]
    pub protect: Option<Vec<String>>,
    /// Seed sampling, splitting and generated examples [default: 42]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Use at most this many MiB of memory [default: 1024]
    ///
    /// Changes no byte of the data set.
    #[arg(long, value_name = "MIB")]
    pub memory_mib: Option<usize>,
    /// Write the data set into this folder
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
}

/// The name for no benchmark.
const NONE: &str = "none";

/// The benchmarks by their names; adds faults.
pub fn protect(named: Option<&[String]>, faults: &mut Vec<String>) -> Vec<Protect> {
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
    /// The flags laid over the keys of a settings file.
    pub fn over(self, config: Option<&Path>) -> Result<Self> {
        let base = match config {
            Some(path) => settings::read(path, |key| Settings::deserialize(key).map(drop))?,
            None => return Ok(self),
        };
        settings::lay_over(base, settings::given(&self)?)
    }

    /// The settings for the data crate, or all faults at once.
    pub fn resolve(self, overwrite: bool, printer: &Printer) -> Result<BuildSettings> {
        let mut faults = Vec::new();
        let texts = self.source.unwrap_or_default();
        if texts.is_empty() {
            faults.push(format!(
                "--source: {}",
                datasets::describe(&verdict_data::Error::NoSources)
            ));
        }
        let sources = texts.iter().map(|text| text.parse::<SourceSpec>());
        let sources: Vec<SourceSpec> = sources
            .filter_map(|source| source.map_err(|fault| faults.push(fault)).ok())
            .collect();
        let out = self.out.unwrap_or_else(|| {
            faults.push("--out: expected a folder for the data set, found none".into());
            PathBuf::new()
        });
        let balance = match (self.per_class, self.max_per_class, self.unbalanced) {
            (Some(0), ..) | (_, Some(0), _) => {
                let flag = if self.max_per_class.is_some() {
                    "max-per-class"
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
                    "--per-class, --max-per-class, --unbalanced: expected one of them, found several"
                        .into(),
                );
                Balance::Natural
            }
        };
        let shares = self.split.as_deref().map(str::parse::<SplitShares>);
        let shares = shares.transpose().unwrap_or_else(|fault| {
            faults.push(format!("--split: {fault}"));
            None
        });
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
        if !context && (self.max_context_tokens.is_some() || self.tokenizer.is_some()) {
            faults.push(
                "--max-context-tokens, --tokenizer: expected --context abstract with them".into(),
            );
        }
        if self.tokenizer.is_some() && self.max_context_tokens.is_none() {
            faults.push(
                "--tokenizer: expected --max-context-tokens with it, found no limit to count to"
                    .into(),
            );
        }
        if !faults.is_empty() {
            return Err(Failure::faults(faults));
        }
        let context = match (context, self.max_context_tokens, self.tokenizer) {
            (false, ..) => None,
            (true, None, _) => Some(Context::whole()),
            (true, Some(tokens), None) => Some(Context::estimated(tokens)),
            (true, Some(tokens), Some(model)) => Some(counted_by(tokens, &model, printer)?),
        };
        let sources = sources.into_iter();
        let sources = sources.map(|source| loading::input(source, printer));
        let defaults = BuildSettings::new(sources.collect::<Result<Vec<_>>>()?, out);
        let seed = self.seed.unwrap_or(defaults.seed);
        let disagreement = match self.conflicting_labels.as_deref() {
            Some("uncertain") => Disagreement::Uncertain,
            _ => Disagreement::Drop,
        };
        Ok(BuildSettings {
            balance,
            shares: shares.unwrap_or_default(),
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

/// A limit that is counted with a model's tokenizer.
fn counted_by(tokens: usize, model: &str, printer: &Printer) -> Result<Context> {
    let tokenizer = match model.ends_with("tokenizer.json") {
        true => tokenizers::Tokenizer::from_file(model)
            .map_err(|fault| Failure::input(format!("{model}: {fault}")))?,
        false => loading::find(model, printer)?.tokenizer()?,
    };
    let count = move |text: &str| {
        // A text that cannot be encoded counts as long.
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use verdict_data::Source;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[arg(long)]
        config: Option<PathBuf>,
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        settings: Settings,
    }

    fn resolve(flags: &[&str]) -> Result<BuildSettings> {
        let words = std::iter::once("build").chain(flags.iter().copied());
        let args = Line::try_parse_from(words).expect("good usage");
        args.settings
            .over(args.config.as_deref())?
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
            "--split",
            "70,20,10",
            "--context",
            "abstract",
            "--max-context-tokens",
            "200",
            "--memory-mib",
            "100",
            "--conflicting-labels",
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
            shares: "70,20,10".parse().expect("shares"),
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
        let natural =
            resolve(&["--source", "clinical", "--unbalanced", "--out", "d"]).expect("good");
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
    fn all_faults_are_reported_at_once() {
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

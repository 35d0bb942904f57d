//! The command line as clap reads it. The flags of each command are in its own file.

use std::ffi::OsString;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::aliases;
use crate::commands::{
    ask, bench, build, demo, doctor, eval, index, label, pull, search, train, watch,
};
use crate::log;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Fine-tune a small language model to answer biomedical yes/no questions
///
/// Each answer is a label (Yes, No or Uncertain) with calibrated probabilities and one sentence of rationale.
#[derive(Debug, Parser)]
#[command(name = "verdict", version, styles = STYLES, max_term_width = 100)]
#[command(
    after_help = "New here? `verdict demo` builds, trains, evaluates and asks in a few minutes."
)]
pub struct Cli {
    /// Print results as JSON, one object per line
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
    /// What goes to stderr.
    #[command(flatten)]
    pub log: log::Flags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(demo::Args),
    Doctor(doctor::Args),
    Pull(pull::Args),
    Build(build::Args),
    Train(Box<train::Args>),
    Watch(watch::Args),
    Eval(eval::Args),
    Ask(Box<ask::Args>),
    Label(label::Args),
    Index(index::Args),
    Search(search::Args),
    Bench(bench::Args),
    /// Print the command reference as Markdown
    #[command(hide = true)]
    Reference,
}

impl Cli {
    /// All commands and flags, with the other names that flags have.
    pub fn definition() -> clap::Command {
        aliases::add(Self::command())
    }

    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// Wrong usage, and also help and version.
    pub fn read<W>(words: impl IntoIterator<Item = W>) -> Result<Self, clap::Error>
    where
        W: Into<OsString> + Clone,
    {
        let mut definition = Self::definition();
        let matches = definition.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{Cli, Command};
    use crate::models;

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::definition().debug_assert();
    }

    /// README and every page of the documentation but the reference, which is generated from the flags.
    fn pages() -> Vec<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut pages = vec![root.join("README.md")];
        for folder in ["docs/guide", "docs/concepts"] {
            let entries = fs::read_dir(root.join(folder)).into_iter().flatten();
            pages.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        pages.retain(|page| page.extension().is_some_and(|name| name == "md"));
        pages
    }

    /// Lines of fenced code that run the program, with continued lines joined and comments removed.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let text = text.replace("\\\n", " ");
        let mut fenced = false;
        let mut found = Vec::new();
        for line in text.lines() {
            fenced ^= line.trim_start().starts_with("```");
            let line = line.trim().trim_start_matches("$ ");
            // The output of a command substitution is not known here.
            let Some(words) = shlex::split(line).filter(|_| fenced && !line.contains("$(")) else {
                continue;
            };
            let piped = words
                .iter()
                .position(|word| ["|", ">", "&", "&&", "2>"].contains(&&**word));
            let words = &words[..piped.unwrap_or(words.len())];
            let from = words.iter().position(|word| word == "verdict");
            // Environment variables may come first.
            match from {
                Some(from) if words[..from].iter().all(|word| word.contains('=')) => {
                    found.push(without_ellipses(&words[from..]));
                }
                _ => {}
            }
        }
        found
    }

    /// Pages leave things out with an ellipsis: after a flag it stands for some value, elsewhere for nothing.
    fn without_ellipses(words: &[String]) -> Vec<String> {
        let mut without_ellipses: Vec<String> = Vec::new();
        for word in words {
            let value = without_ellipses
                .last()
                .is_some_and(|before| before.starts_with("--"));
            match word.as_str() {
                "…" if value => without_ellipses.push("stats:9".into()),
                "…" => {}
                word => without_ellipses.push(word.to_owned()),
            }
        }
        without_ellipses
    }

    /// Every command below `command`, and itself.
    fn all(command: &clap::Command) -> Vec<clap::Command> {
        let below = command.get_subcommands().flat_map(all);
        std::iter::once(command.clone()).chain(below).collect()
    }

    #[test]
    fn short_help_has_one_line_for_each_flag() {
        let mut root = Cli::definition().term_width(100);
        root.build();
        let mut wrapped = Vec::new();
        for mut command in all(&root) {
            let help = command.render_help().to_string();
            let lines = help.lines().skip_while(|line| *line != "Options:");
            for line in lines.filter(|line| line.starts_with(' ')) {
                if !line.trim_start().starts_with('-') || line.len() > 100 {
                    wrapped.push(format!("{}: {line}", command.get_name()));
                }
            }
        }
        assert!(wrapped.is_empty(), "{}", wrapped.join("\n"));
    }

    #[test]
    fn every_command_of_the_documentation_is_one() {
        let mut seen = 0;
        for page in pages() {
            let text = fs::read_to_string(&page).expect("a page");
            for words in commands(&text) {
                seen += 1;
                let place = format!("{}: {}", page.display(), words.join(" "));
                let cli = Cli::read(&words).unwrap_or_else(|fault| panic!("{place}\n{fault}"));
                let model = match cli.command {
                    Command::Train(args) => args.model,
                    Command::Ask(args) => args.model,
                    Command::Demo(args) => Some(args.model),
                    _ => None,
                };
                if let Some(model) = model {
                    let known = models::names().contains(&&*model) || model.contains(['/', '.']);
                    assert!(known, "{place}: no built-in model is called {model}");
                }
            }
        }
        assert!(seen > 40, "{seen}");
    }
}

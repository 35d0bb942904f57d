//! The command line as clap reads it. Each command's own flags stand in its file.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

use crate::commands::{ask, bench, build, demo, doctor, eval, pull, train, watch};
use crate::log;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Turns a small open language model into a specialist that answers biomedical yes/no questions with
/// a label, a probability and one sentence of rationale.
#[derive(Debug, Parser)]
#[command(name = "verdict", version, styles = STYLES, max_term_width = 100)]
#[command(after_help = "New here? `verdict demo` runs the whole chain in a few minutes.")]
pub struct Cli {
    /// Print results as JSON, one object a line
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
    /// What goes to stderr
    #[command(flatten)]
    pub log: log::Flags,
    /// What to do
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
    Ask(ask::Args),
    Bench(bench::Args),
    /// Print the command reference as Markdown
    #[command(hide = true)]
    Reference,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Command};
    use crate::models;

    #[test]
    fn clap_finds_no_contradiction() {
        Cli::command().debug_assert();
    }

    /// README and every page of the documentation but the reference, which is made from the flags.
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

    /// Lines of fenced code that call the program, continued lines joined, comments left out.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let text = text.replace("\\\n", " ");
        let mut fenced = false;
        let mut found = Vec::new();
        for line in text.lines() {
            fenced ^= line.trim_start().starts_with("```");
            let line = line.trim().trim_start_matches("$ ");
            // What a shell computes is not known here.
            let Some(words) = shlex::split(line).filter(|_| fenced && !line.contains("$(")) else {
                continue;
            };
            let piped = words
                .iter()
                .position(|word| ["|", ">", "&", "&&", "2>"].contains(&&**word));
            let words = &words[..piped.unwrap_or(words.len())];
            let from = words.iter().position(|word| word == "verdict");
            // Before it may stand variables of the environment.
            match from {
                Some(from) if words[..from].iter().all(|word| word.contains('=')) => {
                    found.push(whole(&words[from..]));
                }
                _ => {}
            }
        }
        found
    }

    /// What a page leaves out: the value of a flag is some value, anything else is not there.
    fn whole(words: &[String]) -> Vec<String> {
        let mut whole: Vec<String> = Vec::new();
        for word in words {
            let value = whole.last().is_some_and(|before| before.starts_with("--"));
            match word.as_str() {
                "…" if value => whole.push("stats:9".into()),
                "…" => {}
                word => whole.push(word.to_owned()),
            }
        }
        whole
    }

    #[test]
    fn every_command_of_the_documentation_is_one() {
        let mut seen = 0;
        for page in pages() {
            let text = fs::read_to_string(&page).expect("a page");
            for words in commands(&text) {
                seen += 1;
                let place = format!("{}: {}", page.display(), words.join(" "));
                let cli =
                    Cli::try_parse_from(&words).unwrap_or_else(|fault| panic!("{place}\n{fault}"));
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

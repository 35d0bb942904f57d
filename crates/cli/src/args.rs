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
    use clap::CommandFactory as _;

    #[test]
    fn clap_finds_no_contradiction() {
        super::Cli::command().debug_assert();
    }
}

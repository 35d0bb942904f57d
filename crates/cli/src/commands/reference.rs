//! `verdict reference` (hidden): the command reference in Markdown, from the flags themselves.
//! `cargo xtask reference` keeps `docs/reference/cli.md` equal to it.

use crate::args::Cli;
use crate::failure::Result;
use crate::printer::Printer;

/// Prints the reference.
pub fn run(printer: &Printer) -> Result {
    printer.raw(&markdown());
    Ok(())
}

fn markdown() -> String {
    let mut root = Cli::definition().term_width(100);
    root.build();
    let mut text =
        String::from("# Commands\n\nGenerated from the program by `cargo xtask reference`.\n");
    text += &section(&mut root);
    for command in root
        .get_subcommands_mut()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help")
    {
        text += &section(command);
        for inner in command
            .get_subcommands_mut()
            .filter(|c| c.get_name() != "help")
        {
            text += &section(inner);
        }
    }
    text
}

fn section(command: &mut clap::Command) -> String {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!(
        "\n## {name}\n\n```text\n{}\n```\n",
        lines.join("\n").trim_end()
    )
}

//! `--log-format`, `--log-level` and `VERDICT_LOG`: what of a command's words and of the libraries' events
//! goes to stderr, and in which form. The lines themselves are written by the printer.

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::failure::{Failure, Result};
use crate::printer;

/// Filter directives, such as `info,verdict_train=debug`.
const VARIABLE: &str = "VERDICT_LOG";

/// The target of what the program itself says.
pub const TARGET: &str = "verdict";

/// The form of what goes to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people: plain lines, bars on a terminal.
    #[default]
    Text,
    /// For a log collector: one JSON object a line.
    Json,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// What made a command fail.
    Error,
    /// What may be wrong.
    Warn,
    /// Notes, progress and what happens.
    Info,
    /// Every training step.
    Debug,
    /// All there is.
    Trace,
}

/// The flags, global to all commands.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// No progress and no notes; warnings and errors remain
    #[arg(long, short, global = true, display_order = 901)]
    pub quiet: bool,
    /// Form of notes, progress and errors: text, or json, one object a line for a log collector
    #[arg(
        long,
        global = true,
        display_order = 902,
        value_enum,
        value_name = "FORMAT"
    )]
    #[arg(hide_possible_values = true)]
    pub log_format: Option<Format>,
    /// How much is told: error, warn, info, debug or trace; VERDICT_LOG takes filters by part
    #[arg(
        long,
        global = true,
        display_order = 903,
        value_enum,
        value_name = "LEVEL"
    )]
    #[arg(hide_possible_values = true, conflicts_with = "quiet")]
    pub log_level: Option<Level>,
}

/// What the printer is to tell, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The form.
    pub format: Format,
    /// Of the program's own words.
    pub level: Level,
    /// Whether the libraries' events are told beside them.
    pub events: bool,
}

impl Telling {
    /// For people; `quiet`: no notes and no progress.
    pub const fn plain(quiet: bool) -> Self {
        Self {
            format: Format::Text,
            level: if quiet { Level::Warn } else { Level::Info },
            events: false,
        }
    }
}

impl Level {
    fn word(self) -> String {
        let filter = match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        };
        filter.to_string()
    }
}

/// Resolves flags and variable and takes events from here on. Called once, at start.
///
/// # Errors
/// A variable that is no list of filter directives; until it is mended errors alone are told.
pub fn install(flags: &Flags) -> Result<Telling> {
    let variable = std::env::var(VARIABLE).unwrap_or_default();
    let format = flags.log_format.unwrap_or_default();
    let (telling, directives) = resolve(flags, &variable);
    let Some(directives) = directives else {
        return Ok(telling);
    };
    match filter(&directives) {
        Ok(filter) => {
            listen(format, filter);
            Ok(telling)
        }
        Err(fault) => {
            listen(format, EnvFilter::new("error"));
            let failure = Failure::input(format!("{VARIABLE}: {fault}, found {variable:?}"));
            Err(failure.hint("as in VERDICT_LOG=info,verdict_train=debug"))
        }
    }
}

/// What is told, and the filter of events; none where none is told.
fn resolve(flags: &Flags, variable: &str) -> (Telling, Option<String>) {
    let format = flags.log_format.unwrap_or_default();
    let level = match (flags.quiet, flags.log_level) {
        (true, _) => Level::Warn,
        (false, level) => level.unwrap_or(Level::Info),
    };
    // A flag wins over the variable, which wins over the default; the last of a kind counts.
    let asked = flags.quiet || flags.log_level.is_some();
    let base = match (asked, format) {
        (true, _) | (false, Format::Json) => level.word(),
        (false, Format::Text) => "off".to_owned(),
    };
    let directives = match asked {
        true => [variable, &base],
        false => [&base, variable],
    };
    let events = format == Format::Json || flags.log_level.is_some() || !variable.is_empty();
    let telling = Telling {
        format,
        level,
        events,
    };
    let directives = directives.iter().filter(|part| !part.is_empty());
    let directives: Vec<&str> = directives.copied().collect();
    (telling, events.then(|| directives.join(",")))
}

fn filter(directives: &str) -> std::result::Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(directives)
}

fn listen(format: Format, filter: EnvFilter) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| printer::Stderr)
        .with_ansi(false);
    // Fails where somebody listens already, which is as good.
    let _ = match format {
        Format::Text => lines.try_init(),
        Format::Json => {
            std::panic::set_hook(Box::new(printer::panic));
            let json = lines.json().flatten_event(true);
            json.with_current_span(false)
                .with_span_list(false)
                .try_init()
        }
    };
}

/// Whether these words ask for JSON, though they may be wrong otherwise.
pub fn wants_json(words: impl IntoIterator<Item = std::ffi::OsString>) -> bool {
    let words: Vec<_> = words.into_iter().collect();
    let two = |pair: &[std::ffi::OsString]| pair[0] == "--log-format" && pair[1] == "json";
    words.iter().any(|word| word == "--log-format=json") || words.windows(2).any(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(
        format: Format,
        quiet: bool,
        level: Option<Level>,
        variable: &str,
    ) -> (Level, Option<String>) {
        let flags = Flags {
            quiet,
            log_format: Some(format),
            log_level: level,
        };
        let (telling, directives) = resolve(&flags, variable);
        assert_eq!(telling.events, directives.is_some());
        (telling.level, directives)
    }

    #[test]
    fn the_flag_wins_over_the_variable_and_the_variable_over_the_default() {
        let own = |text: &str| Some(text.to_owned());
        let (text, json) = (Format::Text, Format::Json);
        assert_eq!(resolved(text, false, None, ""), (Level::Info, None));
        assert_eq!(resolved(text, true, None, ""), (Level::Warn, None));
        let debug = Some(Level::Debug);
        assert_eq!(
            resolved(text, false, debug, ""),
            (Level::Debug, own("debug"))
        );
        let parts = "verdict_train=debug";
        assert_eq!(
            resolved(text, false, None, parts),
            (Level::Info, own("off,verdict_train=debug"))
        );
        assert_eq!(resolved(json, false, None, ""), (Level::Info, own("info")));
        assert_eq!(resolved(json, true, None, "").1, own("warn"));
        assert_eq!(
            resolved(json, false, None, parts).1,
            own("info,verdict_train=debug")
        );
        assert_eq!(
            resolved(json, false, Some(Level::Error), "debug").1,
            own("debug,error")
        );
    }

    #[test]
    fn json_is_found_in_wrong_words_too() {
        let wants = |words: &str| wants_json(words.split(' ').map(Into::into));
        assert!(wants("verdict train --log-format json --bad"));
        assert!(wants("verdict --log-format=json biuld"));
        assert!(!wants("verdict train --log-format text json"));
    }
}

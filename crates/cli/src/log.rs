//! `--log-format`, `--log-level` and `VERDICT_LOG`: which messages of a command and which events of the libraries go to
//! stderr, and in which form. The printer writes the lines.

use std::io::Write;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::failure::{Failure, Result};

/// Filter directives, such as `info,verdict_train=debug`.
const VARIABLE: &str = "VERDICT_LOG";

/// The target of the program's own messages.
pub const TARGET: &str = "verdict";

/// The form of what goes to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain lines, with progress bars on a terminal.
    #[default]
    Text,
    /// One JSON object per line, for a log collector.
    Json,
}

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Why a command failed.
    Error,
    /// Possible problems.
    Warn,
    /// Notes, progress and main events.
    Info,
    /// Every training step.
    Debug,
    /// Everything.
    Trace,
}

/// The flags, global to all commands.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Hide progress and notes; warnings and errors are still printed
    #[arg(long, short, global = true, display_order = 901)]
    pub quiet: bool,
    /// Set the form of notes and errors: text, json [default: text]
    ///
    /// `json` writes one object per line to stderr, for a log collector.
    #[arg(
        long,
        global = true,
        display_order = 902,
        value_enum,
        value_name = "FORMAT"
    )]
    #[arg(hide_possible_values = true)]
    pub log_format: Option<Format>,
    /// Set the level: error, warn, info, debug, trace [default: info]
    ///
    /// VERDICT_LOG takes filters by crate, as in VERDICT_LOG=info,verdict_train=debug.
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

/// What goes to stderr, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StderrSettings {
    /// The form.
    pub format: Format,
    /// Of the program's own messages.
    pub level: Level,
    /// Whether events of the libraries are written too.
    pub events: bool,
}

impl StderrSettings {
    /// Plain text; `quiet`: no notes and no progress.
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

/// Resolves flags and variable, and writes events to `writer` from here on. Called once, at start.
///
/// # Errors
/// A variable that is no list of filter directives; until it is corrected only errors are written.
pub fn install<W: Write + 'static>(flags: &Flags, writer: fn() -> W) -> Result<StderrSettings> {
    let variable = std::env::var(VARIABLE).unwrap_or_default();
    let format = flags.log_format.unwrap_or_default();
    let (settings, directives) = resolve(flags, &variable);
    let Some(directives) = directives else {
        return Ok(settings);
    };
    match filter(&directives) {
        Ok(filter) => {
            listen(format, filter, writer);
            Ok(settings)
        }
        Err(fault) => {
            listen(format, EnvFilter::new("error"), writer);
            let failure = Failure::input(format!("{VARIABLE}: {fault}, found {variable:?}"));
            Err(failure.hint("an example: VERDICT_LOG=info,verdict_train=debug"))
        }
    }
}

/// What goes to stderr, and the filter of events; none where no events are written.
fn resolve(flags: &Flags, variable: &str) -> (StderrSettings, Option<String>) {
    let format = flags.log_format.unwrap_or_default();
    let level = match (flags.quiet, flags.log_level) {
        (true, _) => Level::Warn,
        (false, level) => level.unwrap_or(Level::Info),
    };
    // A flag wins over the variable, and the variable over the default; later directives win over earlier ones.
    let requested = flags.quiet || flags.log_level.is_some();
    let base = match (requested, format) {
        (true, _) | (false, Format::Json) => level.word(),
        (false, Format::Text) => "off".to_owned(),
    };
    let directives = match requested {
        true => [variable, &base],
        false => [&base, variable],
    };
    let events = format == Format::Json || flags.log_level.is_some() || !variable.is_empty();
    let settings = StderrSettings {
        format,
        level,
        events,
    };
    let directives = directives.iter().filter(|part| !part.is_empty());
    let directives: Vec<&str> = directives.copied().collect();
    (settings, events.then(|| directives.join(",")))
}

fn filter(directives: &str) -> std::result::Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(directives)
}

fn listen<W: Write + 'static>(format: Format, filter: EnvFilter, writer: fn() -> W) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false);
    // Fails if a subscriber is installed already.
    let _ = match format {
        Format::Text => lines.try_init(),
        Format::Json => {
            std::panic::set_hook(Box::new(panic));
            let json = lines.json().flatten_event(true);
            json.with_current_span(false)
                .with_span_list(false)
                .try_init()
        }
    };
}

/// A panic as a line of the log.
fn panic(info: &std::panic::PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    let text = info.payload_as_str().unwrap_or("no text");
    tracing::error!(target: TARGET, location, "panic: {text}");
}

/// Whether these arguments request JSON, even if they are wrong otherwise.
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
        let (settings, directives) = resolve(&flags, variable);
        assert_eq!(settings.events, directives.is_some());
        (settings.level, directives)
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
    fn json_is_found_among_wrong_arguments_too() {
        let wants = |words: &str| wants_json(words.split(' ').map(Into::into));
        assert!(wants("verdict train --log-format json --bad"));
        assert!(wants("verdict --log-format=json biuld"));
        assert!(!wants("verdict train --log-format text json"));
    }
}

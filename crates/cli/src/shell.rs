//! Text as one word of another program's line: the shell's, and a directive of `sbatch`.

use std::path::Path;

/// A path as one word of the shell, so that a printed command can be copied.
pub fn word(path: &Path) -> String {
    let path = path.display().to_string();
    // A path with a zero byte, which alone cannot be quoted, does not exist.
    shlex::try_quote(&path).map_or_else(|_| path.clone(), |word| word.into_owned())
}

/// An option as a `#SBATCH` line reads it: one word, whatever is in it.
///
/// Outside quotes `sbatch` ends a word at a blank and the line at a `#`; within double quotes a
/// backslash takes the next character as it is (`get_argument` in SLURM's `sbatch/opt.c`). An option
/// that is quoted already stays as it was written.
pub fn directive(option: &str) -> String {
    let special = |letter: char| letter.is_whitespace() || "\"'\\#".contains(letter);
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (format!("{name}="), value),
        None => (String::new(), option),
    };
    let ends = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    if !value.contains(special) || ends('"') || ends('\'') {
        return option.to_owned();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{name}\"{escaped}\"")
}

/// A path in the name of a log, where a per cent sign alone would begin one of SLURM's patterns.
pub fn log_path(folder: &Path, pattern: &str) -> String {
    let folder = folder.display().to_string().replace('%', "%%");
    format!("{folder}/{pattern}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_one_word_of_its_directive() {
        for (option, expected) in [
            ("--mem=32G", "--mem=32G"),
            ("--constraint=a100|h100", "--constraint=a100|h100"),
            ("--comment=trial run", "--comment=\"trial run\""),
            ("--comment=\"trial run\"", "--comment=\"trial run\""),
            ("--comment='trial run'", "--comment='trial run'"),
            ("--comment=run #3", "--comment=\"run #3\""),
            ("--comment=5\" disk", "--comment=\"5\\\" disk\""),
            ("--comment=a\\b", "--comment=\"a\\\\b\""),
            ("--chdir=/data/a\tb", "--chdir=\"/data/a\tb\""),
            ("--exclusive", "--exclusive"),
        ] {
            assert_eq!(directive(option), expected);
        }
    }

    #[test]
    fn a_log_goes_where_the_folder_is() {
        let folder = Path::new("/runs/sweep 50%j");
        assert_eq!(
            log_path(folder, "task-%a.log"),
            "/runs/sweep 50%%j/task-%a.log"
        );
    }

    #[test]
    fn a_path_is_one_word_of_the_shell() {
        assert_eq!(word(Path::new("runs/a")), "runs/a");
        assert_eq!(word(Path::new("my runs/a")), "'my runs/a'");
    }
}

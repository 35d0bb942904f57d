//! Quoting: text as one word of a shell command, and of a directive of `sbatch`.

use std::path::Path;

/// A path as one word of a shell command, so that a printed command can be copied.
pub fn word(path: &Path) -> String {
    let path = path.display().to_string();
    // Only a path with a zero byte cannot be quoted, and such a path does not exist.
    shlex::try_quote(&path).map_or_else(|_| path.clone(), |word| word.into_owned())
}

/// An option for a `#SBATCH` line: one word, whatever it contains.
///
/// Outside quotes, `sbatch` ends a word at a blank and the line at a `#`; within double quotes a backslash escapes the next
/// character (`get_argument` in SLURM's `sbatch/opt.c`). An option that is quoted already is left as it is.
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

/// A path for the name of a log, with per cent signs escaped because SLURM's patterns begin with one.
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

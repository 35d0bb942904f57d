//! Helpers of the command tests: run the program in a folder of its own, show what it did.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;

/// How long a command may take before it is killed and its test fails.
const LIMIT: Duration = Duration::from_secs(300);

/// The program, in a folder, with a cache of its own and nothing of the user's environment. GPUs are
/// hidden from it: the output must be the same on every machine.
pub fn verdict(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("verdict").expect("the program was built");
    command
        .current_dir(folder)
        .env("VERDICT_CACHE", folder.join("cache"))
        .env("CUDA_VISIBLE_DEVICES", "")
        .env("NO_COLOR", "1")
        .timeout(LIMIT);
    command
}

/// Exit status, stdout and stderr as one text, the parts that vary replaced.
pub fn show(folder: &Path, arguments: &str) -> String {
    show_words(folder, &arguments.split_whitespace().collect::<Vec<_>>())
}

/// As [`show`], the words given one by one.
pub fn show_words(folder: &Path, arguments: &[&str]) -> String {
    transcript(
        folder,
        verdict(folder)
            .args(arguments)
            .output()
            .expect("the program ran"),
    )
}

/// A finished process as text.
pub fn transcript(folder: &Path, output: Output) -> String {
    let status = output
        .status
        .code()
        .map_or("killed".into(), |code| code.to_string());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let whole = format!(
        "status: {status}\n----- stdout -----\n{}----- stderr -----\n{}",
        text(output.stdout),
        text(output.stderr)
    );
    whole
        .replace(&folder.display().to_string(), "[FOLDER]")
        .replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
}

/// Asserts that a command shown succeeded.
#[allow(dead_code, reason = "not every test binary uses it")]
pub fn good(said: &str) {
    assert!(said.starts_with("status: 0"), "{said}");
}

/// The objects of a JSON Lines file.
#[allow(dead_code, reason = "not every test binary uses it")]
pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("read");
    let line = |line: &str| serde_json::from_str(line).expect("JSON");
    text.lines().map(line).collect()
}

//! `cargo xtask ci`: every check, cheapest first, with the time each took. It stops at the first that fails.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::programs::{call, output};
use crate::{edges, reference, tidy};

/// A run of all tests is ended after this time: a test must be waiting for something that never happens.
const TESTS_LIMIT: Duration = Duration::from_secs(3600);

/// A check: its name and what it does.
type Step = (&'static str, fn() -> anyhow::Result<()>);

/// Runs them all.
pub fn run() -> anyhow::Result<()> {
    let steps: [Step; 15] = [
        ("format", || call("cargo", &["fmt", "--all", "--check"])),
        ("tidy", tidy::run),
        ("edges", edges::run),
        ("clippy", clippy),
        // Compiles everything that the later steps run.
        ("build", build),
        ("instruction set", instruction_set),
        ("model", model),
        ("nvrtc", nvrtc),
        ("browser", browser),
        ("tensorboard", tensorboard),
        ("slurm", slurm),
        ("tests", tests),
        ("doc tests", || {
            call("cargo", &["test", "--workspace", "--doc", "--quiet"])
        }),
        ("docs", docs),
        ("reference", || reference::check_built(&program())),
    ];
    let started = Instant::now();
    let mut times = Vec::new();
    for (name, step) in steps {
        eprintln!("== {name}");
        let at = Instant::now();
        let done = step();
        times.push(format!("{:>8.1} s  {name}", at.elapsed().as_secs_f64()));
        if done.is_err() {
            eprintln!("{}", times.join("\n"));
            return done;
        }
    }
    eprintln!(
        "{}\n{:>8.1} s  in all",
        times.join("\n"),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn clippy() -> anyhow::Result<()> {
    call(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
    )
}

/// Compiles every test, and with them the program, with the features of the whole workspace. If a step ran the program
/// with `cargo run --package`, most dependencies would be compiled again with the features of that package.
fn build() -> anyhow::Result<()> {
    let mut words = tests_command();
    words.push("--no-run");
    call("cargo", &words)
}

/// The program that [`build`] made.
fn program() -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| crate::programs::root().join("target"), Into::into);
    // Relative to the root, where `call` runs programs.
    target.join("debug/verdict").display().to_string()
}

/// Prints which kernels the tests run: the best of this processor, or those that `VERDICT_ISA` limits them to. Every
/// test has to pass with any of them.
fn instruction_set() -> anyhow::Result<()> {
    let found = output(&program(), &["doctor", "--json"])?;
    let found: Value = serde_json::from_str(&found).context("`verdict doctor --json`")?;
    let cap = std::env::var("VERDICT_ISA").map_or_else(
        |_| "VERDICT_ISA is not set".to_owned(),
        |cap| format!("VERDICT_ISA={cap}"),
    );
    eprintln!(
        "{} kernels on {} ({cap})",
        found["kernels"].as_str().unwrap_or("unknown"),
        found["cpu"]["name"]
            .as_str()
            .unwrap_or("an unknown processor"),
    );
    Ok(())
}

/// Fetches the real model that some tests need into the model cache. Without a network those tests report that they
/// were skipped.
fn model() -> anyhow::Result<()> {
    if call(&program(), &["pull", "smollm2-135m"]).is_err() {
        eprintln!("no model: tests on real weights will be skipped");
    }
    Ok(())
}

/// Fetches NVIDIA's run-time compiler, which needs no GPU, to where the kernels' tests look for it. Without a network
/// those tests report that they were skipped.
fn nvrtc() -> anyhow::Result<()> {
    let to = crate::programs::root().join("target/nvrtc");
    if to.join("nvidia").exists() {
        return Ok(());
    }
    let to = to.display().to_string();
    let version = "nvidia-cuda-nvrtc==13.0.*";
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        &to,
        version,
    ];
    if call("python3", &install).is_err() {
        eprintln!("no NVRTC: the GPU kernels will not be compiled");
    }
    Ok(())
}

/// Installs the browser that some tests open pages in, if there is none and the machine permits it. Otherwise those
/// tests report that they were skipped.
fn browser() -> anyhow::Result<()> {
    let known = ["chromium", "google-chrome", "chrome"];
    let named = std::env::var_os("VERDICT_CHROMIUM").is_some_and(|name| !name.is_empty());
    if named || known.into_iter().any(installed) {
        return Ok(());
    }
    if install(&["chromium"]).is_err() {
        eprintln!("no Chromium: no page will be opened");
    }
    Ok(())
}

/// Installs SLURM, of which a test starts its own cluster, and the database of its jobs, if they are missing and the
/// machine permits it. Otherwise those tests report that they were skipped.
fn slurm() -> anyhow::Result<()> {
    let needed = [
        "slurmctld",
        "slurmd",
        "munged",
        "sbatch",
        "slurmdbd",
        "mariadbd",
    ];
    let packages = [
        "slurmctld",
        "slurmd",
        "munge",
        "slurm-client",
        "slurmdbd",
        "mariadb-server-core",
    ];
    if !needed.into_iter().all(installed) && install(&packages).is_err() {
        eprintln!("no SLURM: nothing will be submitted");
    }
    Ok(())
}

/// Whether a program is in one of the usual folders.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin".into(), "/usr/local/sbin".into()];
    let mut folders = std::env::split_paths(&path).chain(more);
    folders.any(|folder| folder.join(program).is_file())
}

/// Installs Debian packages.
fn install(packages: &[&str]) -> anyhow::Result<()> {
    let mut words = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    words.extend(packages);
    call("apt-get", &["update", "--quiet"]).and_then(|()| call("apt-get", &words))
}

/// Installs TensorBoard, which reads what `verdict watch` exports, into a Python environment of its own. Without a
/// network or Python, those tests report that they were skipped.
fn tensorboard() -> anyhow::Result<()> {
    let to = crate::programs::root().join("target/tensorboard");
    // Written last, so that an interrupted installation is repeated.
    let done = to.join("installed");
    if done.exists() {
        return Ok(());
    }
    let folder = to.display().to_string();
    let python = to.join("bin/python").display().to_string();
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "tensorboard==2.21.0",
    ];
    let made = call("python3", &["-m", "venv", "--clear", &folder])
        .and_then(|()| call(&python, &install))
        .and_then(|()| Ok(std::fs::write(&done, "")?));
    if made.is_err() {
        eprintln!("no TensorBoard: what is written for it will not be read by it");
    }
    Ok(())
}

/// Runs all tests. nextest ends a test that hangs (`.config/nextest.toml`); `cargo test` has no such limit, so the whole
/// run has one.
fn tests() -> anyhow::Result<()> {
    let mut words = tests_command();
    words.push("--no-fail-fast");
    words.extend(match words.contains(&"nextest") {
        true => ["--status-level", "slow"].as_slice(),
        false => ["--quiet"].as_slice(),
    });
    let mut tests = Command::new("cargo")
        .args(&words)
        .current_dir(crate::programs::root())
        .spawn()
        .context("cargo could not be started")?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = tests.try_wait()? {
            break status;
        }
        if started.elapsed() > TESTS_LIMIT {
            tests.kill()?;
            tests.wait()?;
            bail!("the tests were still running after {TESTS_LIMIT:?} and were ended");
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    if !status.success() {
        bail!("`cargo {}` ended with {status}", words.join(" "));
    }
    Ok(())
}

/// nextest if it is installed, otherwise `cargo test`.
fn tests_command() -> Vec<&'static str> {
    let probe = Command::new("cargo")
        .args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match probe.is_ok_and(|status| status.success()) {
        true => vec!["nextest", "run", "--workspace"],
        false => vec!["test", "--workspace", "--lib", "--bins", "--tests"],
    }
}

fn docs() -> anyhow::Result<()> {
    // Warnings of rustdoc are errors; cargo takes the flag from the environment.
    let status = Command::new("cargo")
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--quiet",
        ])
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(crate::programs::root())
        .status()?;
    anyhow::ensure!(status.success(), "cargo doc ended with {status}");
    Ok(())
}

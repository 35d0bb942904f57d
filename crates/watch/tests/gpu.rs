//! The GPUs of this machine, held against what `nvidia-smi` says. Where there is none, the test says that it was skipped.

use std::process::Command;

use verdict_watch::gpu::Gpus;

const ASKED: &str =
    "--query-gpu=name,memory.total,enforced.power.limit,temperature.gpu,memory.used";

#[test]
fn nvml_says_what_nvidia_smi_says() {
    let asked = Command::new("nvidia-smi")
        .args([ASKED, "--format=csv,noheader,nounits"])
        .output();
    let Some(output) = asked.ok().filter(|output| output.status.success()) else {
        #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!("skipped: no nvidia-smi, or no GPU that it finds");
        }
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = Gpus::open().read();
    assert_eq!(found.len(), text.lines().count(), "{text}");
    for (line, gpu) in text.lines().zip(found) {
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |place: usize| words[place].parse::<f64>().expect("a number");
        assert_eq!(gpu.name, words[0]);
        let mebibytes = |bytes: Option<u64>| bytes.expect("told") as f64 / 1_048_576.0;
        // Whole MiB there.
        assert!(
            (mebibytes(gpu.memory_total_bytes) - number(1)).abs() <= 1.0,
            "{line}"
        );
        assert!(
            (gpu.power_limit_w.expect("told") - number(2)).abs() <= 0.01,
            "{line}"
        );
        // Between the two questions it may warm up a little, and somebody may take memory.
        assert!(
            (f64::from(gpu.temperature_c.expect("told")) - number(3)).abs() <= 5.0,
            "{line}"
        );
        assert!(
            (mebibytes(gpu.memory_used_bytes) - number(4)).abs() <= 1024.0,
            "{line}"
        );
        assert!(gpu.load_percent.is_some_and(|load| load <= 100));
        assert!(gpu.power_w.is_some_and(|power| power > 0.0));
    }
}

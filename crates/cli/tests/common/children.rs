//! Processes that a test starts and waits for: never without a bound, and never for one that has ended.
#![allow(dead_code, reason = "not every test binary uses each of these helpers")]

use std::io::Read as _;
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long any one process may take: far more than it needs on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Waits for a process and returns what it printed; one that does not end in time is killed, and the test fails.
pub fn ended(child: Child) -> Output {
    let (id, done) = (child.id(), Arc::new(AtomicBool::new(false)));
    let watchdog = thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let until = Instant::now() + LIMIT;
            while !done.load(Ordering::Relaxed) {
                if Instant::now() > until {
                    let _ = Command::new("kill")
                        .args(["-KILL", &id.to_string()])
                        .status();
                    return true;
                }
                thread::sleep(Duration::from_millis(5));
            }
            false
        }
    });
    let output = child.wait_with_output().expect("it ends");
    done.store(true, Ordering::Relaxed);
    let late = watchdog.join().expect("the watchdog ends");
    assert!(
        !late,
        "still running after {LIMIT:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Waits until something is so, while the process that brings it about lives.
pub fn until(child: &mut Child, what: &str, mut so: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !so() {
        if let Some(status) = child.try_wait().expect("its status") {
            // It may have ended in the instant after it did what is waited for.
            assert!(so(), "ended with {status} before {what}: {}", errors(child));
            return;
        }
        assert!(Instant::now() < limit, "waited {LIMIT:?} for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a process that has ended wrote to stderr.
fn errors(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut text).expect("UTF-8");
    }
    text
}

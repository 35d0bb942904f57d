//! Ctrl-C, SIGTERM and SIGHUP. Work that can stop cleanly holds a [`Guard`]: the first signal then sets a flag, and a
//! later one ends the process. Launchers often forward a signal that the process has received already, so signals within
//! [`SAME_REQUEST`] of the first are the same request. Without a guard the first signal ends the process; results are
//! written under a temporary name and renamed, so nothing is left half-written. SIGUSR1, by which batch systems announce
//! that time is running out, requests a checkpoint.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use verdict_train::TrainRequest;

use crate::log::Format;
use crate::printer;

static REQUESTED: AtomicBool = AtomicBool::new(false);
static GUARDED: AtomicBool = AtomicBool::new(false);
static FIRST: OnceLock<Instant> = OnceLock::new();
static BEFORE_END: OnceLock<fn()> = OnceLock::new();
static CHECKPOINT: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Signals this close to the first are the same request.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Installs the handlers: Ctrl-C, and on Unix SIGTERM, SIGHUP and SIGUSR1. Called once, at start.
pub fn install(format: Format) {
    let handler = move || {
        let requested = REQUESTED.load(Ordering::SeqCst);
        if !requested && !GUARDED.load(Ordering::SeqCst) {
            end_now();
        }
        let first = *FIRST.get_or_init(Instant::now);
        if !REQUESTED.swap(true, Ordering::SeqCst) {
            let text =
                "stopping after this step; press Ctrl-C again after a second to stop immediately";
            printer::stderr_line(format, text);
        } else if first.elapsed() >= SAME_REQUEST {
            end_now();
        }
    };
    // Without a handler the system's default ends the process, which is safe too.
    let _ = ctrlc::set_handler(handler);
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGUSR1, CHECKPOINT.clone());
}

#[expect(
    clippy::exit,
    reason = "the second Ctrl-C ends the process from the handler's thread"
)]
fn end_now() {
    if let Some(clean_up) = BEFORE_END.get() {
        clean_up();
    }
    std::process::exit(130);
}

/// Registers what to do before a signal ends the process; it runs on the handler's thread.
pub fn before_end(clean_up: fn()) {
    let _ = BEFORE_END.set(clean_up);
}

/// While this value exists, the first Ctrl-C requests a stop instead of ending the process.
pub struct Guard(());

impl Guard {
    /// From here on the work has to check [`Guard::request`].
    pub fn new() -> Self {
        GUARDED.store(true, Ordering::SeqCst);
        Self(())
    }

    /// What signals request: Ctrl-C to stop, SIGUSR1 a checkpoint.
    pub fn request(&self) -> TrainRequest<'static> {
        TrainRequest {
            stop: &REQUESTED,
            checkpoint: &CHECKPOINT,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDED.store(false, Ordering::SeqCst);
    }
}

//! Ctrl-C and its kin. Work that can stop in good order asks for a [`Guard`]: then the first Ctrl-C (or
//! SIGTERM, SIGHUP) sets a flag and a later one ends the process. Launchers often pass on a signal that the
//! process has received already, so what comes within [`SAME`] of the first is the same request. Without a guard the first one ends it;
//! results are written under a temporary name and renamed, so an end at any moment leaves nothing
//! half-written. SIGUSR1, by which batch systems announce an end, asks for a checkpoint.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use verdict_train::TrainRequest;

use crate::log::Format;
use crate::printer;

static ASKED: AtomicBool = AtomicBool::new(false);
static GUARDED: AtomicBool = AtomicBool::new(false);
static FIRST: OnceLock<Instant> = OnceLock::new();
static BEFORE_END: OnceLock<fn()> = OnceLock::new();
static CHECKPOINT: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Signals this close to the first belong to it.
const SAME: Duration = Duration::from_secs(1);

/// Takes over Ctrl-C (and, on Unix, SIGTERM, SIGHUP and SIGUSR1). Called once, at start.
pub fn install(format: Format) {
    let handler = move || {
        let asked = ASKED.load(Ordering::SeqCst);
        if !asked && !GUARDED.load(Ordering::SeqCst) {
            end_now();
        }
        let first = *FIRST.get_or_init(Instant::now);
        if !ASKED.swap(true, Ordering::SeqCst) {
            let text = "stopping after this step; Ctrl-C once more, a second from now or later, ends at once";
            printer::stderr_line(format, text);
        } else if first.elapsed() >= SAME {
            end_now();
        }
    };
    // Without a handler the system's own default ends the process, which is safe as well.
    let _ = ctrlc::set_handler(handler);
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGUSR1, CHECKPOINT.clone());
}

#[expect(
    clippy::exit,
    reason = "the second Ctrl-C ends at once, from the handler's thread"
)]
fn end_now() {
    if let Some(last) = BEFORE_END.get() {
        last();
    }
    std::process::exit(130);
}

/// What is still to be done when a signal ends the process at once, from the handler's thread.
pub fn before_end(last: fn()) {
    let _ = BEFORE_END.set(last);
}

/// While it lives, the first Ctrl-C requests a stop instead of ending the process.
pub struct Guard(());

impl Guard {
    /// From here on the work looks at [`Guard::asked`].
    pub fn new() -> Self {
        GUARDED.store(true, Ordering::SeqCst);
        Self(())
    }

    /// What was asked for: to stop by Ctrl-C, a checkpoint by SIGUSR1.
    pub fn asked(&self) -> TrainRequest<'static> {
        TrainRequest {
            stop: &ASKED,
            checkpoint: &CHECKPOINT,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDED.store(false, Ordering::SeqCst);
    }
}

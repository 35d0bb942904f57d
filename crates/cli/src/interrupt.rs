//! Ctrl-C and its kin. Work that can stop in good order asks for a [`Guard`]: then the first Ctrl-C (or
//! SIGTERM, SIGHUP) sets a flag and the second ends the process. Without a guard the first one ends it;
//! results are written under a temporary name and renamed, so an end at any moment leaves nothing
//! half-written. SIGUSR1, by which batch systems announce an end, asks for a checkpoint.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use verdict_train::Asked;

use crate::log::Format;
use crate::printer;

static ASKED: AtomicBool = AtomicBool::new(false);
static GUARDED: AtomicBool = AtomicBool::new(false);
static BEFORE_END: OnceLock<fn()> = OnceLock::new();
static CHECKPOINT: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Takes over Ctrl-C (and, on Unix, SIGTERM, SIGHUP and SIGUSR1). Called once, at start.
pub fn install(format: Format) {
    let handler = move || {
        let again = ASKED.swap(true, Ordering::SeqCst);
        if again || !GUARDED.load(Ordering::SeqCst) {
            end_now();
        }
        printer::stderr_line(format, "stopping in good order; Ctrl-C again ends at once");
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

/// While it lives, the first Ctrl-C asks instead of ending.
pub struct Guard(());

impl Guard {
    /// From here on the work looks at [`Guard::asked`].
    pub fn new() -> Self {
        GUARDED.store(true, Ordering::SeqCst);
        Self(())
    }

    /// What was asked for: to stop by Ctrl-C, a checkpoint by SIGUSR1.
    pub fn asked(&self) -> Asked<'static> {
        Asked {
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

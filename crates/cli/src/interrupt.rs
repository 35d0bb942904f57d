//! Ctrl-C. Work that can stop in good order asks for a [`Guard`]: then the first Ctrl-C sets a flag
//! and the second ends the process. Without a guard the first one ends it; results are written under
//! a temporary name and renamed, so an end at any moment leaves nothing half-written.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::printer;

static ASKED: AtomicBool = AtomicBool::new(false);
static GUARDED: AtomicBool = AtomicBool::new(false);

/// Takes over Ctrl-C (and, on Unix, the terminate signal). Called once, at start.
pub fn install() {
    let handler = || {
        let again = ASKED.swap(true, Ordering::SeqCst);
        if again || !GUARDED.load(Ordering::SeqCst) {
            end_now();
        }
        printer::stderr_line("stopping in good order; Ctrl-C again ends at once");
    };
    // Without a handler the system's own default ends the process, which is safe as well.
    let _ = ctrlc::set_handler(handler);
}

#[expect(
    clippy::exit,
    reason = "the second Ctrl-C ends at once, from the handler's thread"
)]
fn end_now() {
    std::process::exit(130);
}

/// While it lives, the first Ctrl-C asks instead of ending.
pub struct Guard(());

impl Guard {
    /// From here on the work looks at [`Guard::flag`].
    pub fn new() -> Self {
        GUARDED.store(true, Ordering::SeqCst);
        Self(())
    }

    /// True once Ctrl-C was pressed.
    pub fn flag(&self) -> &'static AtomicBool {
        &ASKED
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDED.store(false, Ordering::SeqCst);
    }
}

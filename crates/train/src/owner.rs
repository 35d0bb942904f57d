//! Which process trains in a run folder, as it wrote into the lock: so that who watches tells one that is gone from one
//! that runs elsewhere. The lock alone does not tell, for not every file system shows who holds it.

use std::fs;
use std::path::Path;

use crate::folder::LOCK;

/// The process that last took a run folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nothing is known: it is on another machine, or the system does not tell.
    Unknown,
    /// It lives, on this machine.
    Alive,
    /// It was on this machine, and is gone.
    Gone,
}

/// This process: the machine since its last start, which processes it sees (those of two containers do not see each
/// other), its number and when it began. Empty where the system does not tell.
pub(crate) fn sign() -> String {
    let process = std::process::id();
    match (place(), began(process)) {
        (Some(place), Some(began)) => format!("{place} {process} {began}\n"),
        _ => String::new(),
    }
}

/// The process that last took a folder. Nothing is locked or written.
pub fn owner(dir: &Path) -> Owner {
    let said = fs::read_to_string(dir.join(LOCK)).unwrap_or_default();
    let words: Vec<&str> = said.split_whitespace().collect();
    let [boot, space, process, at] = words[..] else {
        return Owner::Unknown;
    };
    if place() != Some(format!("{boot} {space}")) {
        return Owner::Unknown;
    }
    let lives = process.parse().ok().and_then(began).as_deref() == Some(at);
    if lives { Owner::Alive } else { Owner::Gone }
}

fn place() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

/// When a process began, in ticks since the machine's start; none where it is gone. One that ended and was not yet
/// waited for is gone too.
fn began(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name, the second field, may hold blanks and brackets; then come the state and, as the 22nd, the start.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (!["Z", "X"].contains(&state)).then(|| start.to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_one_that_is_gone_and_one_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            fs::write(dir.path().join(LOCK), text).unwrap();
            owner(dir.path())
        };
        assert_eq!(owner(dir.path()), Owner::Unknown);
        assert_eq!(of(""), Owner::Unknown);
        let own = sign();
        assert_eq!(of(&own), Owner::Alive);
        let words: Vec<&str> = own.split_whitespace().collect();
        // Another that got the same number later, and a number that nobody has.
        let later = format!("{} {} {} 1\n", words[0], words[1], words[2]);
        assert_eq!(of(&later), Owner::Gone);
        let nobody = format!("{} {} 4000000000 {}\n", words[0], words[1], words[3]);
        assert_eq!(of(&nobody), Owner::Gone);
        let elsewhere = own.replacen(&words[0][..8], "00000000", 1);
        assert_eq!(of(&elsewhere), Owner::Unknown);
    }
}

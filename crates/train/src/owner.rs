//! Which process trains in a run folder, as that process wrote into the lock file. `verdict watch` uses it to
//! distinguish a process that has ended from one on another machine. The lock alone does not suffice, because not
//! every file system shows who holds it.

use std::fs;
use std::path::Path;

/// The lock file in a run folder.
pub(crate) const LOCK: &str = ".lock";

/// The process that last locked a run folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nothing is known: it is on another machine, or the system provides no information.
    Unknown,
    /// It is running on this machine.
    Alive,
    /// It ran on this machine and has ended.
    Gone,
}

/// Identifies this process: boot id and PID namespace (two containers do not see each other's processes), process id
/// and start time. Empty where the system provides no such information.
pub(crate) fn signature() -> String {
    let process = std::process::id();
    match (namespace(), start_time(process)) {
        (Some(namespace), Some(start)) => format!("{namespace} {process} {start}\n"),
        _ => String::new(),
    }
}

/// The process that last locked a folder. Nothing is locked or written.
pub fn owner(dir: &Path) -> Owner {
    let text = fs::read_to_string(dir.join(LOCK)).unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let [boot, namespace_id, process, start] = words[..] else {
        return Owner::Unknown;
    };
    if namespace() != Some(format!("{boot} {namespace_id}")) {
        return Owner::Unknown;
    }
    let current = process.parse().ok().and_then(start_time);
    match current.as_deref() == Some(start) {
        true => Owner::Alive,
        false => Owner::Gone,
    }
}

/// The boot id and the PID namespace of this process.
fn namespace() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

/// Start time of a process in clock ticks since boot; `None` where it has ended. A zombie has ended too.
fn start_time(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name, the second field, may contain blanks and parentheses. The third field is the state, the
    // 22nd the start time.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (!["Z", "X"].contains(&state)).then(|| start.to_owned())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_one_that_has_ended_and_one_elsewhere_are_distinguished() {
        let dir = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            fs::write(dir.path().join(LOCK), text).unwrap();
            owner(dir.path())
        };
        assert_eq!(owner(dir.path()), Owner::Unknown);
        assert_eq!(of(""), Owner::Unknown);
        let own = signature();
        assert_eq!(of(&own), Owner::Alive);
        let words: Vec<&str> = own.split_whitespace().collect();
        // A later process with the same id, and an id that no process has.
        let later = format!("{} {} {} 1\n", words[0], words[1], words[2]);
        assert_eq!(of(&later), Owner::Gone);
        let nobody = format!("{} {} 4000000000 {}\n", words[0], words[1], words[3]);
        assert_eq!(of(&nobody), Owner::Gone);
        let elsewhere = own.replacen(&words[0][..8], "00000000", 1);
        assert_eq!(of(&elsewhere), Owner::Unknown);
    }
}

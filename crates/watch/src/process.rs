//! The process that trains, if it runs on this machine: the one that holds the run folder's lock.
//!
//! Linux lists all locks in `/proc/locks`. The lock itself is never taken: holding it, however briefly, could disturb a
//! process that starts to train. On other systems, and for a process on another machine, nothing is known.

use std::path::Path;

/// The process that holds an exclusive lock on a file; `None` if there is none or it cannot be determined.
#[cfg(target_os = "linux")]
pub fn holder(lock: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = std::fs::metadata(lock).ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let held = locks.lines().filter_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 24991 fe:00:6332460 0 EOF`; a waiting one has `->` after the number.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = words[..] else {
            return None;
        };
        let same = place.rsplit(':').next() == Some(&inode);
        same.then(|| pid.parse().ok()).flatten()
    });
    // The listed device is not always that of the file (overlays, Btrfs), so the open files of the process are checked.
    let mut held = held.filter(|pid| *pid > 0);
    held.find(|pid| opened(*pid, lock).unwrap_or(true))
}

/// Unknown on this system.
#[cfg(not(target_os = "linux"))]
pub fn holder(_: &Path) -> Option<u32> {
    None
}

/// Whether a process has the file open; `None` if its files may not be listed.
#[cfg(target_os = "linux")]
fn opened(pid: u32, file: &Path) -> Option<bool> {
    let file = file.canonicalize().ok()?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut names = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    Some(names.any(|name| name == file))
}

/// Resident memory of a process in bytes; `None` if it has ended or the system does not provide it.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_and_the_lock_stays_free() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(".lock");
        assert_eq!(holder(&path), None);
        let file = File::create(&path).expect("made");
        assert_eq!(holder(&path), None);
        file.lock().expect("locked");
        assert_eq!(holder(&path), Some(std::process::id()));
        file.unlock().expect("free");
        assert_eq!(holder(&path), None);
        // Readers take shared locks.
        file.lock_shared().expect("locked");
        assert_eq!(holder(&path), None);
    }

    #[test]
    fn this_process_has_memory_and_a_nonexistent_one_has_none() {
        let bytes = resident_bytes(std::process::id()).expect("available on Linux");
        assert!((1 << 20..1 << 36).contains(&bytes), "{bytes}");
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}

//! The process that trains, where it runs on this machine: who holds the run folder's lock.
//!
//! Linux lists all locks in `/proc/locks`. The lock itself is never tried: holding it, however briefly, could get into
//! the way of a process that begins to train. Elsewhere, and for a process on another machine, nothing is known.

use std::path::Path;

/// The process that holds an exclusive lock on a file; none where nobody does, or the system does not tell.
#[cfg(target_os = "linux")]
pub fn holder(lock: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let inode = std::fs::metadata(lock).ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let held = locks.lines().filter_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 24991 fe:00:6332460 0 EOF`; one that waits has `->` after the number.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = words[..] else {
            return None;
        };
        let same = place.rsplit(':').next() == Some(&inode);
        same.then(|| pid.parse().ok()).flatten()
    });
    // The device in the list is not always the one that a file tells (overlays, Btrfs): what the process has open is.
    let mut held = held.filter(|pid| *pid > 0);
    held.find(|pid| opened(*pid, lock).unwrap_or(true))
}

/// As on Linux, where nothing tells.
#[cfg(not(target_os = "linux"))]
pub fn holder(_: &Path) -> Option<u32> {
    None
}

/// Whether a process has the file open; none where its files may not be seen.
#[cfg(target_os = "linux")]
fn opened(pid: u32, file: &Path) -> Option<bool> {
    let file = file.canonicalize().ok()?;
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut names = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    Some(names.any(|name| name == file))
}

/// Bytes of memory that a process holds now; none where it is gone or the system does not tell.
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
        // A shared lock is a reader's.
        file.lock_shared().expect("locked");
        assert_eq!(holder(&path), None);
    }

    #[test]
    fn this_process_holds_memory_and_a_process_that_is_gone_none() {
        let bytes = resident_bytes(std::process::id()).expect("Linux tells");
        assert!((1 << 20..1 << 36).contains(&bytes), "{bytes}");
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}

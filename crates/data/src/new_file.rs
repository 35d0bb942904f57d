//! Files that are written beside their place and moved there when they are whole.

use std::path::Path;

use tempfile::NamedTempFile;

/// A temporary file in a folder with the rights that any other new file has there (0666 less the umask); a temporary
/// file's own are its owner's alone, which reports and cards that are shared must not keep.
///
/// # Errors
/// As the system says.
pub fn new_file_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_has_the_rights_of_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, "").unwrap();
        let path = folder.path().join("report");
        new_file_in(folder.path()).unwrap().persist(&path).unwrap();
        let rights = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(rights(&path), rights(&other));
    }
}

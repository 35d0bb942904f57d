//! What the fuzz targets do with their bytes.

use verdict_data::{Balance, BuildSettings, Source, rows, verify};

/// Reads the bytes as a file of a source. It may refuse them; it may not panic.
pub fn read(kind: &str, ending: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("file.{ending}"));
    std::fs::write(&path, bytes).expect("written");
    let source = format!("{kind}:{}", path.display());
    let _ = rows(&source.parse().expect("a source"), 1, true);
}

/// Builds a set from JSON lines; what is built must hold.
pub fn build(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, bytes).expect("written");
    let mut settings = BuildSettings::new([Source::Jsonl(path)], folder.path().join("set"));
    settings.balance = Balance::Natural;
    settings.protect = Vec::new();
    if verdict_data::build(&settings).is_ok() {
        verify(&settings.out).expect("a set that was built holds");
    }
}

//! Which files a folder of PubMed means and in which order, and what is recorded of a file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ::md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use verdict_common::hash::hex;

use super::md5;
use crate::{Error, Result};

/// Bytes read at once.
const BUFFER: usize = 1 << 18;

/// One file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name without folder.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// Hash of the bytes, hexadecimal.
    pub sha256: String,
    /// Whether it was compared with an MD5 sum; of PubMed's files only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<Md5Check>,
}

/// Whether a file was compared with the MD5 sum that NLM publishes beside it. A sum that differs is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Md5Check {
    /// The sum is that of the file.
    Matches,
    /// No sum lies beside the file.
    Missing,
}

impl From<verdict_data::manifest::FileRecord> for FileRecord {
    fn from(record: verdict_data::manifest::FileRecord) -> FileRecord {
        FileRecord {
            name: record.name,
            bytes: record.bytes,
            sha256: record.sha256,
            md5: None,
        }
    }
}

/// The record of a PubMed file, compared with the MD5 sum beside it where there is one. Reads the file once.
///
/// # Errors
/// [`Error::Io`], [`Error::Digest`] where the sum is another, and [`Error::Field`] for a file of sums that holds none.
pub fn file_record(path: &Path) -> Result<FileRecord> {
    let published = md5::beside(path)?;
    let mut file = File::open(path).map_err(Error::io(path))?;
    let (mut sha256, mut sum, mut bytes) = (Sha256::new(), Md5::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io(path)(error)),
        };
        sha256.update(&buffer[..read]);
        if published.is_some() {
            sum.update(&buffer[..read]);
        }
        bytes += read as u64;
    }
    let check = match published {
        None => Md5Check::Missing,
        Some(expected) => {
            let found = hex(&sum.finalize());
            if found != expected {
                return Err(Error::Digest {
                    path: path.to_owned(),
                    expected,
                    found,
                });
            }
            Md5Check::Matches
        }
    };
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok(FileRecord {
        name: name.to_string_lossy().into_owned(),
        bytes,
        sha256: hex(&sha256.finalize()),
        md5: Some(check),
    })
}

/// The PubMed files that a path means, in the order in which they apply.
pub(super) fn pubmed(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for folder in [
        path.to_owned(),
        path.join("baseline"),
        path.join("updatefiles"),
    ] {
        if folder.is_dir() {
            add(&folder, &mut files)?;
        }
    }
    files.sort_by_cached_key(|path| order(path));
    match files.is_empty() {
        true => Err(Error::NoFiles {
            path: path.to_owned(),
            expected: "PubMed files (*.xml.gz, *.xml)",
        }),
        false => Ok(files),
    }
}

fn add(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let file = entry.map_err(Error::io(folder))?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_ascii_lowercase();
        if (name.ends_with(".xml") || name.ends_with(".xml.gz")) && file.is_file() {
            files.push(file);
        }
    }
    Ok(())
}

/// The place of a file: NLM's by year and number, which continues from the baseline to the updates
/// (`pubmed25n1274.xml.gz`, `pubmed25n1275.xml.gz`), then others by their names.
fn order(path: &Path) -> (bool, u32, u64, PathBuf) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = || {
        let (year, rest) = name.strip_prefix("pubmed")?.split_once('n')?;
        let (number, _) = rest.split_once('.')?;
        Some((year.parse().ok()?, number.parse().ok()?))
    };
    match number() {
        Some((year, number)) => (false, year, number, path.to_owned()),
        None => (true, 0, 0, path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{order, pubmed};

    #[test]
    fn files_apply_by_year_and_number() {
        let mut files: Vec<PathBuf> = [
            "found.xml",
            "a/pubmed25n9999.xml.gz",
            "u/pubmed25n10000.xml.gz",
            "pubmed24n1500.xml.gz",
            "b/pubmed25n0001.xml",
        ]
        .map(PathBuf::from)
        .to_vec();
        files.sort_by_key(|path| order(path));
        let names: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
        assert_eq!(
            names,
            [
                "pubmed24n1500.xml.gz",
                "b/pubmed25n0001.xml",
                "a/pubmed25n9999.xml.gz",
                "u/pubmed25n10000.xml.gz",
                "found.xml"
            ]
        );
    }

    #[test]
    fn a_mirror_of_nlm_is_read_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let touch = |name: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
            std::fs::write(file, "").expect("written");
        };
        let error = pubmed(folder.path()).expect_err("empty").to_string();
        let expected = "expected PubMed files (*.xml.gz, *.xml), found none";
        assert_eq!(error, format!("{}: {expected}", folder.path().display()));
        touch("updatefiles/pubmed25n1275.xml.gz");
        touch("updatefiles/pubmed25n1275.xml.gz.md5");
        touch("updatefiles/pubmed25n1275_stats.html");
        touch("baseline/pubmed25n1274.xml.gz");
        touch("other/pubmed25n0001.xml.gz");
        let files = pubmed(folder.path()).expect("files");
        let names: Vec<&Path> = files
            .iter()
            .map(|file| file.strip_prefix(folder.path()).expect("within"))
            .collect();
        assert_eq!(
            names,
            [
                Path::new("baseline/pubmed25n1274.xml.gz"),
                Path::new("updatefiles/pubmed25n1275.xml.gz")
            ]
        );
    }
}

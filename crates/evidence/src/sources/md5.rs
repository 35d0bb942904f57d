//! The MD5 sum that lies beside a file, as NLM writes it (`MD5(pubmed25n0001.xml.gz)= d41d8…`) or as md5sum does
//! (`d41d8…  pubmed25n0001.xml.gz`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The sum in `FILE.md5`, in lower case; none where that file is missing.
pub(super) fn beside(path: &Path) -> Result<Option<String>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".md5");
    let sums = PathBuf::from(name);
    let text = match std::fs::read_to_string(&sums) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(sums)(error)),
    };
    match sum(&text) {
        Some(sum) => Ok(Some(sum.to_ascii_lowercase())),
        None => Err(Error::Field {
            path: sums,
            place: "line 1".into(),
            expected: "an MD5 sum of 32 hexadecimal digits, as \"MD5(FILE)= SUM\" or \"SUM  FILE\""
                .into(),
            found: match text.lines().next().map(str::trim) {
                None | Some("") => "nothing".into(),
                Some(line) => format!("{:?}", line.chars().take(80).collect::<String>()),
            },
        }),
    }
}

fn sum(text: &str) -> Option<&str> {
    let line = text.lines().next()?.trim();
    let sum = match line.rsplit_once(")=") {
        Some((_, sum)) => sum.trim(),
        None => line.split_whitespace().next()?,
    };
    let digits = sum.len() == 32 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn both_forms_are_read() {
        const SUM: &str = "d41d8cd98f00b204e9800998ecf8427e";
        for text in [
            format!("MD5(pubmed25n0001.xml.gz)= {SUM}\n"),
            format!("MD5 (pubmed25n0001.xml.gz) = {SUM}").replace(") =", ")="),
            format!("{SUM}  pubmed25n0001.xml.gz\n"),
            format!("{SUM}\n"),
        ] {
            assert_eq!(sum(&text), Some(SUM), "{text}");
        }
        for text in ["", "\n", "<html>", "MD5(a)= d41d8", &format!("{SUM}0")] {
            assert_eq!(sum(text), None, "{text}");
        }
    }
}

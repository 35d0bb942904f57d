//! The token sequences for measurements: from a file, or with lengths like those of the 330-question data set.

use std::path::Path;

use serde_json::Value;

use crate::failure::{Failure, Result};

/// An example as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Prompt and completion.
    pub ids: Vec<u32>,
    /// Index of the completion's first token, from 1 to below the number of tokens.
    pub prompt: usize,
}

/// The list `split` ("train" or "test") of a file `{"train": [{"ids", "n_prompt"}], "test": […]}`;
/// ids are taken modulo the vocabulary, since speed does not depend on them.
pub fn read(path: &Path, split: &str, vocabulary: usize) -> Result<Vec<Sequence>> {
    let bad = |what: String| Failure::input(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|fault| bad(fault.to_string()))?;
    let json: Value = serde_json::from_str(&text).map_err(|fault| bad(fault.to_string()))?;
    let list = json[split].as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| bad(format!("expected a list `{split}`")))?;
    let modulo = |id: &Value| Some((id.as_u64()? % vocabulary as u64) as u32);
    let sequence = |(place, row): (usize, &Value)| {
        let ids = row["ids"].as_array().filter(|ids| ids.len() > 1);
        let ids =
            ids.ok_or_else(|| bad(format!("{split}[{place}]: expected two or more `ids`")))?;
        let ids: Option<Vec<u32>> = ids.iter().map(modulo).collect();
        let ids =
            ids.ok_or_else(|| bad(format!("{split}[{place}].ids: expected whole numbers")))?;
        let prompt = row["n_prompt"].as_u64().unwrap_or(1) as usize;
        Ok(Sequence {
            prompt: prompt.clamp(1, ids.len() - 1),
            ids,
        })
    };
    list.iter().enumerate().map(sequence).collect()
}

/// 264 sequences of 20 to 127 tokens, mean 53, spread evenly over the list; half of each is prompt.
pub fn train_like(vocabulary: usize) -> Vec<Sequence> {
    let sequence = |i: u64| {
        let length = 20 + (i * 37 % 66) + if i.is_multiple_of(16) { 41 } else { 0 };
        let id = |j: u64| ((((i * 131 + j) * 2_654_435_761) >> 7) % vocabulary as u64) as u32;
        Sequence {
            ids: (0..length).map(id).collect(),
            prompt: length as usize / 2,
        }
    };
    (0..264).map(sequence).collect()
}

/// `count` prompts of `length` tokens.
pub fn prompts(count: u32, length: u32, vocabulary: usize) -> Vec<Vec<u32>> {
    let id = |seed: u32, i: u32| {
        let name = u64::from(seed) * 7_919 + u64::from(i) * 104_729;
        (name % vocabulary as u64) as u32
    };
    (0..count)
        .map(|seed| (0..length).map(|i| id(seed, i)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn a_file_is_read_split_by_split() {
        let file =
            file(r#"{"train": [{"ids": [1, 2, 700], "n_prompt": 2}], "test": [{"ids": [5, 6]}]}"#);
        let of = |split| read(file.path(), split, 500).expect("good");
        assert_eq!(
            of("train"),
            [Sequence {
                ids: vec![1, 2, 200],
                prompt: 2
            }]
        );
        assert_eq!(
            of("test"),
            [Sequence {
                ids: vec![5, 6],
                prompt: 1
            }]
        );
    }

    #[test]
    fn faults_of_a_file_name_their_position() {
        for (text, expected) in [
            (r#"{"train": []}"#, "FILE: expected a list `train`"),
            (
                r#"{"train": [{"ids": [1, 2]}, {"ids": [1]}]}"#,
                "FILE: train[1]: expected two or more `ids`",
            ),
            (
                r#"{"train": [{"ids": [1, "a"]}]}"#,
                "FILE: train[0].ids: expected whole numbers",
            ),
        ] {
            let file = file(text);
            let failure = read(file.path(), "train", 500).expect_err("broken");
            let path = file.path().display().to_string();
            assert_eq!(failure.faults[0].replace(&path, "FILE"), expected);
        }
    }

    #[test]
    fn lengths_are_those_of_the_data_set() {
        let sequences = train_like(49_152);
        let lengths: Vec<usize> = sequences.iter().map(|s| s.ids.len()).collect();
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        assert_eq!(lengths.len(), 264);
        assert!((mean - 53.0).abs() < 3.0, "{mean}");
        assert!(lengths.iter().all(|length| (20..=127).contains(length)));
    }
}

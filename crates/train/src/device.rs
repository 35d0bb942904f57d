//! Where a run computes: the words of `--device`. What the machine has is not asked here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What `--device` (or the key `device`) asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where it can be used, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// These GPUs, by the driver's numbers: at least one, each once.
    Cuda(Vec<usize>),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "expected auto, cpu, or cuda: and the numbers of GPUs, each once (cuda:0 or cuda:0,1), found {text}"
            )
        };
        match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            // As PyTorch's programs say it: the first GPU.
            "cuda" | "gpu" => return Ok(Self::Cuda(vec![0])),
            _ => {}
        }
        let numbers = text.strip_prefix("cuda:").ok_or_else(unknown)?;
        let mut found = Vec::new();
        for number in numbers.split(',') {
            // Digits alone: `parse` would take `+1`.
            let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|_| plain);
            let number = number.filter(|number| !found.contains(number));
            found.push(number.ok_or_else(unknown)?);
        }
        Ok(Self::Cuda(found))
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
                write!(f, "cuda:{}", numbers.join(","))
            }
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_the_same() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda:0", DeviceChoice::Cuda(vec![0])),
            ("cuda:3,1,12", DeviceChoice::Cuda(vec![3, 1, 12])),
        ] {
            assert_eq!(text.parse(), Ok(choice.clone()));
            assert_eq!(choice.to_string(), text);
        }
    }

    #[test]
    fn pytorchs_words_mean_the_first_gpu() {
        for text in ["cuda", "gpu"] {
            let read = text.parse::<DeviceChoice>();
            assert_eq!(read.map(|of| of.to_string()), Ok("cuda:0".to_owned()));
        }
    }

    #[test]
    fn anything_else_is_told_with_what_was_expected() {
        for text in [
            "gpus", "gpu:0", "cuda:", "cuda:a", "cuda:+1", "cuda:0,", "cuda:0,0", "cuda:-1", "CPU",
            "",
        ] {
            assert_eq!(
                text.parse::<DeviceChoice>(),
                Err(format!(
                    "expected auto, cpu, or cuda: and the numbers of GPUs, each once (cuda:0 or cuda:0,1), found {text}"
                )),
            );
        }
    }
}

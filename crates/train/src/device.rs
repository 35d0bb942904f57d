//! The device of a run: the values of `--device`. Whether the machine has that device is not checked here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The device requested by `--device` or the key `device`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU if one can be used, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// These GPUs, by the driver's indices: at least one, each once.
    Cuda(Vec<usize>),
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected auto, cpu, or cuda: followed by GPU numbers, each once (cuda:0 or cuda:0,1), found {found}"
)]
pub struct UnknownDevice {
    /// The text.
    pub found: String,
}

impl FromStr for DeviceChoice {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let unknown = || UnknownDevice {
            found: text.to_owned(),
        };
        match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            // PyTorch's names for the first GPU.
            "cuda" | "gpu" => return Ok(Self::Cuda(vec![0])),
            _ => {}
        }
        let numbers = text.strip_prefix("cuda:").ok_or_else(unknown)?;
        let mut found = Vec::new();
        for number in numbers.split(',') {
            // Only digits: `parse` would take `+1`.
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
    fn every_form_round_trips() {
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
    fn pytorchs_names_mean_the_first_gpu() {
        for text in ["cuda", "gpu"] {
            let read = text.parse::<DeviceChoice>();
            assert_eq!(read.map(|of| of.to_string()), Ok("cuda:0".to_owned()));
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_was_expected() {
        for text in [
            "gpus", "gpu:0", "cuda:", "cuda:a", "cuda:+1", "cuda:0,", "cuda:0,0", "cuda:-1", "CPU",
            "",
        ] {
            assert_eq!(
                text.parse::<DeviceChoice>(),
                Err(UnknownDevice {
                    found: text.to_owned()
                }),
            );
        }
    }
}

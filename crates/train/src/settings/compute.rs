//! The setting `compute`: a compute dtype by its name, or `auto` where the device decides.

use serde::{Deserialize, Deserializer, Serializer};
use verdict_model::{ComputeDtype, UnknownName};

/// A compute dtype; none leaves it to the device: bf16 where it has bf16 products, else f32.
pub type ComputeSetting = Option<ComputeDtype>;

/// What the setting is written as where the device decides.
const AUTO: &str = "auto";

/// Every name that the setting takes. Training has no integer products.
pub const NAMES: &[&str] = &[AUTO, "bf16", "f32"];

/// Every name that answering takes.
pub const ANSWERING_NAMES: &[&str] = &[AUTO, "bf16", "f32", "int16"];

/// Reads the setting.
///
/// # Errors
/// A name that is none of [`NAMES`].
pub fn parse(text: &str) -> Result<ComputeSetting, UnknownName> {
    parse_one_of(NAMES, text)
}

/// Reads the setting of a command that answers.
///
/// # Errors
/// A name that is none of [`ANSWERING_NAMES`].
pub fn parse_for_answering(text: &str) -> Result<ComputeSetting, UnknownName> {
    parse_one_of(ANSWERING_NAMES, text)
}

fn parse_one_of(
    expected: &'static [&'static str],
    text: &str,
) -> Result<ComputeSetting, UnknownName> {
    let unknown = || UnknownName {
        expected,
        found: text.to_owned(),
    };
    match text {
        AUTO => Ok(None),
        _ if expected.contains(&text) => text.parse().map(Some).map_err(|_| unknown()),
        _ => Err(unknown()),
    }
}

/// The setting's name.
pub fn name(compute: ComputeSetting) -> &'static str {
    compute.map_or(AUTO, ComputeDtype::name)
}

/// For `#[serde(with = "compute")]`.
pub(crate) fn serialize<S: Serializer>(
    compute: &ComputeSetting,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name(*compute))
}

/// For `#[serde(with = "compute")]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ComputeSetting, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for given in NAMES {
            assert_eq!(name(parse(given).expect("a known name")), *given);
        }
        for given in ANSWERING_NAMES {
            assert_eq!(name(parse_for_answering(given).expect("known")), *given);
        }
        insta::assert_snapshot!(parse("int16").unwrap_err(), @"expected one of auto, bf16, f32, found int16");
        let mut all = ComputeDtype::NAMES.iter();
        assert!(
            all.all(|name| ANSWERING_NAMES.contains(name)),
            "a compute dtype is missing from the setting"
        );
        insta::assert_snapshot!(parse("f16").unwrap_err(), @"expected one of auto, bf16, f32, found f16");
    }
}

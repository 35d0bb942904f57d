//! The number formats of the frozen base model and of the matrix products, with the names that
//! command-line flags, settings files and reports use for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the frozen weights of the base model are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BaseQuantization {
    /// One signed byte per weight, one f32 scale per output row: `w ≈ q · max|row| / 127`.
    Int8,
    /// Rounded to bfloat16.
    Bf16,
    /// 32-bit floats, as given. CPU only.
    F32,
    /// 8-bit floats (e4m3), one scale per output row, multiplied without unpacking. Needs a GPU of
    /// compute capability 9.0.
    Fp8,
    /// 4-bit normal floats, one f32 scale per 64 weights of a row, as in QLoRA. Needs a GPU.
    Nf4,
}

/// Number format of the operands of matrix products. Sums are f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComputeDtype {
    /// bfloat16, rounded to nearest even. On a CPU it needs AVX-512 BF16 or AMX.
    Bf16,
    /// 32-bit floats with fused multiply-add. CPU only.
    F32,
    /// Activations of 16 bits, one scale for every 32 of a row, times int8 weights, with sums in i32 and f32. For
    /// answering on a CPU with an int8 base; adapters are multiplied in f32.
    Int16,
}

/// A name that is none of the expected ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}, found {found}", expected.join(", "))]
pub struct UnknownName {
    /// The names that are known.
    pub expected: &'static [&'static str],
    /// What was given.
    pub found: String,
}

/// Gives an enum its names: `NAMES`, `name`, `Display`, `FromStr` and the same text in serde.
macro_rules! names {
    ($type:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every variant's name.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The name in flags, settings and reports.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownName {
                        expected: Self::NAMES,
                        found: text.to_owned(),
                    }),
                }
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

names!(BaseQuantization {
    Int8 = "int8",
    Bf16 = "bf16",
    F32 = "f32",
    Fp8 = "fp8",
    Nf4 = "nf4",
});

names!(ComputeDtype {
    Bf16 = "bf16",
    F32 = "f32",
    Int16 = "int16",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_printed() {
        for name in BaseQuantization::NAMES {
            let base: BaseQuantization = name.parse().expect("a known name");
            assert_eq!(base.to_string(), *name);
        }
        for name in ComputeDtype::NAMES {
            let compute: ComputeDtype = name.parse().expect("a known name");
            assert_eq!(compute.to_string(), *name);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = "int4".parse::<BaseQuantization>().expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "expected one of int8, bf16, f32, fp8, nf4, found int4"
        );
    }
}

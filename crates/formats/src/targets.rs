//! Which modules of a base model a LoRA adapter adapts, by PEFT's rules
//! (`peft.tuners.tuners_utils.check_target_module_exists`).

use crate::error::{Error, Result};
use fancy_regex::Regex;
use serde_json::{Map, Value, json};
use std::path::Path;

/// PEFT's word for every linear layer but the head.
const ALL_LINEAR: &str = "all-linear";
/// Name of the list of layers in every family that Verdict runs.
const LAYERS: &str = "layers";

/// The modules that an adapter adapts: `target_modules`, `exclude_modules`, `layers_to_transform` and
/// `layers_pattern` of `adapter_config.json`.
#[derive(Clone, Debug)]
pub struct Targets {
    include: Names,
    exclude: Option<Names>,
    layers: Option<Vec<usize>>,
    layers_patterns: Vec<String>,
}

#[derive(Clone, Debug)]
enum Names {
    /// Whole names, or their last parts.
    List(Vec<String>),
    /// A regular expression for the whole name, with its text.
    Pattern(String, Box<Regex>),
    AllLinear,
}

impl PartialEq for Targets {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &Self| (of.include.json(), of.exclude.as_ref().map(Names::json));
        parts(self) == parts(other)
            && self.layers == other.layers
            && self.layers_patterns == other.layers_patterns
    }
}

impl Targets {
    /// Modules by their last names (`q_proj`), in every layer.
    pub fn of<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Targets {
        Targets {
            include: Names::List(names.into_iter().map(Into::into).collect()),
            exclude: None,
            layers: None,
            layers_patterns: Vec::new(),
        }
    }

    /// Every linear layer but the head.
    pub fn all_linear() -> Targets {
        Targets {
            include: Names::AllLinear,
            ..Targets::of::<String>([])
        }
    }

    /// Whether the adapter adapts this linear layer of the base: `model.layers.0.self_attn.q_proj`.
    pub fn includes(&self, module: &str) -> bool {
        if self.exclude.as_ref().is_some_and(|names| names.has(module)) || !self.include.has(module)
        {
            return false;
        }
        match (&self.include, &self.layers) {
            (Names::List(names), Some(layers)) if !names.iter().any(|name| name == module) => {
                let named = |pattern: &String| pattern == LAYERS;
                let ours =
                    self.layers_patterns.is_empty() || self.layers_patterns.iter().any(named);
                ours && layer(module).is_some_and(|number| layers.contains(&number))
            }
            _ => true,
        }
    }

    /// Reads the four keys.
    pub(crate) fn parse(path: &Path, map: &Map<String, Value>) -> Result<Targets> {
        let given = |key: &str| map.get(key).filter(|value| !value.is_null());
        let bad = |key: &str, expected: &str| {
            let found = given(key).map_or("nothing".to_string(), Value::to_string);
            Error::bad_value(path, key, expected, found)
        };
        let names = |key: &str| match given(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.eq_ignore_ascii_case(ALL_LINEAR) => {
                Ok(Some(Names::AllLinear))
            }
            // PEFT takes a pattern for the whole name (`re.fullmatch`).
            Some(Value::String(text)) => match Regex::new(&format!(r"\A(?:{text})\z")) {
                Ok(pattern) => Ok(Some(Names::Pattern(text.clone(), Box::new(pattern)))),
                Err(_) => Err(bad(key, "a list of module names or a regular expression")),
            },
            Some(list) => match texts(list) {
                Some(names) => Ok(Some(Names::List(names))),
                None => Err(bad(key, "a list of module names")),
            },
        };
        let layers = match given("layers_to_transform") {
            None => None,
            Some(value) => {
                let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
                let numbers = match value {
                    Value::Array(items) => items.iter().map(number).collect(),
                    one => number(one).map(|number| vec![number]),
                };
                Some(numbers.ok_or_else(|| {
                    bad("layers_to_transform", "a layer's number or a list of them")
                })?)
            }
        };
        let layers_patterns = match given("layers_pattern") {
            None => Vec::new(),
            Some(Value::String(text)) => vec![text.clone()],
            Some(list) => {
                texts(list).ok_or_else(|| bad("layers_pattern", "a name or a list of names"))?
            }
        };
        Ok(Targets {
            include: names("target_modules")?.unwrap_or(Names::List(Vec::new())),
            exclude: names("exclude_modules")?,
            layers: layers.filter(|layers| !layers.is_empty()),
            layers_patterns,
        })
    }

    /// Puts in what is more than a list of names.
    pub(crate) fn write(&self, map: &mut Value) {
        if !matches!(self.include, Names::List(_)) {
            map["target_modules"] = self.include.json();
        }
        if let Some(exclude) = &self.exclude {
            map["exclude_modules"] = exclude.json();
        }
        if let Some(layers) = &self.layers {
            map["layers_to_transform"] = json!(layers);
            if !self.layers_patterns.is_empty() {
                map["layers_pattern"] = json!(self.layers_patterns);
            }
        }
    }
}

impl Names {
    fn has(&self, module: &str) -> bool {
        match self {
            Names::List(names) => names.iter().any(|name| {
                module
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
            Names::Pattern(_, pattern) => pattern.is_match(module).unwrap_or(false),
            Names::AllLinear => true,
        }
    }

    fn json(&self) -> Value {
        match self {
            Names::List(names) => {
                let mut names = names.clone();
                names.sort_unstable();
                json!(names)
            }
            Names::Pattern(text, _) => json!(text),
            Names::AllLinear => json!(ALL_LINEAR),
        }
    }
}

fn texts(list: &Value) -> Option<Vec<String>> {
    let items = list.as_array()?.iter();
    items.map(|v| v.as_str().map(str::to_string)).collect()
}

/// Number of a module's layer.
fn layer(module: &str) -> Option<usize> {
    let rest = module.strip_prefix("model.layers.")?;
    rest.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values: `peft.tuners.tuners_utils.check_target_module_exists` of PEFT 0.21 for these keys.
    #[test]
    fn modules_are_found_as_peft_finds_them() {
        let parts = ["self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"];
        for (keys, expected) in [
            (json!({"target_modules": ["q_proj"]}), "100 100 100"),
            (json!({"target_modules": ["proj"]}), "000 000 000"),
            (
                json!({"target_modules": ["self_attn.v_proj", "up_proj"]}),
                "011 011 011",
            ),
            (
                json!({"target_modules": ["model.layers.1.mlp.up_proj"]}),
                "000 001 000",
            ),
            (json!({"target_modules": "all-linear"}), "111 111 111"),
            (
                json!({"target_modules": r".*\.[01]\..*(q|v)_proj"}),
                "110 110 000",
            ),
            (
                json!({"target_modules": r"(?!.*up_proj).*_proj"}),
                "110 110 110",
            ),
            (json!({"target_modules": "q_proj"}), "000 000 000"),
            (
                json!({"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [0, 2]}),
                "110 000 110",
            ),
            (
                json!({"target_modules": ["q_proj"], "layers_to_transform": 1, "layers_pattern": "layers"}),
                "000 100 000",
            ),
            (
                json!({"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h"]}),
                "000 000 000",
            ),
            (
                json!({"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["v_proj"]}),
                "100 100 100",
            ),
            (
                json!({"target_modules": "all-linear", "exclude_modules": r".*\.2\..*"}),
                "111 111 000",
            ),
        ] {
            let Value::Object(map) = &keys else { panic!() };
            let targets = Targets::parse(Path::new("adapter_config.json"), map).unwrap();
            let found = (0..3).map(|layer| {
                let of = |part| targets.includes(&format!("model.layers.{layer}.{part}"));
                parts.map(|part| if of(part) { "1" } else { "0" }).concat()
            });
            assert_eq!(found.collect::<Vec<_>>().join(" "), expected, "{keys}");
            let mut written = json!({"target_modules": targets.include.json()});
            targets.write(&mut written);
            let Value::Object(map) = &written else {
                panic!()
            };
            let again = Targets::parse(Path::new("adapter_config.json"), map).unwrap();
            assert_eq!(again, targets, "{keys}");
        }
    }
}

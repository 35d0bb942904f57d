//! Recipes: settings of `verdict train` with a name, written as TOML with what each line is worth.

use std::str::FromStr;

/// A built-in settings file of `verdict train`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Its name.
    pub name: &'static str,
    /// The file.
    pub toml: &'static str,
}

impl Recipe {
    /// All recipes.
    pub const ALL: [Recipe; 2] = [
        Recipe {
            name: "best",
            toml: include_str!("recipes/best.toml"),
        },
        Recipe {
            name: "report",
            toml: include_str!("recipes/report.toml"),
        },
    ];
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|recipe| recipe.name == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(|recipe| recipe.name).join(", ");
            format!("expected one of {names}, found {name}")
        })
    }
}

//! Which publications of an index a search may find, as flags.

use std::ops::RangeInclusive;

use verdict_evidence::Filters;

/// The filters of a search.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FilterFlags {
    /// Only search publications of these years
    ///
    /// 2010-2020, 2010-, -2020 or 2015. A publication without a year is not found then.
    #[arg(long, value_name = "YEARS", value_parser = years, allow_hyphen_values = true)]
    pub years: Option<RangeInclusive<u16>>,
    /// Only search publications of this type; repeatable
    ///
    /// Any of the types given, as PubMed writes it: "Randomized Controlled Trial", "Meta-Analysis", "Review".
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only search publications with this MeSH heading; repeatable
    ///
    /// A publication has to have all of them.
    #[arg(long, value_name = "HEADING")]
    pub mesh: Vec<String>,
}

impl FilterFlags {
    /// The filters, without retracted publications.
    pub fn filters(&self) -> Filters {
        Filters {
            years: self.years.clone(),
            types: self.types.clone(),
            mesh: self.mesh.clone(),
            ..Filters::default()
        }
    }
}

/// Parses a range of years.
fn years(text: &str) -> Result<RangeInclusive<u16>, String> {
    let expected = || format!("expected years as 2010-2020, 2010-, -2020 or 2015, found {text:?}");
    let year = |text: &str| {
        let year = text.trim().parse::<u16>().ok();
        year.filter(|year| (1000..=2999).contains(year))
            .ok_or_else(expected)
    };
    let range = match text.split_once('-') {
        None => year(text)?..=year(text)?,
        Some(("", "")) => return Err(expected()),
        Some(("", to)) => 0..=year(to)?,
        Some((from, "")) => year(from)?..=u16::MAX,
        Some((from, to)) => year(from)?..=year(to)?,
    };
    match range.is_empty() {
        true => Err(format!("expected the earlier year first, found {text:?}")),
        false => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::years;

    #[test]
    fn years_are_ranges() {
        for (text, range) in [
            ("2010-2020", 2010..=2020),
            ("2010-", 2010..=u16::MAX),
            ("-2020", 0..=2020),
            ("2015", 2015..=2015),
        ] {
            assert_eq!(years(text), Ok(range), "{text}");
        }
        for text in ["", "-", "last", "15-20", "2020-2010", "2010-2020-2030"] {
            assert!(years(text).unwrap_err().contains("expected"), "{text}");
        }
    }
}

//! The families: one file for each subject, with its rule, its wordings and how their numbers are drawn.

mod absolute_risk;
mod analysis_set;
mod baseline;
mod confounding;
mod correlation;
mod difference;
mod endpoints;
mod hazard;
mod heterogeneity;
mod interim;
mod kappa;
mod likelihood;
mod multiplicity;
mod nnt;
mod non_inferiority;
mod p_value;
mod precision;
mod predictive_value;
mod ratio;
mod regression;
mod sample_size;
mod small_counts;
mod subgroup;
mod survival;

use crate::wording::Family;

/// Every family, in the order in which rows take turns.
pub(crate) static FAMILIES: &[&Family] = &[
    &ratio::FAMILY,
    &difference::FAMILY,
    &p_value::FAMILY,
    &predictive_value::FAMILY,
    &likelihood::FAMILY,
    &nnt::FAMILY,
    &non_inferiority::NON_INFERIORITY,
    &non_inferiority::EQUIVALENCE,
    &sample_size::SAMPLE_SIZE,
    &multiplicity::MULTIPLICITY,
    &subgroup::FAMILY,
    &endpoints::SURROGATE,
    &endpoints::COMPOSITE,
    &hazard::HAZARD,
    &hazard::CROSSING,
    &survival::MEDIAN,
    &survival::LEAD_TIME,
    &regression::FAMILY,
    &correlation::FAMILY,
    &confounding::FAMILY,
    &analysis_set::ANALYSIS_SET,
    &analysis_set::ATTRITION,
    &heterogeneity::HETEROGENEITY,
    &absolute_risk::ABSOLUTE,
    &absolute_risk::ODDS,
    &baseline::FAMILY,
    &precision::FAMILY,
    &interim::FAMILY,
    &small_counts::EXPECTED,
    &small_counts::DENOMINATOR,
    &heterogeneity::PREDICTION,
    &multiplicity::FALSE_DISCOVERY,
    &sample_size::EVENTS,
    &kappa::FAMILY,
];

//! The populations, treatments, outcomes and diseases that questions are about. Treatments are invented or general
//! ("drug A", "the new diuretic"), so that no invented result is attached to a real one. No name contains a digit: every
//! number in a question is one of its figures.

use crate::random::Random;

/// A field of medicine, from which whole scenes are drawn.
#[derive(Clone, Copy)]
struct Field {
    population: &'static str,
    treatments: &'static [&'static str],
    /// Harmful events, which a treatment should make rarer.
    events: &'static [&'static str],
    measures: &'static [Measure],
}

/// Something measured on a scale.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// Typical half width of a confidence interval, in its unit.
    pub(crate) width: f64,
    pub(crate) decimals: usize,
}

/// What one question is about.
pub(crate) struct Scene {
    pub(crate) population: &'static str,
    pub(crate) treatment: &'static str,
    pub(crate) comparator: &'static str,
    pub(crate) event: &'static str,
    /// Another event.
    pub(crate) other: &'static str,
    pub(crate) measure: Measure,
}

impl Scene {
    pub(crate) fn draw(random: &mut Random) -> Scene {
        let field = random.pick(FIELDS);
        let events = field.events;
        let event = random.whole(0, events.len() as u32 - 1) as usize;
        let step = random.whole(1, events.len() as u32 - 1) as usize;
        Scene {
            population: field.population,
            treatment: random.pick(field.treatments),
            comparator: random.pick(&["placebo", "usual care", "standard treatment"]),
            event: events[event],
            other: events[(event + step) % events.len()],
            measure: random.pick(field.measures),
        }
    }

    /// A scene about a disease with a substantial mortality.
    pub(crate) fn grave(random: &mut Random) -> Scene {
        loop {
            let scene = Scene::draw(random);
            if GRAVE.contains(&scene.population) {
                return scene;
            }
        }
    }

    /// The slots `population`, `treatment`, `comparator`, `event`, `other`, `what` (is measured) and
    /// its `unit`.
    pub(crate) fn slots(&self) -> Vec<(&'static str, String)> {
        vec![
            ("population", self.population.to_owned()),
            ("treatment", self.treatment.to_owned()),
            ("comparator", self.comparator.to_owned()),
            ("event", self.event.to_owned()),
            ("other", self.other.to_owned()),
            ("what", self.measure.name.to_owned()),
            ("unit", self.measure.unit.to_owned()),
        ]
    }
}

/// Something measured in everybody, with its usual mean and standard deviation.
#[derive(Clone, Copy)]
pub(crate) struct Marker {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    pub(crate) decimals: usize,
}

const fn marker(
    name: &'static str,
    unit: &'static str,
    mean: f64,
    deviation: f64,
    decimals: usize,
) -> Marker {
    Marker {
        name,
        unit,
        mean,
        deviation,
        decimals,
    }
}

impl Marker {
    pub(crate) fn draw(random: &mut Random) -> Marker {
        random.pick(MARKERS)
    }
}

const MARKERS: &[Marker] = &[
    marker("systolic blood pressure", "mmHg", 132.0, 17.0, 1),
    marker("diastolic blood pressure", "mmHg", 81.0, 11.0, 1),
    marker("total cholesterol", "mmol/l", 5.4, 1.1, 2),
    marker("haemoglobin", "g/l", 136.0, 14.0, 1),
    marker("body weight", "kg", 79.0, 15.0, 1),
    marker("fasting glucose", "mmol/l", 5.9, 1.2, 2),
    marker("serum ferritin", "ng/ml", 110.0, 42.0, 0),
    marker("walking speed", "cm/s", 112.0, 21.0, 1),
];

/// A disease that a test is for.
pub(crate) fn disease(random: &mut Random) -> &'static str {
    random.pick(DISEASES)
}

const DISEASES: &[&str] = &[
    "deep vein thrombosis",
    "pulmonary embolism",
    "coeliac disease",
    "appendicitis",
    "bacterial meningitis",
    "heart failure",
    "streptococcal sore throat",
    "tuberculosis",
    "myocardial infarction",
    "ovarian cancer",
    "iron deficiency",
    "giant cell arteritis",
    "pneumonia",
    "urinary tract infection",
    "the disease",
];

const fn measure(name: &'static str, unit: &'static str, width: f64, decimals: usize) -> Measure {
    Measure {
        name,
        unit,
        width,
        decimals,
    }
}

/// Populations in which survival is counted.
const GRAVE: &[&str] = &[
    "patients with chronic heart failure",
    "patients with sepsis",
    "patients with colorectal cancer",
    "patients with chronic lung disease",
];

const FIELDS: &[Field] = &[
    Field {
        population: "adults with diabetes",
        treatments: &[
            "the new glucose-lowering drug",
            "the weekly injection",
            "drug A",
        ],
        events: &["kidney failure", "heart attack", "foot amputation"],
        measures: &[
            measure("fasting glucose", "mmol/l", 0.6, 1),
            measure("body weight", "kg", 1.5, 1),
        ],
    },
    Field {
        population: "patients with chronic heart failure",
        treatments: &["the new diuretic", "the exercise programme", "drug B"],
        events: &["hospital admission", "cardiovascular death"],
        measures: &[
            measure("walking distance", "m", 18.0, 0),
            measure("resting heart rate", "beats per minute", 2.5, 1),
        ],
    },
    Field {
        population: "adults with high blood pressure",
        treatments: &[
            "the new calcium channel blocker",
            "the salt substitute",
            "drug C",
        ],
        events: &["stroke", "heart failure", "death from any cause"],
        measures: &[
            measure("systolic blood pressure", "mmHg", 3.0, 1),
            measure("diastolic blood pressure", "mmHg", 2.0, 1),
        ],
    },
    Field {
        population: "children with asthma",
        treatments: &[
            "the new inhaled corticosteroid",
            "the school programme",
            "drug D",
        ],
        events: &["severe asthma attack", "emergency visit"],
        measures: &[
            measure("morning peak flow", "l/min", 9.0, 0),
            measure("the asthma symptom score", "points", 0.9, 2),
        ],
    },
    Field {
        population: "patients with atrial fibrillation",
        treatments: &[
            "the new oral anticoagulant",
            "the new rhythm drug",
            "treatment X",
        ],
        events: &["stroke", "major bleeding"],
        measures: &[measure("resting heart rate", "beats per minute", 3.0, 1)],
    },
    Field {
        population: "women in late pregnancy",
        treatments: &["the new progestogen", "the home visit programme", "drug E"],
        events: &["preterm birth", "pre-eclampsia"],
        measures: &[
            measure("birth weight", "g", 70.0, 0),
            measure("systolic blood pressure", "mmHg", 2.5, 1),
        ],
    },
    Field {
        population: "patients after hip surgery",
        treatments: &["the new nerve block", "early physiotherapy", "treatment Y"],
        events: &["delirium", "wound infection", "readmission"],
        measures: &[
            measure("the pain score", "points", 0.7, 2),
            measure("length of stay", "days", 0.8, 1),
        ],
    },
    Field {
        population: "adults with depression",
        treatments: &[
            "the new antidepressant",
            "the online therapy course",
            "drug F",
        ],
        events: &["relapse", "hospital admission"],
        measures: &[measure("the depression score", "points", 1.4, 1)],
    },
    Field {
        population: "patients with sepsis",
        treatments: &["the new vasopressor", "the fluid protocol", "treatment Z"],
        events: &["death in hospital", "kidney injury"],
        measures: &[
            measure("time in intensive care", "days", 1.1, 1),
            measure("serum lactate", "mmol/l", 0.4, 2),
        ],
    },
    Field {
        population: "people with migraine",
        treatments: &[
            "the new preventive antibody",
            "relaxation training",
            "drug G",
        ],
        events: &["medication overuse", "emergency visit"],
        measures: &[measure(
            "the number of migraine days",
            "days a month",
            0.9,
            1,
        )],
    },
    Field {
        population: "older people living at home",
        treatments: &["the balance programme", "the new bone drug", "drug H"],
        events: &["falls", "hip fracture"],
        measures: &[measure("walking speed", "cm/s", 3.5, 1)],
    },
    Field {
        population: "patients with colorectal cancer",
        treatments: &[
            "the new adjuvant regimen",
            "the follow-up programme",
            "drug K",
        ],
        events: &["recurrence", "death from any cause"],
        measures: &[measure("the fatigue score", "points", 2.2, 1)],
    },
    Field {
        population: "adults with psoriasis",
        treatments: &["the new biologic", "the new ointment", "drug L"],
        events: &["disease flare", "serious infection"],
        measures: &[measure("the skin severity score", "points", 1.2, 1)],
    },
    Field {
        population: "patients with chronic lung disease",
        treatments: &["the new inhaler", "the home exercise course", "drug M"],
        events: &["exacerbation", "pneumonia"],
        measures: &[measure("forced expiratory volume", "ml", 40.0, 0)],
    },
];

#[cfg(test)]
mod tests {
    use super::{DISEASES, FIELDS, GRAVE};

    #[test]
    fn grave_populations_are_some_of_all() {
        for population in GRAVE {
            assert!(
                FIELDS.iter().any(|field| field.population == *population),
                "{population}"
            );
        }
    }

    #[test]
    fn no_name_contains_a_digit_or_a_full_stop() {
        let fields = FIELDS.iter().flat_map(|field| {
            let measures = field.measures.iter().flat_map(|m| [&m.name, &m.unit]);
            [&field.population]
                .into_iter()
                .chain(field.treatments)
                .chain(field.events)
                .chain(measures)
        });
        for name in fields.chain(DISEASES) {
            assert!(
                !name.contains(|c: char| c.is_ascii_digit() || c == '.'),
                "{name}"
            );
        }
    }
}

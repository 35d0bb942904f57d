//! Whether a finished data set is what its manifest says.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::card::Census;
use crate::manifest::SplitRecord;
use crate::{DataSet, Error, Result, Split, citations};

/// Reads a data set and checks what a build promises: files with the hashes of the manifest, its counts of rows,
/// labels, sources and lengths, ids that occur once, groups within one split, no citation.
///
/// # Errors
/// Those of [`DataSet::read`]; [`Error::Broken`] with every promise that does not hold.
pub fn verify(folder: impl AsRef<Path>) -> Result<DataSet> {
    let folder = folder.as_ref();
    let set = DataSet::read(folder)?;
    let faults = faults(&set);
    match faults.is_empty() {
        true => Ok(set),
        false => Err(Error::Broken {
            path: folder.to_owned(),
            faults,
        }),
    }
}

fn faults(set: &DataSet) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = HashSet::new();
    let mut homes: HashMap<&str, Split> = HashMap::new();
    for split in Split::ALL {
        let items = set.split(split);
        let Some(record) = set
            .manifest
            .splits
            .iter()
            .find(|r| r.split == split.as_str())
        else {
            faults.push(format!("{split}: not in the manifest"));
            continue;
        };
        // The hash was held to the file when it was read.
        if SplitRecord::new(split, items, record.sha256.clone()) != *record {
            let (found, expected) = (items.len(), record.rows);
            faults.push(format!("{split}: expected the manifest's counts ({expected} rows), found others ({found} rows)"));
        }
        for item in items {
            if !ids.insert(item.id.as_str()) {
                faults.push(format!("{split}: {}: the id occurs twice", item.id));
            }
            let home = *homes.entry(&item.group).or_insert(split);
            if home != split {
                faults.push(format!(
                    "{split}: {}: its group {} is in {home} too",
                    item.id, item.group
                ));
            }
            let context = item.context.as_deref().unwrap_or_default();
            if [context, &item.question, &item.rationale]
                .into_iter()
                .any(citations::contains)
            {
                faults.push(format!("{split}: {}: holds a citation", item.id));
            }
        }
    }
    let census = Census::of(set);
    let manifest = &set.manifest;
    if !manifest.by_source.is_empty() && manifest.by_source != census.by_source() {
        faults
            .push("expected the manifest's counts by source, split and label, found others".into());
    }
    if !manifest.lengths.is_empty() && manifest.lengths != census.lengths() {
        faults.push("expected the manifest's lengths in words, found others".into());
    }
    if homes.len() != set.manifest.groups {
        let expected = set.manifest.groups;
        faults.push(format!("expected {expected} groups, found {}", homes.len()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::{faults, verify};
    use crate::{BuildSettings, Label, Source, build};

    #[test]
    fn a_fresh_set_holds_and_each_broken_promise_is_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let sources = vec![Source::Clinical, Source::Stats(60)];
        let settings = BuildSettings::new(sources, folder.path().join("set"));
        build(&settings).expect("builds");
        let set = verify(&settings.out).expect("holds");
        let faults_after = |change: &dyn Fn(&mut crate::DataSet)| {
            let mut broken = set.clone();
            change(&mut broken);
            faults(&broken).join("\n")
        };
        assert_eq!(faults_after(&|_| {}), "");
        let group = set.train[0].group.clone();
        let crossed = faults_after(&|set| set.test[0].group.clone_from(&group));
        assert!(
            crossed.contains(&format!("its group {group} is in train too")),
            "{crossed}"
        );
        let twice = faults_after(&|set| set.train[1].id = set.train[0].id.clone());
        assert!(twice.contains("the id occurs twice"), "{twice}");
        let relabelled = faults_after(&|set| {
            let label = set.validation[0].label;
            set.validation[0].label = Label::ALL.into_iter().find(|l| *l != label).expect("three");
        });
        assert!(
            relabelled.contains("validation: expected the manifest's counts"),
            "{relabelled}"
        );
        for field in ["question", "rationale", "context"] {
            let cited = faults_after(&|set| {
                let item = &mut set.test[0];
                let text = match field {
                    "question" => &mut item.question,
                    "rationale" => &mut item.rationale,
                    _ => item.context.get_or_insert_default(),
                };
                text.push_str(" It helps (PMID: 12345678).");
            });
            assert!(cited.contains("holds a citation"), "{field}: {cited}");
        }
        let counted = faults_after(&|set| set.manifest.by_source.clear());
        assert_eq!(counted, "", "an older build did not count it");
        let counted = faults_after(&|set| drop(set.manifest.by_source.remove("stats")));
        assert!(counted.contains("counts by source"), "{counted}");
        let longer = faults_after(&|set| drop(set.manifest.lengths.remove("question")));
        assert!(longer.contains("lengths in words"), "{longer}");
        let fewer = faults_after(&|set| set.manifest.groups -= 1);
        assert!(fewer.contains("groups, found"), "{fewer}");
        let path = settings.out.join("test.jsonl");
        let mut bytes = std::fs::read(&path).expect("reads");
        bytes.push(b'\n');
        std::fs::write(&path, bytes).expect("written");
        let changed = verify(&settings.out).expect_err("changed").to_string();
        assert!(changed.contains("test.jsonl"), "{changed}");
    }
}

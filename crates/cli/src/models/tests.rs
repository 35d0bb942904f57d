//! Finding models, and what the parts of these tests share.

mod hub;
mod wheel;

use super::*;
use crate::hub::fakes::{self, Behaviour, TestHub};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tempfile::TempDir;
use verdict_common::hash::hex;

const QUIET: &dyn Fn(Progress) = &|_| {};

/// Bytes that no cut or shift maps onto themselves.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i % 251) as u8).collect()
}

fn models(dir: &TempDir, endpoint: &str) -> Models {
    Models {
        cache: Cache::models(dir.path()),
        hub: Hub {
            endpoint: endpoint.to_string(),
            token: None,
            offline: false,
            patience: Duration::from_secs(20),
        },
        pips: Vec::new(),
    }
}

fn one_gguf(len: usize) -> Behaviour {
    Behaviour {
        files: [("tiny.gguf".to_string(), bytes(len))].into(),
        ..Behaviour::default()
    }
}

fn message(result: Result<ResolvedModel>, dir: &TempDir) -> (String, String) {
    let error = result.expect_err("an error");
    let clean = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    (
        clean(error.to_string()),
        clean(error.hint().unwrap_or_default()),
    )
}

/// Everything under the final names.
fn finished(dir: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path().join("models"))
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = entries
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    names.retain(|n| n != ".partial");
    names.sort();
    names
}

#[test]
fn a_path_is_taken_as_it_is() {
    let dir = TempDir::new().unwrap();
    let models = models(&dir, "http://127.0.0.1:1");
    let spec = dir.path().to_str().unwrap();
    let found = models.resolve(spec, QUIET).unwrap();
    assert_eq!(
        found,
        ResolvedModel {
            path: dir.path().into(),
            name: spec.into(),
            sha256: None,
            source: None
        }
    );
}

#[test]
fn words_that_name_nothing() {
    let dir = TempDir::new().unwrap();
    let models = models(&dir, "http://127.0.0.1:1");
    let (text, hint) = message(models.resolve("smolm2", QUIET), &dir);
    assert_eq!(
        text,
        "model `smolm2`: expected a folder, a GGUF file, a hub name (org/name) or a built-in name, found none of these"
    );
    assert_eq!(
        hint,
        "built-in names: smollm2-135m, smollm2-360m, smollm2-1.7b, qwen2.5-1.5b, qwen3-0.6b-base, qwen3-1.7b-base, qwen3-4b-base"
    );
    for spec in [
        "./x",
        "/no/such/folder",
        "x.gguf",
        "a/b.gguf",
        "a/b/c",
        "~/model",
        "a/../b",
    ] {
        assert_eq!(
            message(models.resolve(spec, QUIET), &dir).0,
            format!("{spec}: no such file or folder")
        );
    }
    assert_eq!(
        hub_name("Qwen/Qwen3-1.7B-Base"),
        Some(("Qwen/Qwen3-1.7B-Base", None))
    );
    assert_eq!(
        hub_name("org/name/f.Q8_0.gguf"),
        Some(("org/name", Some("f.Q8_0.gguf")))
    );
}

#[test]
fn a_full_disk_and_a_missing_home_have_their_hints() {
    let full = Error::Io {
        path: "models/x".into(),
        source: std::io::ErrorKind::StorageFull.into(),
    };
    assert_eq!(full.to_string(), "models/x: no storage space");
    assert_eq!(
        full.hint().unwrap(),
        "free some space, or set VERDICT_CACHE to a folder on another disk"
    );
    assert_eq!(
        Error::NoCacheFolder.to_string(),
        "no cache folder: expected VERDICT_CACHE, XDG_CACHE_HOME or HOME to be set, found none of them"
    );
    assert_eq!(
        Error::NoCacheFolder.hint().unwrap(),
        "set VERDICT_CACHE to a folder"
    );
}

#[test]
fn a_cached_model_that_was_tampered_with_is_refused() {
    let hub = TestHub::start(one_gguf(1_000));
    let dir = TempDir::new().unwrap();
    let models = models(&dir, &hub.endpoint);
    let path = models.resolve("org/tiny", QUIET).unwrap().path;
    std::fs::write(&path, bytes(999)).unwrap();
    let folder = "models/org--tiny";
    assert_eq!(
        message(models.resolve("org/tiny", QUIET), &dir),
        (
            format!(
                "{folder}/tiny.gguf: damaged file in the cache: expected 1000 bytes, found 999 bytes"
            ),
            format!("delete {folder} and download it again")
        )
    );
    std::fs::write(dir.path().join(folder).join("verdict-model.json"), "{").unwrap();
    let (text, _) = message(models.resolve("org/tiny", QUIET), &dir);
    assert!(text.starts_with("models/org--tiny/verdict-model.json: damaged file in the cache: expected a manifest, found EOF"), "{text}");
    assert_eq!(models.list().len(), builtin::MODELS.len());
}

#[test]
fn the_list_of_built_in_models_is_sound() {
    assert_eq!(builtin::MODELS[0].name, DEFAULT);
    for model in builtin::MODELS {
        assert!(
            hub_name(model.repo).is_some_and(|(_, file)| file.is_none()),
            "{}",
            model.repo
        );
        assert!(hub_name(model.name).is_none() && !looks_like_a_path(model.name));
        assert_eq!(model.file.is_some(), model.sha256.is_some());
        assert!(model.wheel.is_none() || model.file.is_some());
    }
}

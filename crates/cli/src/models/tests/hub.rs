//! Fetching from a hub on 127.0.0.1: whole, cut, wrong, absent.

use super::fakes::COMMIT;
use super::*;
use std::cell::RefCell;

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
        "the file was deleted; try again, and do not trust this source if it fails again"
    );
    assert!(finished(&dir).is_empty());
    // Not resumed: the next attempt begins at the first byte.
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
        text.starts_with("http://127.0.0.1:1: cannot reach the hub: request error: "),
        "{text}"
    );
    assert!(
        hint.starts_with("for a mirror set HF_ENDPOINT; without a network copy"),
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
        "http://hub: cannot reach the hub: HF_HUB_OFFLINE is set"
    );
    for (status, hint) in [
        (
            404,
            "check the name; set HF_TOKEN for a private or gated repository",
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
                    "{}/org/tiny: the hub returned status {status}",
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
            "{}: cannot reach the hub: nothing was received for 1 s",
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
        format!("{}/org/tiny: the hub returned status 401", hub.endpoint)
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
        "org/tiny: expected the given file, found other.gguf, tiny.gguf"
    );
    let found = models.resolve("org/tiny/other.gguf", QUIET).unwrap();
    assert_eq!(std::fs::read(found.path).unwrap(), bytes(5));
}

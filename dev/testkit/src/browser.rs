//! A page in a headless Chromium, and what a reader would see of it.
//!
//! Commands go over the two pipes of `--remote-debugging-pipe`: no port, no wait for it to open, no socket
//! library. `chromium --dump-dom` and `--screenshot` report neither the console nor contrast, and crates that drive
//! browsers bring a WebSocket client or an async runtime for what are six commands here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

/// How long a browser may take to answer: long, because a machine that runs tests is busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// Height of the window at first; then that of the page.
const HEIGHT: u64 = 900;
/// The script that inspects the page.
const LOOK: &str = include_str!("browser.js");

/// A browser that is running; it ends with this value.
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    /// Number of the last command.
    commands: u64,
    session: Option<String>,
    events: Vec<Value>,
    /// Its profile.
    _folder: tempfile::TempDir,
}

/// What was seen of a page.
#[derive(Debug)]
pub struct View {
    /// All its text as it is shown, folded parts opened.
    pub text: String,
    /// Faults that a reader would notice, and anything that is loaded from elsewhere; each with its place.
    pub faults: Vec<String>,
    /// How many texts were compared with their background.
    pub texts: u64,
    /// The lowest contrast among them, by WCAG 2's formula, 1 to 21.
    pub contrast: f64,
    /// A picture of all of it, a PNG file.
    pub picture: Vec<u8>,
}

impl Browser {
    /// `VERDICT_CHROMIUM`, or the first of `chromium`, `google-chrome` and `chrome` on the path. Says on stderr that a
    /// test is skipped where there is none.
    ///
    /// # Panics
    /// When there is one that does not start.
    pub fn start() -> Option<Browser> {
        let Some(program) = program() else {
            #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
            {
                eprintln!("skipped: no Chromium on the path; VERDICT_CHROMIUM names one elsewhere");
            }
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        // Chromium reads from descriptor 3 and writes to 4. No sandbox: it cannot have one as root in a container, and
        // the pages are our own.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .arg(program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-extensions",
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--hide-scrollbars",
            ])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let to = process.stdin.take().expect("its input");
        let out = process.stdout.take().expect("its output");
        let (send, from) = channel();
        std::thread::spawn(move || {
            // Messages end with a zero byte.
            for message in BufReader::new(out).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Browser {
            process,
            to,
            from,
            commands: 0,
            session: None,
            events: Vec::new(),
            _folder: folder,
        };
        let page = browser.send("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = browser.send("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.send(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Opens a file in a window of this width, in CSS pixels, for a reader whose system is light or dark.
    ///
    /// # Panics
    /// When the browser ends, or does not respond for two minutes.
    pub fn look(&mut self, path: &Path, width: u64, dark: bool) -> View {
        let address = format!("file://{}", path.display());
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.send("Emulation.setEmulatedMedia", json!({"features": [feature]}));
        self.window(width, HEIGHT);
        self.events.clear();
        let opened = self.send("Page.navigate", json!({"url": address}));
        assert!(opened["errorText"].is_null(), "{address}: {opened}");
        // Not the event of it: that of the empty page before may still be on its way.
        while self.evaluate("document.readyState") != "complete" {
            std::thread::sleep(Duration::from_millis(10));
        }
        // The background of a text can be read only where the text is in the window.
        let height = self.evaluate("document.querySelectorAll('details').forEach(d => d.open = true), document.documentElement.scrollHeight");
        self.window(width, height.as_u64().unwrap_or(HEIGHT).max(HEIGHT));
        let seen = self.evaluate(LOOK);
        let picture = self.send("Page.captureScreenshot", json!({"format": "png"}));

        let mut faults: Vec<String> = self
            .events
            .iter()
            .filter_map(|event| fault(event, &address))
            .collect();
        let found = seen["faults"].as_array().into_iter().flatten();
        faults.extend(found.filter_map(Value::as_str).map(str::to_owned));
        let place = format!("{width} px, {scheme}");
        View {
            text: seen["text"].as_str().unwrap_or_default().to_owned(),
            faults: faults
                .into_iter()
                .map(|fault| format!("{place}: {fault}"))
                .collect(),
            texts: seen["texts"].as_u64().unwrap_or(0),
            contrast: seen["contrast"].as_f64().unwrap_or(0.0),
            picture: BASE64_STANDARD
                .decode(picture["data"].as_str().unwrap_or_default())
                .expect("base 64"),
        }
    }

    fn window(&mut self, width: u64, height: u64) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.send("Emulation.setDeviceMetricsOverride", size);
    }

    fn evaluate(&mut self, script: &str) -> Value {
        let parameters = json!({"expression": script, "returnByValue": true});
        let answer = self.send("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].clone()
    }

    /// Sends a command and waits for its result; events that come meanwhile are kept.
    fn send(&mut self, method: &str, parameters: Value) -> Value {
        self.commands += 1;
        let mut message = json!({"id": self.commands, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let sent = self.to.write_all(format!("{message}\0").as_bytes());
        sent.and_then(|()| self.to.flush())
            .expect("the browser listens");
        loop {
            let mut answer = self.next(method);
            if answer["id"] == self.commands {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn next(&mut self, waiting_for: &str) -> Value {
        let next = self.from.recv_timeout(PATIENCE);
        next.unwrap_or_else(|fault| panic!("the browser, waiting for {waiting_for}: {fault}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Killed, its helper processes would run on for a while; closed, it ends with them.
        let closing = self
            .to
            .write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let ends = closing.and_then(|()| self.to.flush()).is_ok()
            && (0..500).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                matches!(self.process.try_wait(), Ok(Some(_)))
            });
        if !ends {
            self.process.kill().ok();
            self.process.wait().ok();
        }
    }
}

/// The fault that an event reports.
fn fault(event: &Value, address: &str) -> Option<String> {
    let details = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(format!("a script failed: {details}")),
        "Runtime.consoleAPICalled" => Some(format!("the console says: {details}")),
        "Log.entryAdded" => Some(format!("the console says: {}", details["entry"]["text"])),
        "Network.requestWillBeSent" => {
            let url = details["request"]["url"].as_str()?;
            (url != address).then(|| format!("something is loaded: {url}"))
        }
        _ => None,
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("VERDICT_CHROMIUM").filter(|name| !name.is_empty()) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let programs = ["chromium", "google-chrome", "chrome"];
    let mut places = programs
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.find(|place| place.is_file())
}

//! A hub on 127.0.0.1, as far as fetching needs one, and a pip that is a shell script.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The commit of `main`.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The commit of the branch [`BRANCH`].
pub const BRANCH_COMMIT: &str = "fedcba9876543210fedcba9876543210fedcba98";
/// A second branch, with the same files.
pub const BRANCH: &str = "refs/convert/parquet";

/// What the hub holds and how it misbehaves.
#[derive(Default)]
pub struct Behaviour {
    /// The one repository, where it is one of data; else it is the model `org/tiny`.
    pub dataset: Option<&'static str>,
    /// Its files.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Ends the first longer body after so many bytes.
    pub cut_first_after: Option<usize>,
    /// Sends bytes that do not fit the announced SHA-256.
    pub corrupt: bool,
    /// Wants this token.
    pub token: Option<&'static str>,
    /// Answers everything with this status.
    pub status: Option<u16>,
    /// Sends the whole file whatever range is requested.
    pub ignores_ranges: bool,
    /// Takes connections and says nothing.
    pub silent: bool,
    /// Its own address, set at start.
    pub endpoint: String,
}

/// A running hub. It ends with the test's process.
pub struct TestHub {
    pub endpoint: String,
    /// Requests as `path` or `path range`, in order.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl TestHub {
    pub fn start(mut behaviour: Behaviour) -> TestHub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        behaviour.endpoint = endpoint.clone();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, state) = (requests.clone(), Arc::new(Mutex::new(behaviour)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, state) = (log.clone(), state.clone());
                std::thread::spawn(move || serve(stream, &log, &state));
            }
        });
        TestHub { endpoint, requests }
    }

    /// Requests for a file's bytes beyond the first, which hf-hub asks for to learn its size.
    pub fn downloads(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|r| r.starts_with("/cdn/") && !r.ends_with("bytes=0-0"))
            .cloned()
            .collect()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<String>>, state: &Mutex<Behaviour>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let path = line.split(' ').nth(1).unwrap().to_string();
    let (mut range, mut token) = (None, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => range = Some(value.to_string()),
            "authorization" => token = Some(value.to_string()),
            _ => {}
        }
    }
    let entry = range
        .iter()
        .fold(path.clone(), |path, range| format!("{path} {range}"));
    log.lock().unwrap().push(entry);
    let mut state = state.lock().unwrap();
    if state.silent {
        drop(state);
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    answer(
        stream,
        &path,
        range.as_deref(),
        token.as_deref(),
        &mut state,
    );
}

fn answer(
    mut out: TcpStream,
    path: &str,
    range: Option<&str>,
    token: Option<&str>,
    state: &mut Behaviour,
) {
    let mut send = |status: &str, headers: &str, body: &[u8]| {
        // The client may hang up first.
        let _ = write!(
            out,
            "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n"
        );
        let _ = out.write_all(body);
    };
    if let Some(status) = state.status {
        return send(&format!("{status} No"), "Content-Length: 0\r\n", b"");
    }
    if state
        .token
        .is_some_and(|t| token != Some(&format!("Bearer {t}")))
    {
        return send("401 Unauthorized", "Content-Length: 0\r\n", b"");
    }
    let (api, home) = match state.dataset {
        None => ("/api/models/org/tiny".into(), "/org/tiny".into()),
        Some(repo) => (format!("/api/datasets/{repo}"), format!("/datasets/{repo}")),
    };
    let branch = BRANCH.replace('/', "%2F");
    let commit = match path.strip_prefix(&format!("{api}/revision/")) {
        Some("main") => Some(COMMIT),
        Some(other) if other == branch => Some(BRANCH_COMMIT),
        _ => None,
    };
    if let Some(commit) = commit {
        let siblings: Vec<_> = state
            .files
            .keys()
            .map(|f| serde_json::json!({ "rfilename": f }))
            .collect();
        let body = serde_json::json!({ "sha": commit, "siblings": siblings }).to_string();
        let headers = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        return send("200 OK", &headers, body.as_bytes());
    }
    let file = path.strip_prefix(&format!("{home}/resolve/"));
    if let Some((commit, name)) = file.and_then(|file| file.split_once('/'))
        && [COMMIT, BRANCH_COMMIT].contains(&commit)
        && let Some(bytes) = state.files.get(name)
    {
        // As the hub does: the sum here, the bytes at a full address. Small files have git's sum.
        let etag = if name.ends_with(".json") {
            "a".repeat(40) + &name.len().to_string()
        } else {
            verdict_common::hash::sha256(bytes)
        };
        let headers = format!(
            "X-Repo-Commit: {commit}\r\nX-Linked-Etag: \"{etag}\"\r\nLocation: {}/cdn/{name}\r\nContent-Length: 0\r\n",
            state.endpoint
        );
        return send("302 Found", &headers, b"");
    }
    let Some((name, bytes)) = path
        .strip_prefix("/cdn/")
        .and_then(|n| state.files.get_key_value(n))
    else {
        return send("404 Not Found", "Content-Length: 0\r\n", b"");
    };
    let range = range.filter(|r| !state.ignores_ranges || *r == "bytes=0-0");
    let (from, to) = range
        .and_then(|r| r.strip_prefix("bytes=")?.split_once('-'))
        .unwrap_or(("0", ""));
    let from: usize = from.parse().unwrap();
    let end = to.parse().map_or(bytes.len(), |to: usize| to + 1);
    if from >= bytes.len() {
        return send("416 Range Not Satisfiable", "Content-Length: 0\r\n", b"");
    }
    let mut body = bytes[from..end].to_vec();
    let headers = format!(
        "Content-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n",
        end - 1,
        bytes.len(),
        body.len()
    );
    if state.corrupt && !name.ends_with(".json") {
        body[0] ^= 1;
    }
    if let Some(cut) = state.cut_first_after.filter(|cut| *cut < body.len()) {
        body.truncate(cut);
        state.cut_first_after = None;
    }
    send("206 Partial Content", &headers, &body);
}

/// Writes a shell script that may be run.
pub fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A wheel with those files.
pub fn wheel(path: &Path, files: &[(&str, Vec<u8>)]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

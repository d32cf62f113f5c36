//! A hub for tests: a few files behind HTTP on this machine, and the ways a server can fail.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the server treats a request for the content (not the first byte, with which hf-hub asks for size
/// and ETag).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Well,
    /// Answers everything with this status.
    Status(u16),
    /// Sends fewer bytes than announced at first, and says so.
    Short,
    /// Sends other bytes.
    Wrong,
    /// Breaks the connection in the middle, the first so many times.
    Cut(usize),
    /// Goes silent in the middle.
    Silent,
    /// Sends all of the file where the rest of it was asked for.
    NoRanges,
    /// An ETag that would lead out of the cache.
    Sly,
    /// Not a hub: no headers of one.
    Plain,
}

pub(super) struct Server {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    /// Request lines, authorization and range.
    seen: Vec<String>,
    cuts: usize,
}

/// What every file contains: its own path, many times.
pub(super) fn content(path: &str) -> Vec<u8> {
    path.bytes().cycle().take(100_000).collect()
}

pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Server {
    pub(super) fn new(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { mood, seen: vec![], cuts: 0 }));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let state = shared.clone();
                // A client may leave at any time.
                thread::spawn(move || drop(serve(&stream.unwrap(), &state)));
            }
        });
        Self { endpoint, state }
    }

    pub(super) fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }
}

/// One request for each connection.
fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let headers: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let range = header("range").unwrap_or_default();
    let (mood, cut) = {
        let mut state = state.lock().unwrap();
        let token = header("authorization").unwrap_or_default();
        state.seen.push(format!("{path} {range} {token}").trim_end().to_owned());
        let cut =
            matches!(state.mood, Mood::Cut(times) if range != "bytes=0-0" && state.cuts < times);
        state.cuts += usize::from(cut);
        (state.mood, cut)
    };
    if let Mood::Status(status) = mood {
        return write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let missing = !path.starts_with("/owner/name/resolve/") || path.contains("missing");
    if missing {
        return write!(stream, "HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let mut body = content(&path);
    let total = body.len();
    let etag = match mood {
        Mood::Sly => "../../../sly".to_owned(),
        _ => digest(&body),
    };
    if mood == Mood::Wrong {
        body[total / 2] ^= 1;
    }
    if mood == Mood::Short {
        body.truncate(total / 3);
    }
    let (first, last) = range.trim_start_matches("bytes=").split_once('-').unwrap_or(("0", ""));
    let first: usize = first.parse().unwrap_or(0);
    let last: usize = last.parse().unwrap_or(body.len() - 1).min(body.len() - 1);
    if first >= body.len() {
        return write!(stream, "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let first = if mood == Mood::NoRanges && first > 0 { 0 } else { first };
    let part = &body[first..=last];
    write!(stream, "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\n", part.len())?;
    if mood != Mood::Plain {
        write!(stream, "X-Repo-Commit: {COMMIT}\r\nETag: \"x\"\r\nX-Linked-ETag: \"{etag}\"\r\n")?;
    }
    write!(stream, "Content-Range: bytes {first}-{last}/{total}\r\nConnection: close\r\n\r\n")?;
    if cut || mood == Mood::Silent && part.len() > 1 {
        stream.write_all(&part[..part.len() / 2])?;
        stream.flush()?;
        thread::sleep(if cut { Duration::ZERO } else { Duration::from_secs(5) });
        return Ok(());
    }
    stream.write_all(part)
}

//! Downloads one file with hf-hub, watches it, and checks what arrived.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, Metadata};

use super::cache::{Entry, is_path, is_sha256, sha256};
use super::{HubConfig, Progress};
use crate::weights::HubError;

/// A broken connection is taken up again this often, where it broke.
const ATTEMPTS: u32 = 3;

/// hf-hub has no read timeout: it works in a thread of its own, and a thread that shows no sign of life for
/// `config.stall` is left behind (it ends with its connection; what it may still write is checked when
/// next read).
pub(super) fn fetch(
    config: &HubConfig,
    entry: Entry,
    progress: Option<Progress>,
) -> Result<PathBuf, HubError> {
    let (url, advice) = (entry.url(), entry.advice());
    let api = ApiBuilder::from_cache(entry.cache())
        .with_endpoint(config.endpoint.clone())
        .with_token(config.token.clone())
        .with_progress(false)
        .build()
        .map_err(|error| explain(&entry, error))?;
    let (signs, watch) = channel();
    let signs_of_life = Signs { channel: signs.clone(), progress, file: entry.file.clone() };
    // A panic inside drops `signs`, which the watch below takes for an answer without content.
    thread::spawn(move || {
        let result = attempts(&api, &entry, &signs_of_life);
        // Nobody listens after a stall.
        drop(signs.send(Sign::Done(result)));
    });
    loop {
        match watch.recv_timeout(config.stall) {
            Ok(Sign::Alive) => {}
            Ok(Sign::Done(result)) => return result,
            Err(RecvTimeoutError::Timeout) => {
                return Err(HubError::Stalled { url, limit: config.stall, advice });
            }
            Err(RecvTimeoutError::Disconnected) => {
                let reason = "its headers cannot be used".to_owned();
                return Err(HubError::Protocol { url, reason });
            }
        }
    }
}

enum Sign {
    Alive,
    Done(Result<PathBuf, HubError>),
}

/// Tells the waiting thread, and whoever wants to see it, how a download goes on.
#[derive(Clone)]
struct Signs {
    channel: Sender<Sign>,
    progress: Option<Progress>,
    file: String,
}

impl Signs {
    fn alive(&self) {
        drop(self.channel.send(Sign::Alive));
    }
}

struct Counter {
    signs: Signs,
    done: u64,
    total: u64,
}

impl hf_hub::api::Progress for Counter {
    fn init(&mut self, size: usize, _: &str) {
        (self.done, self.total) = (0, size as u64);
        self.signs.alive();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.signs.alive();
        if let Some(report) = &self.signs.progress {
            report(&self.signs.file, self.done, self.total);
        }
    }

    fn finish(&mut self) {}
}

fn attempts(api: &Api, entry: &Entry, signs: &Signs) -> Result<PathBuf, HubError> {
    let mut attempt = 1;
    loop {
        let metadata = metadata(api, entry)?;
        signs.alive();
        let part = entry.blob(metadata.etag()).with_extension("part");
        let resumed = part.metadata().is_ok_and(|part| part.len() > 0);
        let outcome = once(api, entry, &metadata, signs);
        let retry = match &outcome {
            Ok(_) => false,
            // Something else was left there, or the server does not resume: from the start, then.
            Err(Failure::Corrupt(_) | Failure::Api(ApiError::InvalidResume)) => resumed,
            Err(Failure::Api(error)) if status(error) == Some(416) => resumed,
            Err(Failure::Api(ApiError::IoError(_))) => true,
            Err(_) => false,
        };
        if !retry || attempt == ATTEMPTS {
            return outcome.map_err(|failure| failure.explained(entry));
        }
        if !matches!(outcome, Err(Failure::Api(ApiError::IoError(_)))) {
            // Gone already where the finished download did not match.
            std::fs::remove_file(&part).ok();
        }
        thread::sleep(Duration::from_millis(200) * attempt);
        attempt += 1;
    }
}

enum Failure {
    Api(ApiError),
    Corrupt(String),
    Io(PathBuf, std::io::Error),
}

impl Failure {
    fn explained(self, entry: &Entry) -> HubError {
        match self {
            Failure::Api(error) => explain(entry, error),
            Failure::Corrupt(reason) => HubError::Corrupt { url: entry.url(), reason },
            Failure::Io(path, source) => HubError::Io { path, source },
        }
    }
}

/// Asked for before the download, to check what hf-hub will make paths of.
fn metadata(api: &Api, entry: &Entry) -> Result<Metadata, HubError> {
    let metadata = api.metadata(&entry.url()).map_err(|error| explain(entry, error))?;
    let odd = |what: &str, value: &str| {
        let reason = format!("its {what} is {value:?}");
        Err(HubError::Protocol { url: entry.url(), reason })
    };
    if !is_path(metadata.etag()) {
        return odd("ETag", metadata.etag());
    }
    if !is_path(metadata.commit_hash()) || metadata.commit_hash().contains('/') {
        return odd("commit", metadata.commit_hash());
    }
    Ok(metadata)
}

fn once(api: &Api, entry: &Entry, metadata: &Metadata, signs: &Signs) -> Result<PathBuf, Failure> {
    let pointer = entry.pointer(metadata.commit_hash());
    // A link whose blob was deleted would be in hf-hub's way.
    if pointer.is_symlink() && !pointer.exists() {
        std::fs::remove_file(&pointer).map_err(|error| Failure::Io(pointer, error))?;
    }
    let counter = Counter { signs: signs.clone(), done: 0, total: 0 };
    let path = api
        .repo(entry.repo())
        .download_with_progress(&entry.file, counter)
        .map_err(Failure::Api)?;
    if let Err(failure) = verify(&path, metadata, signs) {
        // The blob first: while it exists, so does what the pointer means.
        std::fs::remove_file(entry.blob(metadata.etag())).ok();
        std::fs::remove_file(&path).ok();
        return Err(failure);
    }
    Ok(path)
}

fn verify(path: &Path, metadata: &Metadata, signs: &Signs) -> Result<(), Failure> {
    let io = |error| Failure::Io(path.to_owned(), error);
    let (expected, found) = (metadata.size() as u64, path.metadata().map_err(io)?.len());
    if expected != found {
        return Err(Failure::Corrupt(format!("{expected} bytes were announced, {found} arrived")));
    }
    if is_sha256(metadata.etag()) {
        let found = sha256(path, &mut || signs.alive()).map_err(io)?;
        if found != metadata.etag() {
            let expected = metadata.etag();
            return Err(Failure::Corrupt(format!(
                "its SHA-256 should be {expected} and is {found}"
            )));
        }
    }
    Ok(())
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

fn explain(entry: &Entry, error: ApiError) -> HubError {
    let (url, advice) = (entry.url(), entry.advice());
    match (status(&error), error) {
        (Some(404), _) => HubError::NotFound { url },
        (Some(status @ (401 | 403)), _) => HubError::Forbidden { url, status },
        (None, ApiError::LockAcquisition(path)) => HubError::Io {
            path,
            source: std::io::Error::other("locked: another download of this file is going on"),
        },
        (None, error @ (ApiError::MissingHeader(_) | ApiError::InvalidHeader(_))) => {
            let reason = format!("{error}; is {} a Hugging Face hub?", entry.url());
            HubError::Protocol { url, reason }
        }
        (None, ApiError::ParseIntError(_)) => {
            HubError::Protocol { url, reason: "its size is not a number".to_owned() }
        }
        (_, error) => HubError::Unreachable { url, reason: error.to_string(), advice },
    }
}

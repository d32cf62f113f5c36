//! One file of one revision: its address on the hub and its place in the cache.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest, Sha256};

use super::HubConfig;
use crate::weights::HubError;

/// A file of a repository, its names checked: none of them can lead outside the cache.
pub(super) struct Entry {
    endpoint: String,
    cache: PathBuf,
    repo: String,
    pub file: String,
    revision: String,
}

impl Entry {
    pub(super) fn new(
        config: &HubConfig,
        repo: &str,
        file: &str,
        revision: &str,
    ) -> Result<Self, HubError> {
        let slashes = repo.matches('/').count();
        if !is_path(repo) || slashes != 1 {
            return Err(bad(repo, "repository", "OWNER/NAME of letters, digits, `.`, `_` and `-`"));
        }
        if !is_path(revision) {
            return Err(bad(revision, "revision", "a branch, a tag or a commit"));
        }
        if !is_path(file) {
            return Err(bad(file, "file", "a path of letters, digits, `.`, `_` and `-`"));
        }
        let cache = std::path::absolute(&config.cache)
            .map_err(|source| HubError::Io { path: config.cache.clone(), source })?;
        Ok(Self {
            endpoint: config.endpoint.clone(),
            cache,
            repo: repo.to_owned(),
            file: file.to_owned(),
            revision: revision.to_owned(),
        })
    }

    pub(super) fn url(&self) -> String {
        let Self { endpoint, repo, file, .. } = self;
        format!("{endpoint}/{repo}/resolve/{}/{file}", self.repo().url_revision())
    }

    pub(super) fn repo(&self) -> Repo {
        Repo::with_revision(self.repo.clone(), RepoType::Model, self.revision.clone())
    }

    pub(super) fn cache(&self) -> Cache {
        Cache::new(self.cache.clone())
    }

    fn folder(&self) -> PathBuf {
        self.cache.join(self.repo().folder_name())
    }

    /// Where a commit's file stands; on most systems a link to its blob.
    pub(super) fn pointer(&self, commit: &str) -> PathBuf {
        self.folder().join("snapshots").join(commit).join(&self.file)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// The cached file: of the commit the revision pointed to when last fetched, or put by hand (or by a
    /// commit's name) into the snapshot folder that has the revision's own name.
    pub(super) fn cached(&self) -> Option<PathBuf> {
        let commit = std::fs::read_to_string(self.folder().join("refs").join(&self.revision));
        let commit = commit.ok().map(|text| text.trim().to_owned()).filter(|text| is_path(text));
        let commits = commit.iter().chain([&self.revision]);
        commits.map(|commit| self.pointer(commit)).find(|path| path.is_file())
    }

    pub(super) fn advice(&self) -> String {
        let (url, path) = (self.url(), self.pointer(&self.revision));
        format!("download {url} elsewhere and save it as {}", path.display())
    }

    /// A blob of Git LFS is named after its SHA-256, which tells damage apart for ever.
    pub(super) fn check_cached(&self, path: &Path) -> Result<(), HubError> {
        let blob =
            path.canonicalize().map_err(|source| HubError::Io { path: path.to_owned(), source })?;
        let expected = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !is_sha256(expected) {
            return Ok(());
        }
        match sha256(&blob, &mut || {}) {
            Ok(found) if found == expected => Ok(()),
            Ok(found) => Err(HubError::Cache {
                path: blob.clone(),
                reason: format!("its SHA-256 should be {expected} and is {found}"),
            }),
            Err(source) => Err(HubError::Io { path: blob, source }),
        }
    }
}

fn bad(name: &str, what: &'static str, expected: &'static str) -> HubError {
    HubError::Name { name: name.to_owned(), what, expected }
}

/// A relative path of harmless characters that stays where it is put.
pub(super) fn is_path(text: &str) -> bool {
    let harmless =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+' | '=');
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    text.len() <= 512 && text.chars().all(harmless) && text.split('/').all(part)
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The digest of a file in hexadecimal; `tick` is called now and then.
pub(super) fn sha256(path: &Path, tick: &mut dyn FnMut()) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        tick();
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

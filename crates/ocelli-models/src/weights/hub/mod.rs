//! Files of the Hugging Face hub, through hf-hub and its cache (the one Python uses).
//!
//! hf-hub fetches and resumes. Added here: the cache is looked at first, and alone where HF_HUB_OFFLINE is
//! set; names, ETags and commits are checked before they become paths; size and SHA-256 are compared;
//! a silent connection is given up; and each failure says what to do.

mod cache;
mod config;
mod fetch;

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use cache::Entry;
pub use config::HubConfig;

use super::HubError;

/// Called with the file's name, the bytes that have arrived and the bytes there are.
type Progress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// The hub and its local cache.
#[derive(Clone)]
pub struct Hub {
    config: HubConfig,
    progress: Option<Progress>,
}

impl Hub {
    /// A hub with an explicit configuration.
    #[must_use]
    pub fn new(config: HubConfig) -> Self {
        Self { config, progress: None }
    }

    /// The hub that the environment describes, see [`HubConfig::from_env`].
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(HubConfig::from_env())
    }

    /// Calls `report(file, bytes so far, bytes in all)` while a download goes on, from another thread.
    #[must_use]
    pub fn on_progress(mut self, report: impl Fn(&str, u64, u64) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(report));
        self
    }

    /// The path of a file of a model repository (`owner/name`), fetched unless the cache has it. A cached
    /// branch is not asked for news; delete it from the cache, or name a commit, to get another state.
    ///
    /// Files in Git LFS (all weights are) have their SHA-256 for an ETag and are compared with it each
    /// time, also from the cache; of other files only the size is compared, once, after the download.
    ///
    /// # Errors
    /// [`HubError`]; where the network is the cause it says which file to put where.
    pub fn file(
        &self,
        repo: &str,
        file: &str,
        revision: Option<&str>,
    ) -> Result<PathBuf, HubError> {
        let entry = Entry::new(&self.config, repo, file, revision.unwrap_or("main"))?;
        if let Some(path) = entry.cached() {
            entry.check_cached(&path)?;
            return Ok(path);
        }
        if self.config.offline {
            return Err(HubError::Offline { url: entry.url(), advice: entry.advice() });
        }
        fetch::fetch(&self.config, entry, self.progress.clone())
    }
}

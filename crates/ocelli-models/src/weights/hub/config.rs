//! Where the hub and its cache are: from the environment, as Python's huggingface_hub reads it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ENDPOINT: &str = "https://huggingface.co";

/// Where the hub and its cache are.
#[derive(Clone)]
pub struct HubConfig {
    /// The server, `https://huggingface.co` or a mirror.
    pub endpoint: String,
    /// The folder of `models--OWNER--NAME` folders.
    pub cache: PathBuf,
    /// An access token, for private and gated repositories.
    pub token: Option<String>,
    /// Use the cache only.
    pub offline: bool,
    /// How long a server may send nothing, first answer included.
    pub stall: Duration,
}

impl Default for HubConfig {
    /// What an empty environment gives: the public hub, `~/.cache/huggingface/hub`, 30 seconds.
    fn default() -> Self {
        let home = std::env::home_dir().unwrap_or_else(std::env::temp_dir);
        Self {
            endpoint: ENDPOINT.to_owned(),
            cache: home.join(".cache/huggingface/hub"),
            token: None,
            offline: false,
            stall: Duration::from_secs(30),
        }
    }
}

impl HubConfig {
    /// Reads `HF_ENDPOINT`; `HF_HUB_CACHE`, else `HF_HOME`, else `XDG_CACHE_HOME`; `HF_TOKEN`, else the file
    /// `HF_TOKEN_PATH` or `HF_HOME/token`; `HF_HUB_OFFLINE`; `HF_HUB_DOWNLOAD_TIMEOUT` (seconds of silence).
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(&|name| std::env::var(name).ok())
    }

    pub(super) fn from_vars(var: &dyn Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| var(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let default = Self::default();
        let home = var("HF_HOME").map(PathBuf::from).unwrap_or_else(|| {
            let cache = var("XDG_CACHE_HOME").map(PathBuf::from);
            let standard = || default.cache.parent().unwrap_or(Path::new("")).to_owned();
            cache.map_or_else(standard, |cache| cache.join("huggingface"))
        });
        let cache = var("HF_HUB_CACHE").or_else(|| var("HUGGINGFACE_HUB_CACHE"));
        let token_file = var("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
        let token = var("HF_TOKEN").or_else(|| {
            let token = std::fs::read_to_string(token_file).ok()?;
            Some(token.trim().to_owned()).filter(|token| !token.is_empty())
        });
        let yes = |value: String| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
        };
        let seconds = var("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| value.parse().ok());
        Self {
            endpoint: var("HF_ENDPOINT")
                .map_or(default.endpoint, |endpoint| endpoint.trim_end_matches('/').to_owned()),
            cache: cache.map_or_else(|| home.join("hub"), PathBuf::from),
            token,
            offline: var("HF_HUB_OFFLINE").is_some_and(yes),
            stall: seconds
                .map_or(default.stall, |seconds: u64| Duration::from_secs(seconds.max(1))),
        }
    }
}

/// Never shows the token.
impl fmt::Debug for HubConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubConfig")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("offline", &self.offline)
            .field("stall", &self.stall)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> HubConfig {
        HubConfig::from_vars(&|name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_is_pythons() {
        let home =
            from(&[("HF_HOME", "/h"), ("HF_ENDPOINT", "https://mirror/"), ("HF_TOKEN", " t\n")]);
        assert_eq!(home.cache, Path::new("/h/hub"));
        assert_eq!(home.endpoint, "https://mirror");
        assert_eq!(home.token.as_deref(), Some("t"));
        assert!(!home.offline);
        assert!(!format!("{home:?}").contains("\"t\""));
        assert_eq!(from(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]).cache, Path::new("/c"));
        assert_eq!(from(&[("XDG_CACHE_HOME", "/x")]).cache, Path::new("/x/huggingface/hub"));
        for (value, offline) in
            [("1", true), ("true", true), ("Yes", true), ("0", false), ("", false)]
        {
            assert_eq!(from(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
    }

    #[test]
    fn the_token_may_stand_in_a_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "secret\n").unwrap();
        let path = home.path().to_str().unwrap();
        assert_eq!(from(&[("HF_HOME", path)]).token.as_deref(), Some("secret"));
        assert_eq!(from(&[("HF_HOME", "/nowhere/at/all")]).token, None);
    }
}

//! What can go wrong between a name a user typed and tensors in memory.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// What can go wrong while finding or reading weights.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is neither safetensors nor written by `torch.save`.
    #[error("{path} holds no weights: {found}; expected safetensors or a file of torch.save")]
    Format {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: String,
    },
    /// The file is damaged, or contradicts itself.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// One tensor of the file cannot be read.
    #[error("{path}: tensor `{tensor}`: {reason}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pickle asks for something that is not needed to rebuild tensors.
    #[error(
        "{path}: refused `{global}`: reading it would run code; open the file with PyTorch where you \
         trust it and save only the state_dict of the model"
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// The Python name, `module.name`.
        global: String,
    },
    /// The file is sound but of a kind that is not read.
    #[error("{path}: {reason}")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which kind, and what to do.
        reason: String,
    },
    /// No dictionary of tensors was found.
    #[error("{path} has no state dict: {found}")]
    NoTensors {
        /// The file.
        path: PathBuf,
        /// What stands in its place.
        found: String,
    },
    /// What the user typed names no weights.
    #[error("{text}: {reason}")]
    Source {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The hub failed.
    #[error(transparent)]
    Hub(#[from] HubError),
}

/// What can go wrong with a file of the Hugging Face hub.
#[derive(Debug, Error)]
pub enum HubError {
    /// A name that is no repository, revision or file.
    #[error("`{name}` is not a {what} on the hub: {expected}")]
    Name {
        /// The name.
        name: String,
        /// What it should name.
        what: &'static str,
        /// How such a name looks.
        expected: &'static str,
    },
    /// HF_HUB_OFFLINE is set and the file is not in the cache.
    #[error("offline (HF_HUB_OFFLINE), and not in the cache: {url}; {advice}")]
    Offline {
        /// Where the file would be fetched.
        url: String,
        /// Where to put the file by hand.
        advice: String,
    },
    /// The hub could not be reached, or the connection broke and stayed broken.
    #[error("cannot fetch {url}: {reason}; without a network, {advice}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What failed.
        reason: String,
        /// Where to put the file by hand.
        advice: String,
    },
    /// The connection went silent.
    #[error("{url} sent nothing for {limit:?}; try again, or {advice}")]
    Stalled {
        /// What was asked for.
        url: String,
        /// How long we waited.
        limit: Duration,
        /// Where to put the file by hand.
        advice: String,
    },
    /// No such repository, revision or file.
    #[error("{url} does not exist (404); check the repository, the revision and the file name")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// The repository is private or gated, or (the hub does not tell them apart) does not exist.
    #[error(
        "{url} is refused ({status}): the repository does not exist, or is private, or its terms must \
         be accepted; for the latter two set HF_TOKEN"
    )]
    Forbidden {
        /// What was asked for.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// The answer is not one of the hub's.
    #[error("{url} answered in an unexpected way: {reason}")]
    Protocol {
        /// What was asked for.
        url: String,
        /// What was odd.
        reason: String,
    },
    /// What was downloaded is not what was announced; it was removed.
    #[error("the download of {url} is damaged: {reason}; it was removed, try again")]
    Corrupt {
        /// What was asked for.
        url: String,
        /// Expected and found.
        reason: String,
    },
    /// A file in the cache is no longer what was downloaded.
    #[error("{path} is damaged: {reason}; delete it and try again")]
    Cache {
        /// The file in the cache.
        path: PathBuf,
        /// Expected and found.
        reason: String,
    },
    /// The cache could not be read or written.
    #[error("the cache {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

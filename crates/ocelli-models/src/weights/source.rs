//! What a user may type where weights are wanted: a hub model, a folder, a file.

use std::path::{Path, PathBuf};

use super::{Hub, HubError, WeightsError};

/// The names weights have in a folder of timm's layout, best first.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
const CONFIG: &str = "config.json";

/// Where weights come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A repository of the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repo: String,
        /// A branch, tag or commit; `main` where none is given.
        revision: Option<String>,
        /// A file of it; by default `model.safetensors`, else `pytorch_model.bin`.
        file: Option<String>,
    },
    /// A file of weights, or a folder with `model.safetensors` (or `pytorch_model.bin`) and `config.json`.
    Path(PathBuf),
}

/// Files on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The weights, for [`read`](super::read).
    pub weights: PathBuf,
    /// The `config.json` beside them, if there is one: architecture, classes, preprocessing.
    pub config: Option<PathBuf>,
}

impl Located {
    /// A file of weights or a folder with one, and what lies beside it.
    ///
    /// # Errors
    /// Where there is no such path, or the folder lacks weights.
    pub fn at(path: &Path) -> Result<Self, WeightsError> {
        let wrong =
            |reason: String| Err(WeightsError::Source { text: path.display().to_string(), reason });
        let beside = |folder: &Path| Some(folder.join(CONFIG)).filter(|config| config.is_file());
        if path.is_file() {
            let config = path.parent().and_then(beside);
            return Ok(Located { weights: path.to_owned(), config });
        }
        if !path.is_dir() {
            return wrong(
                "no such file or folder; a model of the hub is written hf-hub:OWNER/NAME".into(),
            );
        }
        match WEIGHTS.iter().map(|name| path.join(name)).find(|weights| weights.is_file()) {
            Some(weights) => Ok(Located { weights, config: beside(path) }),
            None => wrong(format!(
                "the folder has no {} (a run folder has the model in model/)",
                WEIGHTS.join(" and no ")
            )),
        }
    }
}

impl Source {
    /// Reads what a user typed: `hf-hub:OWNER/NAME` or `hf://OWNER/NAME`, each with an optional `@REVISION`
    /// and an optional `/FILE` at the end (timm's spellings), or `local-dir:FOLDER`, or a path.
    ///
    /// # Errors
    /// Where the text has one of these forms and lacks its parts.
    pub fn parse(text: &str) -> Result<Self, WeightsError> {
        let wrong = |reason: &str| {
            Err(WeightsError::Source { text: text.to_owned(), reason: reason.to_owned() })
        };
        let strip =
            |prefixes: &[&str]| prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
        if let Some(model) = strip(&["hf-hub:", "hf_hub:", "hf://"]) {
            return match hub(model) {
                Some(source) => Ok(source),
                None => wrong("a model of the hub is written hf-hub:OWNER/NAME[@REVISION][/FILE]"),
            };
        }
        match strip(&["local-dir:"]).unwrap_or(text) {
            "" => wrong("the path is empty"),
            path => Ok(Source::Path(PathBuf::from(path))),
        }
    }

    /// Finds the files, fetching them from the hub if that is where they are.
    ///
    /// # Errors
    /// Where there is no such path, a folder lacks weights, or the hub fails.
    pub fn locate(&self, hub: &Hub) -> Result<Located, WeightsError> {
        match self {
            Source::Hub { repo, revision, file } => {
                Ok(from_hub(hub, repo, revision.as_deref(), file.as_deref())?)
            }
            Source::Path(path) => Located::at(path),
        }
    }
}

/// `OWNER/NAME[@REVISION][/FILE]`; a revision with a slash in it must come with a file or end the text.
fn hub(model: &str) -> Option<Source> {
    let (owner, rest) = model.split_once('/')?;
    let (name, revision, file) = match rest.split_once('@') {
        Some((name, rest)) if !name.contains('/') => {
            let (revision, file) = optional_file(rest);
            (name, Some(revision), file)
        }
        _ => {
            let (name, file) = optional_file(rest);
            (name, None, file)
        }
    };
    let empty = |text: &str| text.is_empty();
    if empty(owner) || empty(name) || revision.is_some_and(empty) || file.is_some_and(empty) {
        return None;
    }
    Some(Source::Hub {
        repo: format!("{owner}/{name}"),
        revision: revision.map(str::to_owned),
        file: file.map(str::to_owned),
    })
}

fn optional_file(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((first, file)) => (first, Some(file)),
        None => (text, None),
    }
}

fn from_hub(
    hub: &Hub,
    repo: &str,
    revision: Option<&str>,
    file: Option<&str>,
) -> Result<Located, HubError> {
    let weights = match file {
        Some(file) => hub.file(repo, file, revision)?,
        None => first_of(hub, repo, revision)?,
    };
    let config = match hub.file(repo, CONFIG, revision) {
        Ok(config) => Some(config),
        Err(HubError::NotFound { .. } | HubError::Offline { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Located { weights, config })
}

/// Of several failures the first is told: it is about the file that most repositories have.
fn first_of(hub: &Hub, repo: &str, revision: Option<&str>) -> Result<PathBuf, HubError> {
    let [best, other] = WEIGHTS;
    match hub.file(repo, best, revision) {
        Err(error @ (HubError::NotFound { .. } | HubError::Offline { .. })) => {
            hub.file(repo, other, revision).map_err(|_| error)
        }
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub_source(repo: &str, revision: Option<&str>, file: Option<&str>) -> Source {
        Source::Hub {
            repo: repo.to_owned(),
            revision: revision.map(str::to_owned),
            file: file.map(str::to_owned),
        }
    }

    #[test]
    fn spellings_of_hub_models() {
        let check = |text: &str, expected| assert_eq!(Source::parse(text).unwrap(), expected);
        let repo = "timm/resnet18.a1_in1k";
        check("hf-hub:timm/resnet18.a1_in1k", hub_source(repo, None, None));
        check("hf_hub:timm/resnet18.a1_in1k", hub_source(repo, None, None));
        check("hf://timm/resnet18.a1_in1k", hub_source(repo, None, None));
        check("hf-hub:timm/resnet18.a1_in1k@v1", hub_source(repo, Some("v1"), None));
        check("hf://timm/resnet18.a1_in1k/a/b.bin", hub_source(repo, None, Some("a/b.bin")));
        check("hf://timm/resnet18.a1_in1k@v1/b.bin", hub_source(repo, Some("v1"), Some("b.bin")));
        check("local-dir:a/b", Source::Path("a/b".into()));
        check("a/b.pth", Source::Path("a/b.pth".into()));
    }

    #[test]
    fn half_a_name_is_an_error() {
        for text in [
            "hf-hub:",
            "hf-hub:resnet18",
            "hf://timm/",
            "hf-hub:a/b@",
            "hf-hub:/b",
            "",
            "hf://a/b/",
        ] {
            let error = Source::parse(text).unwrap_err();
            assert!(matches!(error, WeightsError::Source { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn folders_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::new(crate::weights::HubConfig { offline: true, ..Default::default() });
        let locate = |path: &Path| Source::Path(path.to_owned()).locate(&hub);
        assert!(locate(folder.path()).unwrap_err().to_string().contains("no model.safetensors"));
        let missing = locate(&folder.path().join("x")).unwrap_err().to_string();
        assert!(missing.contains("no such file or folder"), "{missing}");
        let weights = folder.path().join("pytorch_model.bin");
        std::fs::write(&weights, "").unwrap();
        let found = Located { weights: weights.clone(), config: None };
        assert_eq!(locate(folder.path()).unwrap(), found);
        assert_eq!(locate(&weights).unwrap(), found);
        let config = folder.path().join("config.json");
        std::fs::write(&config, "{}").unwrap();
        assert_eq!(locate(&weights).unwrap().config, Some(config));
    }
}

//! Downloads from a server on this machine, well and unwell.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::server::{COMMIT, Mood, Server, content, digest};
use super::{Hub, HubConfig};
use crate::weights::{HubError, Source};

const REPO: &str = "owner/name";
const URL: &str = "/owner/name/resolve/main/model.safetensors";

fn hub(server: &Server, cache: &Path) -> Hub {
    Hub::new(config(server, cache))
}

fn config(server: &Server, cache: &Path) -> HubConfig {
    HubConfig {
        endpoint: server.endpoint.clone(),
        cache: cache.to_owned(),
        token: None,
        offline: false,
        stall: Duration::from_secs(20),
    }
}

fn fetch(mood: Mood) -> (Result<Vec<u8>, HubError>, Server, tempfile::TempDir) {
    let (server, cache) = (Server::new(mood), tempfile::tempdir().unwrap());
    let path = hub(&server, cache.path()).file(REPO, "model.safetensors", None);
    (path.map(|path| std::fs::read(path).unwrap()), server, cache)
}

/// Files below a folder, as a picture of the cache.
fn files(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|extension| extension != "lock") {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn a_file_arrives_once_and_then_comes_from_the_cache() {
    let (server, cache) = (Server::new(Mood::Well), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let path = hub.file(REPO, "model.safetensors", None).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content(URL));
    let place = format!("models--owner--name/snapshots/{COMMIT}/model.safetensors");
    assert_eq!(path, cache.path().join(place));
    let requests = server.seen().len();
    assert_eq!(hub.file(REPO, "model.safetensors", None).unwrap(), path);
    assert_eq!(hub.file(REPO, "model.safetensors", Some(COMMIT)).unwrap(), path);
    assert_eq!(server.seen().len(), requests, "the cache needs no server");
}

#[test]
fn token_revision_and_folder_are_sent() {
    let (server, cache) = (Server::new(Mood::Well), tempfile::tempdir().unwrap());
    let config = HubConfig { token: Some("secret".into()), ..config(&server, cache.path()) };
    let path = Hub::new(config).file(REPO, "sub/model.bin", Some("refs/pr/1")).unwrap();
    let url = "/owner/name/resolve/refs%2Fpr%2F1/sub/model.bin";
    assert_eq!(std::fs::read(path).unwrap(), content(url));
    assert!(
        server.seen().contains(&format!("{url} bytes=0- Bearer secret")),
        "{:?}",
        server.seen()
    );
}

#[test]
fn progress_is_told() {
    let (server, cache) = (Server::new(Mood::Well), tempfile::tempdir().unwrap());
    let told = Arc::new(Mutex::new(vec![]));
    let ear = told.clone();
    let hub = hub(&server, cache.path()).on_progress(move |file, done, total| {
        ear.lock().unwrap().push((file.to_owned(), done, total));
    });
    hub.file(REPO, "model.safetensors", None).unwrap();
    let last = told.lock().unwrap().last().cloned();
    assert_eq!(last, Some(("model.safetensors".to_owned(), 100_000, 100_000)));
}

#[test]
fn statuses_say_what_to_do() {
    let (found, ..) = fetch(Mood::Status(404));
    assert!(matches!(found, Err(HubError::NotFound { .. })), "{found:?}");
    for status in [401, 403] {
        let (found, _, cache) = fetch(Mood::Status(status));
        let error = found.unwrap_err().to_string();
        assert!(
            error.contains(&format!("refused ({status})")) && error.contains("HF_TOKEN"),
            "{error}"
        );
        assert_eq!(files(cache.path()), [""; 0], "nothing is kept of a refusal");
    }
    let (found, ..) = fetch(Mood::Status(500));
    assert!(matches!(found, Err(HubError::Unreachable { .. })), "{found:?}");
}

#[test]
fn a_short_or_wrong_file_is_removed() {
    for (mood, reason) in [
        (Mood::Short, "100000 bytes were announced, 33333 arrived"),
        (Mood::Wrong, "its SHA-256 should be"),
    ] {
        let (found, server, cache) = fetch(mood);
        let error = found.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(files(cache.path()), ["main"], "{mood:?}: only the name of the commit may stay");
        server.set(Mood::Well);
        let path = hub(&server, cache.path()).file(REPO, "model.safetensors", None).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), content(URL), "the next try succeeds");
    }
}

#[test]
fn a_broken_connection_is_taken_up_again() {
    let (found, server, _cache) = fetch(Mood::Cut(1));
    assert_eq!(found.unwrap(), content(URL));
    let ranges: Vec<_> = server.seen().iter().map(|line| line.replace(URL, "")).collect();
    assert!(ranges.contains(&" bytes=50000-".to_owned()), "{ranges:?}");
}

#[test]
fn a_connection_that_stays_broken_is_an_error_with_advice() {
    let (found, server, cache) = fetch(Mood::Cut(usize::MAX));
    let error = found.unwrap_err().to_string();
    let advice = "snapshots/main/model.safetensors";
    assert!(error.contains("cannot fetch") && error.contains(advice), "{error}");
    server.set(Mood::NoRanges);
    let path = hub(&server, cache.path()).file(REPO, "model.safetensors", None).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content(URL), "a server that does not resume");
}

#[test]
fn a_finished_part_is_started_again() {
    let (server, cache) = (Server::new(Mood::Well), tempfile::tempdir().unwrap());
    let blobs = cache.path().join("models--owner--name/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(digest(&content(URL))).with_extension("part");
    for length in [100_000, 200_000] {
        std::fs::write(&part, vec![0; length]).unwrap();
        let path = hub(&server, cache.path()).file(REPO, "model.safetensors", None).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content(URL));
        std::fs::remove_file(path.canonicalize().unwrap()).unwrap();
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let (server, cache) = (Server::new(Mood::Silent), tempfile::tempdir().unwrap());
    let config = HubConfig { stall: Duration::from_millis(700), ..config(&server, cache.path()) };
    let error = Hub::new(config).file(REPO, "model.safetensors", None).unwrap_err();
    assert!(matches!(error, HubError::Stalled { .. }), "{error}");
}

#[test]
fn other_servers_are_told_apart() {
    for mood in [Mood::Sly, Mood::Plain] {
        let (found, _, cache) = fetch(mood);
        assert!(matches!(found, Err(HubError::Protocol { .. })), "{found:?}");
        assert_eq!(files(cache.path()), [""; 0]);
    }
}

#[test]
fn without_a_network_the_message_says_what_to_put_where() {
    let cache = tempfile::tempdir().unwrap();
    let nobody = HubConfig {
        endpoint: "http://127.0.0.1:1".into(),
        cache: cache.path().to_owned(),
        ..HubConfig::default()
    };
    let offline = HubConfig { offline: true, ..nobody.clone() };
    let place = cache.path().join("models--owner--name/snapshots/main/model.safetensors");
    let advice =
        format!("download http://127.0.0.1:1{URL} elsewhere and save it as {}", place.display());
    for config in [nobody, offline.clone()] {
        let error = Hub::new(config).file(REPO, "model.safetensors", None).unwrap_err().to_string();
        assert!(error.contains(&advice), "{error}");
    }
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, "weights").unwrap();
    assert_eq!(Hub::new(offline.clone()).file(REPO, "model.safetensors", None).unwrap(), place);
    let located = Source::parse("hf-hub:owner/name").unwrap().locate(&Hub::new(offline)).unwrap();
    assert_eq!((located.weights, located.config), (place, None));
}

#[test]
fn a_damaged_file_of_the_cache_is_named() {
    let (server, cache) = (Server::new(Mood::Well), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let path = hub.file(REPO, "model.safetensors", None).unwrap().canonicalize().unwrap();
    std::fs::write(&path, "other").unwrap();
    let error = hub.file(REPO, "model.safetensors", None).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("delete it"), "{error}");
    std::fs::remove_file(&path).unwrap();
    hub.file(REPO, "model.safetensors", None).unwrap();
}

#[test]
fn names_cannot_leave_the_cache() {
    let (server, cache) = (Server::new(Mood::Well), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    for (repo, file, revision) in [
        ("resnet18", "model.bin", "main"),
        ("a/b/c", "model.bin", "main"),
        ("../x", "model.bin", "main"),
        (REPO, "../../model.bin", "main"),
        (REPO, "/etc/passwd", "main"),
        (REPO, "model.bin", "../main"),
        (REPO, "model.bin?x=1", "main"),
        (REPO, "", "main"),
    ] {
        let found = hub.file(repo, file, Some(revision));
        assert!(matches!(found, Err(HubError::Name { .. })), "{repo} {file} {revision}: {found:?}");
    }
    assert_eq!(server.seen(), [""; 0]);
}

#[test]
fn a_source_finds_weights_and_config() {
    let (server, cache) = (Server::new(Mood::Well), tempfile::tempdir().unwrap());
    let hub = hub(&server, cache.path());
    let located = Source::parse("hf-hub:owner/name@v1").unwrap().locate(&hub).unwrap();
    assert!(located.weights.ends_with(format!("snapshots/{COMMIT}/model.safetensors")));
    assert!(located.config.unwrap().ends_with("config.json"));
    let missing = Source::parse("hf-hub:owner/missing").unwrap().locate(&hub).unwrap_err();
    assert!(missing.to_string().contains("model.safetensors does not exist"), "{missing}");
}

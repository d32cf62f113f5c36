//! `cargo xtask golden`: the scripts that make golden values under PyTorch.
//!
//! A script's docstring shows how to run it. Those that need no argument can be run from here; the
//! values are committed, so that nobody needs Python to test.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::{Result, output, process};

const FOLDER: &str = "tests/golden";

const HOW: &str = "
Values are committed; nobody needs Python to test. To make them again:
    cargo xtask golden --python PYTHON            all that need no argument
    cargo xtask golden --python PYTHON NAME...    some of them";

/// One script of the folder.
#[derive(Debug, PartialEq)]
struct Script {
    name: String,
    /// The first sentence of its docstring.
    purpose: String,
    /// What stands behind its path where its docstring shows how to run it; `None` for what scripts share.
    arguments: Option<String>,
}

/// What the caller wants.
#[derive(Debug, PartialEq)]
struct Wanted {
    python: Option<OsString>,
    names: Vec<String>,
}

/// Lists the scripts, or runs those named with the python given; all of them where none is named.
pub fn run(root: &Path, words: &[OsString]) -> Result {
    let wanted = Wanted::parse(words)?;
    let scripts = scripts(&root.join(FOLDER))?;
    match wanted {
        Wanted { python: None, names } if names.is_empty() => list(&scripts),
        Wanted { python: None, .. } => {
            Err("say which Python has PyTorch, timm and the other packages that the \
             scripts name: cargo xtask golden --python PYTHON NAME..."
                .into())
        }
        Wanted { python: Some(python), names } => {
            run_all(root, &python, &choose(&scripts, &names)?)
        }
    }
}

impl Wanted {
    fn parse(words: &[OsString]) -> Result<Self> {
        let mut wanted = Self { python: None, names: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match &*word.to_string_lossy() {
                "--python" => {
                    let python = words.next().ok_or("--python wants the path of a Python")?;
                    wanted.python = Some(python.clone());
                }
                flag if flag.starts_with('-') => {
                    return Err(format!(
                        "unknown flag {flag}; usage: cargo xtask golden [--python PYTHON] [NAME...]"
                    ));
                }
                name => wanted.names.push(name.trim_end_matches(".py").to_string()),
            }
        }
        Ok(wanted)
    }
}

/// The scripts of a folder, by name.
fn scripts(folder: &Path) -> Result<Vec<Script>> {
    let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut scripts = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.extension() == Some(OsStr::new("py")) {
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            scripts.push(Script::parse(&name, &text));
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scripts)
}

impl Script {
    fn parse(name: &str, text: &str) -> Self {
        let call = format!("python {FOLDER}/{name}.py");
        let arguments = text.lines().find_map(|line| {
            let (_, behind) = line.split_once(&call)?;
            Some(behind.split('#').next()?.trim().to_string())
        });
        let first = text.trim_start_matches('"').lines().next().unwrap_or_default();
        Self { name: name.to_string(), purpose: first.trim_end_matches('"').to_string(), arguments }
    }

    fn needs_no_argument(&self) -> bool {
        self.arguments.as_deref() == Some("")
    }
}

fn list(scripts: &[Script]) -> Result {
    for script in scripts {
        if let Some(arguments) = &script.arguments {
            output::line(format!("{FOLDER}/{}.py {arguments}", script.name).trim_end())?;
            output::line(format_args!("    {}", script.purpose))?;
        }
    }
    output::line(HOW)?;
    Ok(ExitCode::SUCCESS)
}

/// The scripts of these names; without names all that need no argument.
fn choose<'a>(scripts: &'a [Script], names: &[String]) -> Result<Vec<&'a Script>> {
    if names.is_empty() {
        return Ok(scripts.iter().filter(|script| script.needs_no_argument()).collect());
    }
    names.iter().map(|name| find(scripts, name)).collect()
}

fn find<'a>(scripts: &'a [Script], name: &str) -> Result<&'a Script> {
    let script = scripts
        .iter()
        .find(|script| script.name == name)
        .ok_or_else(|| format!("{FOLDER} has no {name}.py; `cargo xtask golden` lists all"))?;
    match script.arguments.as_deref() {
        Some("") => Ok(script),
        Some(arguments) => {
            Err(format!("{name} needs arguments; run: python {FOLDER}/{name}.py {arguments}"))
        }
        None => Err(format!("{name}.py is what scripts share, and makes nothing itself")),
    }
}

fn run_all(root: &Path, python: &OsStr, scripts: &[&Script]) -> Result {
    for script in scripts {
        output::line(format_args!("{}: {}", script.name, script.purpose))?;
        let mut command = Command::new(python);
        command.arg(root.join(FOLDER).join(format!("{}.py", script.name))).current_dir(root);
        let status = command.status().map_err(|error| process::cannot_start(&command, &error))?;
        if !status.success() {
            return Err(format!("{}.py failed: {status}", script.name));
        }
    }
    output::line("done; `git diff --stat` shows which values changed")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_script_says_how_it_is_run() {
        let maker = "\"\"\"Makes a.json.\n\n    pip install torch\n    python tests/golden/a.py   # writes a.json\n\"\"\"";
        let tool = "\"\"\"Opens a folder.\n\n    python tests/golden/b.py DIR\n\"\"\"";
        let shared = "\"\"\"What scripts share.\"\"\"\n";
        let scripts = [("a", maker), ("b", tool), ("c", shared)]
            .map(|(name, text)| Script::parse(name, text));
        let arguments = scripts.each_ref().map(|script| script.arguments.as_deref());
        assert_eq!(arguments, [Some(""), Some("DIR"), None]);
        assert_eq!(scripts[2].purpose, "What scripts share.");

        let all: Vec<_> = choose(&scripts, &[]).unwrap().iter().map(|s| s.name.clone()).collect();
        assert_eq!(all, ["a"]);
        for (name, fault) in [("b", "needs arguments"), ("c", "share"), ("d", "has no d.py")] {
            let message = choose(&scripts, &[name.to_string()]).unwrap_err();
            assert!(message.contains(fault), "{message}");
        }
    }

    #[test]
    fn a_name_may_be_given_with_its_ending() {
        let wanted = Wanted::parse(&words(&["--python", "python3", "macs.py", "ops"])).unwrap();
        let names = vec!["macs".to_string(), "ops".to_string()];
        assert_eq!(wanted, Wanted { python: Some("python3".into()), names });
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Wanted::parse(&words(&["--python"])).unwrap_err().contains("wants the path"));
        assert!(Wanted::parse(&words(&["--pyhton", "x"])).unwrap_err().contains("--pyhton"));
    }
}

//! A link of a Markdown page to a file of the repository leads somewhere.

use super::Finding;
use super::tree::Tree;

/// Names links to files that are not there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in tree.files().iter().filter(|file| file.path.ends_with(".md")) {
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, target) in links(&page.text) {
            if !resolve(folder, target).is_some_and(|path| tree.exists(&path)) {
                let message = format!(
                    "{target} is not a file of the repository; mend the link, or add the file"
                );
                findings.push(Finding::new(&page.path, number, message));
            }
        }
    }
    findings
}

/// The relative targets of a page, without their `#fragment`, with line numbers.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.starts_with("    ") {
            continue;
        }
        let reference =
            line.trim_start().starts_with('[').then(|| line.split_once("]: ")).flatten();
        let targets = inline(line).into_iter().chain(reference.map(|(_, target)| target.trim()));
        found.extend(targets.filter_map(relative).map(|target| (index + 1, target)));
    }
    found
}

/// What stands between `](` and `)`, outside `code`.
fn inline(line: &str) -> Vec<&str> {
    let is_code = |at: usize| line[..at].matches('`').count() % 2 == 1;
    let starts = line.match_indices("](").filter(|(at, _)| !is_code(*at));
    starts.filter_map(|(at, open)| line[at + open.len()..].split(')').next()).collect()
}

/// The path of a link, or `None` where it leads out of the repository, stays on its page, or is one of
/// rustdoc's (`fn@inspect`): a crate's README is its documentation too.
fn relative(target: &str) -> Option<&str> {
    let path = target.split([' ', '#']).next()?.trim_matches(['<', '>']);
    let elsewhere = path.contains([':', '@']) || path.starts_with('/');
    (!path.is_empty() && !elsewhere).then_some(path)
}

/// A path from the top of the repository, or `None` where it leads above it.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::messages;

    #[test]
    fn links_lead_somewhere() {
        let page = "[a](../README.md) ![b](img/b.png \"title\") [c](https://example.org/x)\n\
                    [d](#here) [e](../crates) `[f](nowhere)` [g](<c.md#part>) [k](fn@look)\n\
                    ```\n[h](nowhere)\n```\n[i]: c.md\n\n    [j](nowhere)\n";
        let files = [
            ("docs/a.md", page),
            ("docs/c.md", ""),
            ("docs/img/b.png", ""),
            ("README.md", ""),
            ("crates/a/Cargo.toml", ""),
        ];
        assert!(messages(check, &files).is_empty());
    }

    #[test]
    fn broken_links_are_named() {
        let found = messages(check, &[("a/b.md", "x\n[c](c.md) [d](../../e.md)\n[f]: g.md\n")]);
        let expected =
            "a/b.md:2: c.md is not a file of the repository; mend the link, or add the file";
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], expected);
    }
}

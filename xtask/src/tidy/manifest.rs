//! As much of a Cargo manifest as the rules need: which key stands in which table, and where.

/// One `key = value` of a manifest.
#[derive(Debug, PartialEq)]
pub struct Entry<'a> {
    /// Name of the table, `target.'cfg(unix)'.dependencies`; empty at the top.
    pub table: &'a str,
    /// As written, `serde.workspace`.
    pub key: &'a str,
    /// Rest of the line.
    pub value: &'a str,
    /// From 1.
    pub line: usize,
}

/// All entries of a manifest. Only the first line of a value is kept.
pub fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut table = "";
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').filter(|_| !line.contains(" = ")) {
            table = header.split(']').next().unwrap_or_default().trim_matches('[').trim();
        } else if let Some((key, value)) = line.split_once('=')
            && is_key(key.trim())
        {
            entries.push(Entry { table, key: key.trim(), value: value.trim(), line: index + 1 });
        }
    }
    entries
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

/// A package that a manifest names among its dependencies.
#[derive(Debug, PartialEq)]
pub struct Dependency<'a> {
    pub name: &'a str,
    pub line: usize,
}

/// What a package is built with: its dependencies and build dependencies on any target, not those of its
/// tests.
pub fn dependencies(text: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::<Dependency>::new();
    for Entry { table, key, value, line } in entries(text) {
        let Some(name) = dependency(table, key, value) else { continue };
        if !found.iter().any(|known| known.name == name) {
            found.push(Dependency { name, line });
        }
    }
    found
}

fn dependency<'a>(table: &'a str, key: &'a str, value: &'a str) -> Option<&'a str> {
    let is_list = |name: &str| {
        let last = name.rsplit('.').next().unwrap_or_default();
        last == "dependencies" || last == "build-dependencies"
    };
    if is_list(table) && !table.starts_with("workspace") {
        let renamed = value.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
        return renamed.or_else(|| key.split('.').next());
    }
    let (list, name) = table.rsplit_once('.')?;
    (is_list(list) && !list.starts_with("workspace")).then_some(match key {
        "package" => value.trim_matches('"'),
        _ => name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_found_however_they_are_written() {
        let text = "\
[package]
name = \"x\"

[dependencies]
a.workspace = true
b = \"1\"
c = { path = \"../c\", features = [
    \"d=e\",
] }
other = { package = \"f\", version = \"1\" }

[target.'cfg(unix)'.dependencies]
g = \"1\"

[build-dependencies.h]
version = \"1\"
features = []

[dev-dependencies]
i = \"1\"

[workspace.dependencies]
j = \"1\"
";
        let names: Vec<_> =
            dependencies(text).iter().map(|found| (found.name, found.line)).collect();
        assert_eq!(names, [("a", 5), ("b", 6), ("c", 7), ("f", 10), ("g", 13), ("h", 16)]);
    }
}

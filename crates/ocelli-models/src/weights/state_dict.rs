//! The names in a state dict, without what wrappers put before them.

use indexmap::IndexMap;

/// Wrappers that a script may put around any part of a network.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];
/// A prefix that could also be a layer's own name, so that all names must have it.
const CONTAINER: &str = "model.";

/// Removes prefixes until none is left; a prefix stays where removing it would make two names one.
pub(super) fn without_wrappers<T>(mut tensors: IndexMap<String, T>) -> IndexMap<String, T> {
    loop {
        let Some(prefix) = prefix_of(&tensors) else { return tensors };
        tensors = tensors
            .into_iter()
            .map(|(name, tensor)| match name.strip_prefix(prefix) {
                Some(rest) => (rest.to_owned(), tensor),
                None => (name, tensor),
            })
            .collect();
    }
}

fn prefix_of<T>(tensors: &IndexMap<String, T>) -> Option<&'static str> {
    let wrapper = WRAPPERS.into_iter().find(|prefix| {
        let mut stripped = tensors.keys().filter_map(|name| name.strip_prefix(prefix)).peekable();
        stripped.peek().is_some()
            && stripped.all(|rest| !rest.is_empty() && !tensors.contains_key(rest))
    });
    let container = || {
        let all = |name: &String| name.strip_prefix(CONTAINER).is_some_and(|rest| !rest.is_empty());
        (!tensors.is_empty() && tensors.keys().all(all)).then_some(CONTAINER)
    };
    wrapper.or_else(container)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[&str]) {
        let tensors = names.iter().map(|&name| (name.to_owned(), ())).collect();
        let stripped = without_wrappers(tensors);
        assert!(stripped.keys().eq(expected), "{names:?} gave {stripped:?}");
    }

    #[test]
    fn prefixes_of_wrappers_go() {
        check(&["module.a", "module.b"], &["a", "b"]);
        check(&["module._orig_mod.model.a"], &["a"]);
        check(&["n_averaged", "module.a"], &["n_averaged", "a"]);
        check(&["model.a", "model.b.c"], &["a", "b.c"]);
    }

    #[test]
    fn names_of_layers_stay() {
        check(&["model.a", "head.b"], &["model.a", "head.b"]);
        check(&["module.a", "a"], &["module.a", "a"]);
        check(&["module.", "b"], &["module.", "b"]);
        check(&["submodule.a"], &["submodule.a"]);
        check(&[], &[]);
    }
}

//! The names of the classes, in the order of the network's outputs.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Class names in the order of the logits: distinct, none empty, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct ClassNames(Vec<String>);

/// Why names do not make [`ClassNames`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ClassNamesError {
    /// There is no name.
    #[error("a classifier needs at least one class")]
    None,
    /// A name is empty.
    #[error("class {0} has an empty name")]
    Empty(usize),
    /// A name stands twice.
    #[error("the class name `{0}` stands twice")]
    Twice(String),
}

impl ClassNames {
    /// Takes names in the order of the logits.
    ///
    /// # Errors
    /// Where there is no name, an empty one, or one that stands twice.
    pub fn new(names: Vec<String>) -> Result<Self, ClassNamesError> {
        if names.is_empty() {
            return Err(ClassNamesError::None);
        }
        if let Some(index) = names.iter().position(String::is_empty) {
            return Err(ClassNamesError::Empty(index));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(ClassNamesError::Twice(name.clone()));
        }
        Ok(Self(names))
    }

    /// Names `class_0`, `class_1`, ... for a network that came without any.
    pub fn numbered(classes: usize) -> Self {
        Self((0..classes.max(1)).map(|index| format!("class_{index}")).collect())
    }

    /// Number of classes.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The name of a class, or `?` where there is no such class.
    pub fn name(&self, class: usize) -> &str {
        self.0.get(class).map_or("?", String::as_str)
    }

    /// The index of a name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|other| other == name)
    }

    /// All names in order.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for ClassNames {
    type Error = ClassNamesError;

    fn try_from(names: Vec<String>) -> Result<Self, Self::Error> {
        Self::new(names)
    }
}

impl From<ClassNames> for Vec<String> {
    fn from(names: ClassNames) -> Self {
        names.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_not_empty() {
        let names = |list: &[&str]| ClassNames::new(list.iter().map(|s| s.to_string()).collect());
        assert_eq!(names(&["a", "b"]).unwrap().index("b"), Some(1));
        assert_eq!(names(&[]), Err(ClassNamesError::None));
        assert_eq!(names(&["a", ""]), Err(ClassNamesError::Empty(1)));
        assert_eq!(names(&["a", "b", "a"]), Err(ClassNamesError::Twice("a".into())));
    }
}

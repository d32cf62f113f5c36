//! What can be wrong with a configuration.

use thiserror::Error;

/// A setting of a transform that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{transform}: {field} must be {expected}, not {found}")]
pub struct AugmentError {
    /// The transform.
    pub transform: &'static str,
    /// The setting.
    pub field: &'static str,
    /// What it should be.
    pub expected: &'static str,
    /// What it is.
    pub found: String,
}

/// Checks the settings of one transform.
pub(crate) struct Check(pub(crate) &'static str);

impl Check {
    pub(crate) fn holds(
        &self,
        sound: bool,
        field: &'static str,
        expected: &'static str,
        found: impl std::fmt::Debug,
    ) -> Result<(), AugmentError> {
        if sound {
            return Ok(());
        }
        Err(AugmentError { transform: self.0, field, expected, found: format!("{found:?}") })
    }

    pub(crate) fn probability(&self, field: &'static str, p: f64) -> Result<(), AugmentError> {
        self.holds((0.0..=1.0).contains(&p), field, "between 0 and 1", p)
    }

    pub(crate) fn size(&self, size: [usize; 2]) -> Result<(), AugmentError> {
        let sound = size.iter().all(|side| (1..=32_768).contains(side));
        self.holds(sound, "size", "between 1 and 32768 pixels a side", size)
    }

    /// A range of positive numbers, such as areas or aspect ratios.
    pub(crate) fn range(&self, field: &'static str, range: [f64; 2]) -> Result<(), AugmentError> {
        let sound = range[0] > 0.0 && range[0] <= range[1] && range[1].is_finite();
        self.holds(sound, field, "two positive numbers, the smaller first", range)
    }
}

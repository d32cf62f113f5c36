//! The one error of this crate: input that does not fit the metric.

/// Why rows or a saved state were refused. Nothing of a refused batch is counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A slice has the wrong length.
    #[error("{what} has {found} values where {expected} are expected")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits the others.
        expected: usize,
    },
    /// A class index is not below the number of classes.
    #[error("row {row} names class {class}, but there are {classes} classes, counted from 0")]
    ClassOutOfRange {
        /// The row of the batch, from 0.
        row: usize,
        /// The class it names.
        class: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// Two accumulators do not count the same thing.
    #[error("cannot merge metrics of {what} {found} into those of {what} {expected}")]
    Merge {
        /// What differs: `classes` or `k`.
        what: &'static str,
        /// The value of the accumulator to be merged.
        found: usize,
        /// The value of the accumulator to merge into.
        expected: usize,
    },
    /// A saved state contradicts itself.
    #[error(
        "the saved state of the {what} is damaged: {found} counts where {expected} are expected"
    )]
    State {
        /// Which metric.
        what: &'static str,
        /// Counts it holds.
        found: usize,
        /// Counts it should hold.
        expected: usize,
    },
}

/// Whether `logits` are one row of `classes` values per target, and every target is a class.
pub(crate) fn check_rows(
    logits: &[f32],
    classes: usize,
    targets: &[u32],
) -> Result<(), MetricsError> {
    let expected = targets.len().saturating_mul(classes);
    if logits.len() != expected {
        return Err(MetricsError::Length { what: "logits", found: logits.len(), expected });
    }
    match targets.iter().position(|&target| target as usize >= classes) {
        Some(row) => {
            Err(MetricsError::ClassOutOfRange { row, class: targets[row] as usize, classes })
        }
        None => Ok(()),
    }
}

/// Whether two accumulators agree.
pub(crate) fn check_merge(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), MetricsError> {
    if found == expected { Ok(()) } else { Err(MetricsError::Merge { what, found, expected }) }
}

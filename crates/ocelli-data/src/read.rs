//! Reading an image of a dataset that somebody else wrote.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ocelli_core::{Dataset, Image, SampleError};

/// Reads an image; a panic of a decoder makes it unreadable, as any other fault of its file.
pub(crate) fn read(dataset: &dyn Dataset, index: usize) -> Result<Image, SampleError> {
    catch_unwind(AssertUnwindSafe(|| dataset.image(index))).unwrap_or_else(|panic| {
        let (what, said) = (describe(dataset, index), said(panic));
        Err(SampleError::Other(format!("{what}: reading it panicked: {said}")))
    })
}

/// What the dataset calls an image.
pub(crate) fn describe(dataset: &dyn Dataset, index: usize) -> String {
    let described = catch_unwind(AssertUnwindSafe(|| dataset.describe(index)));
    described.unwrap_or_else(|_| format!("sample {index}"))
}

/// The text of a panic.
pub(crate) fn said(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

//! Pillow's colour adjustments, with its rounding: one file for each.

mod enhance;
mod hue;

pub(crate) use enhance::{brightness, contrast, saturation};
pub(crate) use hue::hue;

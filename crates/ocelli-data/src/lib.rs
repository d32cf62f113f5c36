//! Finding, splitting and loading image datasets.

//! Exact streaming metrics of image classification.

//! From a folder of photos to a classifier: the whole of ocelli in one crate.

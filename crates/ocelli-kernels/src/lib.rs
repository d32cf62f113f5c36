//! The arithmetic of a convolutional network on plain slices, forward and backward.

//! Random transforms of images and batches.

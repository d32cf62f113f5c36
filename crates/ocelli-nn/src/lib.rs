//! Layers with gradients over ocelli's kernels, and the parameter store.

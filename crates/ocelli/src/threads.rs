//! How many threads compute.

/// Sets how many threads the kernels use in this process; 0 takes all processors. To be called once, before
/// anything is computed: a later call changes nothing. Results do not depend on it.
pub fn set_threads(threads: usize) {
    // It fails where the pool is running already, which is what the documentation says.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

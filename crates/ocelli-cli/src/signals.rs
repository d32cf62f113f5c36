//! Ctrl-C: the first one ends the run in good order, the second one at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::output;

static HEARD: AtomicUsize = AtomicUsize::new(0);

/// Listens from now on.
pub fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if HEARD.fetch_add(1, Ordering::SeqCst) == 0 {
            output::warn("\nstopping after this step and saving; Ctrl-C again stops at once");
        } else {
            output::warn("\nstopped at once; the last checkpoint is whole");
            std::process::exit(130);
        }
    })?;
    Ok(())
}

/// Whether Ctrl-C came.
pub fn heard() -> bool {
    HEARD.load(Ordering::SeqCst) > 0
}

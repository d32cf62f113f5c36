//! candle's own thread pool, told before it starts to stay out of the way of the kernels' (ARCHITECTURE.md says why).

/// The variable that candle reads, once, for the size of its pool.
#[cfg(unix)]
const THREADS: &str = "CANDLE_NUM_THREADS";

/// Begins the program anew, as the same process, with one thread for candle, where nobody has set how many. Its own
/// environment can no longer be changed: `set_var` is unsafe. Where it cannot begin anew it goes on, a little slower.
#[cfg(unix)]
pub fn one_thread() {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let mut arguments = std::env::args_os();
    let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) else { return };
    if std::env::var_os(THREADS).is_none() {
        let _ = Command::new(program).arg0(name).args(arguments).env(THREADS, "1").exec();
    }
}

/// Elsewhere a process cannot begin anew, and a second one would part Ctrl-C from the run.
#[cfg(not(unix))]
pub fn one_thread() {}

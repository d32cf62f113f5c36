//! Loss, optimizers, schedules, training loop, checkpoints and report.

//! What a run tells, as bars and lines.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ocelli::train::{Control, Event, Observer};

use crate::{output, signals};

/// Shows a bar per epoch on a terminal, and one line per epoch everywhere.
pub struct Progress {
    bar: ProgressBar,
    evaluating: bool,
    quiet: bool,
}

impl Progress {
    pub fn new() -> Self {
        Self::quiet(false)
    }

    /// Prints no line where `quiet`, for output that a program reads.
    pub fn quiet(quiet: bool) -> Self {
        Self { bar: ProgressBar::hidden(), evaluating: false, quiet }
    }

    fn start(&mut self, length: usize, prefix: String) {
        self.bar.finish_and_clear();
        let style = ProgressStyle::with_template("{prefix} {wide_bar:.cyan/dim} {pos}/{len} {msg}");
        self.bar = ProgressBar::new(length as u64).with_prefix(prefix);
        if let Ok(style) = style {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(Duration::from_millis(500));
    }

    /// Prints a line above the bar; on standard output, so that a log has it too. A line that nobody reads stops
    /// no run: its folder keeps the record.
    fn line(&self, text: &str) {
        if !self.quiet {
            let _ = self.bar.suspend(|| output::line(text));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn hear(&mut self, event: Event<'_>) -> Control {
        match event {
            Event::Note(text) => self.line(text),
            Event::Epoch { epoch, epochs, done, batches } => {
                self.evaluating = false;
                self.start(batches, format!("epoch {epoch}/{epochs}"));
                self.bar.set_position(done as u64);
            }
            Event::Step { done, loss, top1, images_per_second, waiting } => {
                self.bar.set_position(done as u64);
                self.bar.set_message(format!(
                    "loss {loss:.3}  top-1 {:.1} %  {images_per_second:.0} images/s  waiting {:.0} %",
                    100.0 * top1,
                    100.0 * waiting
                ));
            }
            Event::Evaluating { done, batches } => {
                if !self.evaluating {
                    self.evaluating = true;
                    self.start(batches, "evaluating".to_string());
                }
                self.bar.set_position(done as u64);
                if done == batches {
                    self.evaluating = false;
                    self.bar.finish_and_clear();
                }
            }
            Event::Validated { record, best } => {
                self.bar.finish_and_clear();
                let val = match (record.val_loss, record.val_top1) {
                    (Some(loss), Some(top1)) => {
                        format!("  val loss {loss:.3}  val top-1 {:.1} %", 100.0 * top1)
                    }
                    _ => String::new(),
                };
                self.line(&format!(
                    "epoch {:>3}  loss {:.3}  top-1 {:.1} %{val}  {:.0} images/s  waiting {:.0} %  {:.1} s{}",
                    record.epoch,
                    record.train_loss,
                    100.0 * record.train_top1,
                    record.images_per_second,
                    100.0 * record.waiting,
                    record.seconds,
                    if best { "  best" } else { "" }
                ));
            }
        }
        if signals::heard() { Control::Stop } else { Control::Continue }
    }
}

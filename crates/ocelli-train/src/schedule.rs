//! How the learning rate moves over a run.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::TrainError;

/// A rise from zero, then a curve.
///
/// In a recipe: `schedule = { name = "cosine", warmup_steps = 100 }`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Steps over which the rate rises linearly; step `t` of `w` has `(t + 1) / w` of it (Goyal et al. 2017,
    /// arXiv:1706.02677). At most half of the run, so that a short one reaches its rate, too.
    #[serde(default)]
    pub warmup_steps: u64,
    /// What comes then.
    #[serde(flatten)]
    pub curve: Curve,
}

/// The rate after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Curve {
    /// Always the same.
    Constant {},
    /// Falls by a factor every so many epochs, the warm-up's included.
    Step {
        /// Epochs between two falls.
        #[serde(default = "defaults::every")]
        every: u64,
        /// What the rate is multiplied by, above 0 and at most 1.
        #[serde(default = "defaults::gamma")]
        gamma: f64,
    },
    /// Half a cosine from the end of the warm-up to the end of the run: SGDR without restarts
    /// (Loshchilov & Hutter 2017, arXiv:1608.03983).
    Cosine {
        /// The rate that it falls towards.
        #[serde(default)]
        min_rate: f64,
    },
    /// Half a cosine up and half a cosine down (Smith & Topin 2018, arXiv:1708.07120), with PyTorch's
    /// positions of the peak and the end. The momentum stays as it is. It rises by itself: no warm-up.
    OneCycle {
        /// Share of the run in which the rate rises, 0..1.
        #[serde(default = "defaults::pct_start")]
        pct_start: f64,
        /// The first rate is the peak divided by this.
        #[serde(default = "defaults::div_factor")]
        div_factor: f64,
        /// The last rate is the first one divided by this.
        #[serde(default = "defaults::final_div_factor")]
        final_div_factor: f64,
    },
}

mod defaults {
    pub fn every() -> u64 {
        30
    }
    pub fn gamma() -> f64 {
        0.1
    }
    pub fn pct_start() -> f64 {
        0.3
    }
    pub fn div_factor() -> f64 {
        25.0
    }
    pub fn final_div_factor() -> f64 {
        1e4
    }
}

impl Default for Curve {
    fn default() -> Self {
        Self::Cosine { min_rate: 0.0 }
    }
}

impl From<Curve> for Schedule {
    fn from(curve: Curve) -> Self {
        Self { warmup_steps: 0, curve }
    }
}

impl Schedule {
    /// Always the same rate.
    pub fn constant() -> Self {
        Curve::Constant {}.into()
    }

    /// A tenth every 30 epochs.
    pub fn step() -> Self {
        Curve::Step { every: defaults::every(), gamma: defaults::gamma() }.into()
    }

    /// Half a cosine down to zero.
    pub fn cosine() -> Self {
        Curve::default().into()
    }

    /// Up from a 25th in 30 % of the run, then down to nothing: PyTorch's defaults.
    pub fn one_cycle() -> Self {
        Curve::OneCycle {
            pct_start: defaults::pct_start(),
            div_factor: defaults::div_factor(),
            final_div_factor: defaults::final_div_factor(),
        }
        .into()
    }

    /// The rate of a step.
    ///
    /// `base` is the highest rate, `step` counts optimizer steps from 0, `total_steps` is how many the whole
    /// run takes and `steps_per_epoch` how many an epoch does. Steps after the end have the last one's rate.
    pub fn rate(&self, base: f64, step: u64, total_steps: u64, steps_per_epoch: u64) -> f64 {
        let warmup = self.warmup_steps.min(total_steps / 2);
        if step < warmup {
            return base * (step + 1) as f64 / warmup as f64;
        }
        let step = step.min(total_steps.saturating_sub(1));
        match self.curve {
            Curve::Constant {} => base,
            Curve::Step { every, gamma } => {
                let falls = step / steps_per_epoch.max(1) / every.max(1);
                base * gamma.powi(i32::try_from(falls).unwrap_or(i32::MAX))
            }
            Curve::Cosine { min_rate } => {
                let position = step.saturating_sub(warmup) as f64;
                let length = total_steps.saturating_sub(warmup).max(1) as f64;
                half_cosine(base, min_rate, position / length)
            }
            Curve::OneCycle { pct_start, div_factor, final_div_factor } => {
                let first = base / div_factor;
                let last = first / final_div_factor;
                let end = total_steps.saturating_sub(1) as f64;
                // Not rounded, as in PyTorch: the peak may lie between two steps.
                let peak = (pct_start * total_steps as f64 - 1.0).clamp(0.0, end);
                let step = step as f64;
                if step < peak {
                    half_cosine(first, base, step / peak)
                } else {
                    half_cosine(base, last, (step - peak) / (end - peak).max(f64::MIN_POSITIVE))
                }
            }
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// Names the first one that makes no sense and says what would.
    pub fn check(&self) -> Result<(), TrainError> {
        let wrong = |name: &'static str, value: f64, wanted: &'static str| {
            Err(TrainError::Config { name, value: value.to_string(), wanted })
        };
        let above_zero = |value: f64| value.is_finite() && value > 0.0;
        match self.curve {
            Curve::Constant {} => Ok(()),
            Curve::Step { every: 0, .. } => wrong("schedule.every", 0.0, "at least 1 epoch"),
            Curve::Step { gamma, .. } if !(gamma > 0.0 && gamma <= 1.0) => {
                wrong("schedule.gamma", gamma, "a number above 0 and at most 1")
            }
            Curve::Step { .. } => Ok(()),
            Curve::Cosine { min_rate } if !(min_rate.is_finite() && min_rate >= 0.0) => {
                wrong("schedule.min_rate", min_rate, "a finite number, 0 or above")
            }
            Curve::Cosine { .. } => Ok(()),
            Curve::OneCycle { .. } if self.warmup_steps > 0 => {
                let wanted = "0 with `one_cycle`, which rises by itself (see pct_start)";
                wrong("schedule.warmup_steps", self.warmup_steps as f64, wanted)
            }
            Curve::OneCycle { pct_start, .. } if !(0.0..=1.0).contains(&pct_start) => {
                wrong("schedule.pct_start", pct_start, "a share in 0..1")
            }
            Curve::OneCycle { div_factor, .. } if !above_zero(div_factor) => {
                wrong("schedule.div_factor", div_factor, "a finite number above 0")
            }
            Curve::OneCycle { final_div_factor, .. } if !above_zero(final_div_factor) => {
                wrong("schedule.final_div_factor", final_div_factor, "a finite number above 0")
            }
            Curve::OneCycle { .. } => Ok(()),
        }
    }
}

/// From one rate to another as progress goes from 0 to 1.
fn half_cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + 0.5 * (from - to) * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_against_pytorch(name: &str, schedule: &Schedule, steps_per_epoch: u64) {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/golden/train.json")).unwrap();
        let case = &golden["schedules"][name];
        let rates: Vec<f64> = serde_json::from_value(case["rates"].clone()).unwrap();
        let base = case["lr"].as_f64().unwrap();
        for (step, wanted) in rates.iter().enumerate() {
            let rate = schedule.rate(base, step as u64, rates.len() as u64, steps_per_epoch);
            assert!(
                (rate - wanted).abs() < 1e-12,
                "{name}, step {step}: {rate} instead of {wanted}"
            );
        }
    }

    #[test]
    fn rates_are_pytorchs() {
        check_against_pytorch("constant", &Schedule::constant(), 1);
        check_against_pytorch("step", &Curve::Step { every: 5, gamma: 0.1 }.into(), 1);
        check_against_pytorch("cosine", &Schedule::cosine(), 7);
        let warm = Schedule { warmup_steps: 5, ..Schedule::cosine() };
        check_against_pytorch("cosine_warmup", &warm, 7);
        check_against_pytorch("one_cycle", &Schedule::one_cycle(), 7);
        check_against_pytorch("one_cycle_peak_between_steps", &Schedule::one_cycle(), 7);
    }

    #[test]
    fn steps_fall_at_epochs_and_warm_up_first() {
        let curve = Curve::Step { every: 2, gamma: 0.5 };
        let schedule = Schedule { warmup_steps: 4, curve };
        let rates: Vec<f64> = (0..12).map(|step| schedule.rate(8.0, step, 12, 3)).collect();
        assert_eq!(rates, [2., 4., 6., 8., 8., 8., 4., 4., 4., 4., 4., 4.]);
    }

    #[test]
    fn a_short_run_reaches_its_rate() {
        let schedule = Schedule { warmup_steps: 50, ..Schedule::cosine() };
        let rates: Vec<f64> = (0..8).map(|step| schedule.rate(8.0, step, 8, 4)).collect();
        assert_eq!(rates[..5], [2., 4., 6., 8., 8.]);
        assert!(rates[7] < 2.0, "{rates:?}");
    }

    #[test]
    fn short_runs_and_late_steps_have_finite_rates() {
        let long_warmup = Schedule { warmup_steps: 50, ..Schedule::cosine() };
        for schedule in [
            Schedule::constant(),
            Schedule::step(),
            Schedule::cosine(),
            Schedule::one_cycle(),
            long_warmup,
        ] {
            for total in 0..5 {
                for step in 0..60 {
                    let rate = schedule.rate(0.1, step, total, 0);
                    assert!((0.0..=0.1).contains(&rate), "{schedule:?} {step} of {total}: {rate}");
                }
            }
        }
        assert_eq!(Schedule::one_cycle().rate(0.1, 0, 1, 1), 0.1);
        let floor = Schedule::from(Curve::Cosine { min_rate: 0.02 });
        assert!((floor.rate(0.1, 500, 1000, 10) - 0.06).abs() < 1e-12);
    }

    #[test]
    fn it_reads_and_writes_recipes() {
        let read = |text: &str| serde_json::from_str::<Schedule>(text);
        let schedule = read(r#"{"name": "cosine", "warmup_steps": 3}"#).unwrap();
        assert_eq!(schedule, Schedule { warmup_steps: 3, ..Schedule::cosine() });
        assert_eq!(read(r#"{"name": "constant"}"#).unwrap(), Schedule::constant());
        let schedule = read(r#"{"name": "one_cycle", "div_factor": 10}"#).unwrap();
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(read(&text).unwrap(), schedule);
        let error = read(r#"{"name": "cosine", "gamma": 0.1}"#).unwrap_err().to_string();
        assert!(error.contains("gamma"), "{error}");
        assert!(read(r#"{"name": "constant", "gamma": 0.1}"#).is_err());
        assert!(read(r#"{"name": "linear"}"#).unwrap_err().to_string().contains("one_cycle"));
    }

    #[test]
    fn numbers_that_make_no_sense_are_named() {
        let one_cycle = |pct_start, div_factor| Curve::OneCycle {
            pct_start,
            div_factor,
            final_div_factor: 1e4,
        };
        for (schedule, name) in [
            (Curve::Step { every: 0, gamma: 0.1 }.into(), "every"),
            (Curve::Step { every: 1, gamma: f64::NAN }.into(), "gamma"),
            (Curve::Step { every: 1, gamma: -0.1 }.into(), "gamma"),
            (Curve::Cosine { min_rate: -1.0 }.into(), "min_rate"),
            (Curve::Cosine { min_rate: f64::INFINITY }.into(), "min_rate"),
            (one_cycle(1.5, 25.0).into(), "pct_start"),
            (one_cycle(0.3, 0.0).into(), "div_factor"),
            (Schedule { warmup_steps: 5, ..Schedule::one_cycle() }, "warmup_steps"),
        ] {
            let message = schedule.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
        Schedule::one_cycle().check().unwrap();
        Schedule { warmup_steps: 9, ..Schedule::step() }.check().unwrap();
    }
}

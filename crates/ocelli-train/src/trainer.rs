//! The training loop.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ocelli_core::files::{create_folder, write_whole};
use ocelli_core::{Batch, BatchSource};
use ocelli_nn::{Classifier, Param, ParamGradients, Pass, cross_entropy, images};

use crate::checkpoint::broken;
use crate::report::EpochRecord;
use crate::{
    Best, Checkpoint, Control, Event, Meter, Observer, Optimizer, Progress, Scope, TrainConfig,
    TrainError, clip_gradients, evaluate, tensorboard,
};

/// Trains a network and keeps a record of it.
///
/// A run with a folder leaves `checkpoints/last.safetensors` and `checkpoints/best.safetensors`,
/// `epochs.jsonl` with one record a line, and TensorBoard events.
pub struct Trainer<'a> {
    network: &'a dyn Classifier,
    config: TrainConfig,
    optimizer: Optimizer,
    progress: Progress,
    folder: Option<PathBuf>,
    events: Option<tensorboard::Writer>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// One record per epoch.
    pub history: Vec<EpochRecord>,
    /// The best epoch on the validation images, where there are any.
    pub best: Option<Best>,
    /// Whether the observer stopped it before its last epoch.
    pub stopped: bool,
}

impl<'a> Trainer<'a> {
    /// Prepares a run from its beginning; freezes what `config` says.
    ///
    /// # Errors
    /// Where a setting makes no sense.
    pub fn new(network: &'a dyn Classifier, config: TrainConfig) -> Result<Self, TrainError> {
        config.check()?;
        let stages = network.params().stages();
        network.params().freeze_below(match config.scope {
            Scope::All => 0,
            Scope::Head => stages.saturating_sub(1),
            Scope::From(stage) if stage < stages => stage,
            Scope::From(stage) => {
                return Err(TrainError::Config {
                    name: "scope",
                    value: format!("from {stage}"),
                    wanted: "a stage that the network has (the last one is its head)",
                });
            }
        });
        if let Some(weights) =
            config.class_weights.as_ref().filter(|w| w.len() != network.classes())
        {
            let (found, wanted) = (weights.len(), network.classes());
            return Err(TrainError::Mismatch(format!(
                "{found} class weights for {wanted} classes"
            )));
        }
        let optimizer = Optimizer::new(config.optimizer.clone());
        Ok(Self {
            network,
            config,
            optimizer,
            progress: Progress::default(),
            folder: None,
            events: None,
        })
    }

    /// Keeps checkpoints and records in `folder`, which is created.
    ///
    /// # Errors
    /// Where it cannot be.
    pub fn in_folder(mut self, folder: &Path) -> Result<Self, TrainError> {
        create_folder(&folder.join("checkpoints"))?;
        self.events = Some(tensorboard::Writer::create(folder)?);
        self.folder = Some(folder.to_path_buf());
        Ok(self)
    }

    /// Where the newest state of a run in `folder` is.
    pub fn last(folder: &Path) -> PathBuf {
        folder.join("checkpoints").join("last.safetensors")
    }

    /// Where the weights of the best epoch of a run in `folder` are.
    pub fn best(folder: &Path) -> PathBuf {
        folder.join("checkpoints").join("best.safetensors")
    }

    /// Continues from a checkpoint instead of the beginning.
    ///
    /// # Errors
    /// Where it is damaged, or of a run with other settings.
    pub fn resume(mut self, path: &Path) -> Result<Self, TrainError> {
        let checkpoint = Checkpoint::open(path)?;
        if checkpoint.progress.fingerprint != self.fingerprint() {
            return Err(broken(
                path,
                "was made with other settings; resume with the recipe of its run folder",
            ));
        }
        checkpoint.restore(self.network, path)?;
        self.optimizer.load_state(&checkpoint.optimizer)?;
        self.progress = checkpoint.progress;
        Ok(self)
    }

    /// The settings that decide the weights, as text: they must be the same in all parts of a run.
    pub fn fingerprint(&self) -> String {
        format!("{:?} classes {}", self.config, self.network.classes())
    }

    /// Trains to the last epoch, or until the observer stops it. After each epoch the network is evaluated on
    /// `val`; the weights that did best there are kept in the folder.
    ///
    /// # Errors
    /// Where data cannot be loaded, a file cannot be written, or the loss is no number any more. What was
    /// saved before stays.
    pub fn fit(
        &mut self,
        train: &dyn BatchSource,
        val: Option<&dyn BatchSource>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        if train.batches() == 0 {
            return Err(TrainError::Mismatch(
                "there are fewer training images than a batch holds".to_string(),
            ));
        }
        self.progress.fingerprint = self.fingerprint();
        let mut stopped = false;
        while self.progress.epoch < self.config.epochs && !stopped {
            let start = Instant::now();
            let (control, speed, waiting) = self.epoch(train, observer)?;
            if self.progress.batch < train.batches() {
                self.save_last()?;
                stopped = true;
            } else {
                let best = self.finish_epoch(train, val, observer, (start, speed, waiting))?;
                if let Some(record) = self.progress.history.last() {
                    let heard = observer.hear(Event::Validated { record, best });
                    stopped = control == Control::Stop || heard == Control::Stop;
                }
            }
        }
        Ok(Outcome {
            history: self.progress.history.clone(),
            best: self.progress.best,
            stopped: self.progress.epoch < self.config.epochs,
        })
    }

    /// Trains on the rest of the current epoch. Gives images a second and the share of time spent waiting.
    fn epoch(
        &mut self,
        train: &dyn BatchSource,
        observer: &mut dyn Observer,
    ) -> Result<(Control, f64, f64), TrainError> {
        let batches = train.batches();
        let epoch = self.progress.epoch;
        let mut control = observer.hear(Event::Epoch {
            epoch: epoch + 1,
            epochs: self.config.epochs,
            done: self.progress.batch,
            batches,
        });
        let (start, seen) = (Instant::now(), self.progress.meter.images());
        let mut waited = Duration::ZERO;
        let rates = |meter: &Meter, waited: Duration| {
            let elapsed = start.elapsed().as_secs_f64().max(1e-9);
            ((meter.images() - seen) as f64 / elapsed, waited.as_secs_f64() / elapsed)
        };
        let mut stream = train.epoch(epoch, self.progress.batch);
        while control == Control::Continue && self.progress.batch < batches {
            let asked = Instant::now();
            let Some(batch) = stream.next() else { break };
            waited += asked.elapsed();
            self.step(batch?, batches)?;
            self.progress.batch += 1;
            let meter = &self.progress.meter;
            let (images_per_second, waiting) = rates(meter, waited);
            control = observer.hear(Event::Step {
                done: self.progress.batch,
                loss: meter.loss(),
                top1: meter.top1(),
                images_per_second,
                waiting,
            });
        }
        if control == Control::Continue {
            self.progress.batch = batches;
        }
        let (speed, waiting) = rates(&self.progress.meter, waited);
        Ok((control, speed, waiting))
    }

    /// One optimizer step.
    fn step(&mut self, mut batch: Batch, batches: usize) -> Result<(), TrainError> {
        let step = self.progress.step;
        self.progress.step += 1;
        if batch.is_empty() {
            return Ok(()); // every file of the batch was unreadable; the loader has named them
        }
        let classes = self.network.classes();
        let pass = Pass::train(self.config.seed, step);
        let mut pass = pass.with_precision(self.config.precision);
        let logits = self.network.logits(&images(&mut batch)?, &mut pass)?;
        let weights = self.config.class_weights.as_deref();
        let loss = cross_entropy(&logits, &batch.targets, self.config.label_smoothing, weights)?;
        let value: f32 = loss.to_scalar()?;
        let rate = self.rate(step, batches);
        if !value.is_finite() {
            let (epoch, batch) = (self.progress.epoch + 1, self.progress.batch + 1);
            return Err(TrainError::Diverged { loss: value, epoch, batch, rate });
        }
        self.progress.meter.add(
            value,
            &logits.flatten_all()?.to_vec1::<f32>()?,
            classes,
            &batch.targets,
        );
        let mut gradients = pass.backward(&loss)?;
        drop((loss, logits)); // frees the activations
        let params = self.network.params().trainable();
        if step == 0 {
            check_gradients(&params, &gradients)?;
        }
        if let Some(norm) = self.config.clip_norm {
            clip_gradients(&params, &mut gradients, norm)?;
        }
        let head = self.network.params().stages().saturating_sub(1);
        let share = self.config.backbone_rate;
        self.optimizer.step(&params, &gradients, |param| {
            if param.stage() == head { rate } else { rate * share }
        })?;
        Ok(pass.update_statistics()?)
    }

    fn rate(&self, step: u64, batches: usize) -> f64 {
        let batches = batches as u64;
        self.config.schedule.rate(
            self.config.learning_rate,
            step,
            self.config.epochs * batches,
            batches,
        )
    }

    /// Validates, records and saves a whole epoch. Says whether it is the best so far.
    fn finish_epoch(
        &mut self,
        train: &dyn BatchSource,
        val: Option<&dyn BatchSource>,
        observer: &mut dyn Observer,
        (start, images_per_second, waiting): (Instant, f64, f64),
    ) -> Result<bool, TrainError> {
        let rate = self.rate(self.progress.step.saturating_sub(1), train.batches());
        let val = match val {
            Some(val) => Some(
                evaluate(self.network, val, self.config.precision, observer)?.metrics.summary(),
            ),
            None => None,
        };
        let record = EpochRecord {
            epoch: self.progress.epoch + 1,
            rate,
            train_loss: self.progress.meter.loss(),
            train_top1: self.progress.meter.top1(),
            val_loss: val.as_ref().map(|summary| summary.log_loss),
            val_top1: val.as_ref().map(|summary| summary.top1),
            images_per_second,
            waiting,
            seconds: start.elapsed().as_secs_f64(),
        };
        let better = val.as_ref().is_some_and(|val| {
            let best = self.progress.best;
            best.is_none_or(|best| {
                val.top1 > best.top1 || (val.top1 == best.top1 && val.log_loss < best.loss)
            })
        });
        if let Some(val) = val.filter(|_| better) {
            self.progress.best =
                Some(Best { epoch: record.epoch, top1: val.top1, loss: val.log_loss });
        }
        if let Some(events) = &mut self.events {
            events.epoch(&record)?;
        }
        self.progress.history.push(record);
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.progress.meter = Meter::default();
        if better {
            self.save(Self::best)?;
        }
        self.save_last()?;
        Ok(better)
    }

    fn save_last(&self) -> Result<(), TrainError> {
        self.save(Self::last)?;
        let Some(folder) = &self.folder else { return Ok(()) };
        write_whole(&folder.join("epochs.jsonl"), |file| {
            for record in &self.progress.history {
                serde_json::to_writer(&mut *file, record)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn save(&self, path: fn(&Path) -> PathBuf) -> Result<(), TrainError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        Checkpoint::of(self.network, &self.optimizer, &self.progress)?.save(&path(folder))
    }
}

/// Every trainable parameter must have a finite gradient: a layer that cuts the graph would else go
/// unnoticed.
fn check_gradients(params: &[Param], gradients: &ParamGradients) -> Result<(), TrainError> {
    for param in params {
        let wrong = |what: &str| TrainError::Gradient {
            name: param.name().to_string(),
            what: what.to_string(),
        };
        let gradient = gradients.get(param);
        let gradient = gradient.ok_or_else(|| wrong("missing: no gradient reaches it"))?;
        if !gradient.iter().all(|value| value.is_finite()) {
            return Err(wrong("not finite"));
        }
    }
    Ok(())
}

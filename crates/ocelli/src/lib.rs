//! From a folder of photos to a classifier.
//!
//! A [`Recipe`] says what to do, [`finetune`] does it, and a run folder with a model and a report is what
//! comes out:
//!
//! ```no_run
//! use ocelli::{Recipe, finetune, train::Silent};
//!
//! let mut recipe = Recipe::bundled()?;      // the bundled backbone ...
//! recipe.data.path = "photos".into();       // ... learns the classes of photos/CLASS/*.jpg
//! recipe.train.epochs = 5;
//! let run = finetune(&recipe, &mut Silent)?;
//! println!("{}", run.report);
//!
//! let predictor = ocelli::export::open(&run.folder.join("model"))?.into_predictor()?;
//! let photo = std::fs::read("photo.jpg")?;
//! println!("{}", predictor.predict(&photo, 1)?[0].name);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every part can be used alone; the modules re-export the crates: [`core`], [`augment`], [`data`],
//! [`metrics`], [`nn`], [`models`], [`train`], [`export`], [`infer`], [`graph`], [`kernels`].

mod augmentation;
mod bundled;
mod dataset;
mod error;
mod evaluate;
mod network;
pub mod recipe;
mod report;
mod run;
mod threads;

pub use ocelli_augment as augment;
pub use ocelli_core as core;
pub use ocelli_data as data;
pub use ocelli_export as export;
pub use ocelli_graph as graph;
pub use ocelli_infer as infer;
pub use ocelli_kernels as kernels;
pub use ocelli_metrics as metrics;
pub use ocelli_models as models;
pub use ocelli_nn as nn;
pub use ocelli_train as train;

pub use augmentation::{AugmentConfig, Preset};
pub use dataset::{SOLIDS, dataset_folder, open_dataset};
pub use error::Error;
pub use evaluate::{EvaluateConfig, Evaluated, Split, evaluate_model};
pub use network::{BUNDLED, Built, Head, build, open_model};
pub use recipe::Recipe;
pub use run::{Finished, MODEL, RECIPE, REPORT, finetune, resume};
pub use threads::set_threads;

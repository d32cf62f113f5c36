//! One file per command.

pub mod bench;
pub mod dataset;
pub mod evaluate;
pub mod finetune;
pub mod models;
pub mod predict;
pub mod weights;

//! One file per command.

pub mod bench;
pub mod dataset;
pub mod evaluate;
pub mod finetune;
pub mod models;
pub mod peer;
pub mod predict;
pub mod transfer;
pub mod weights;

//! The backbone that comes with the program: see `bundled/README.md`, its model card.

/// `config.json` of the bundled model folder.
pub(crate) const CONFIG: &str = include_str!("../bundled/config.json");
/// `model.safetensors` of the bundled model folder.
pub(crate) const WEIGHTS: &[u8] = include_bytes!("../bundled/model.safetensors");

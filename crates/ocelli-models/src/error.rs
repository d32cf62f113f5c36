//! What can go wrong with a model of the zoo.

use thiserror::Error;

/// What can go wrong with a model of the zoo.
#[derive(Debug, Error)]
pub enum ModelError {
    /// There is no such architecture.
    #[error("unknown model `{name}`{hint}; `ocelli models list` shows all")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest names, if any are near.
        hint: String,
    },
    /// The architecture does not take an argument.
    #[error("{model} does not take the argument {argument}")]
    Argument {
        /// The architecture.
        model: &'static str,
        /// The argument under timm's name.
        argument: &'static str,
    },
    /// The configuration makes no network.
    #[error("{0}")]
    Config(String),
    /// A checkpoint belongs to another network.
    #[error("{checkpoint} does not fit {model}: {reason}")]
    Misfit {
        /// Where the weights came from.
        checkpoint: String,
        /// The architecture.
        model: String,
        /// What differs.
        reason: String,
    },
    /// The network failed.
    #[error(transparent)]
    Network(#[from] ocelli_nn::Error),
}

//! The model folder and the predictor that answers from it.

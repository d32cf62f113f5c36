//! The model zoo, its registry and published weights.

//! The activations that fuse with a normalisation: clamps, whose derivative is 0 or 1.

use crate::activation::Activation;

pub(super) trait Clamp: Copy + Sync {
    fn value(z: f32) -> f32;
    /// Whether the derivative at z is 1. NaN passes, as in PyTorch.
    fn passes(z: f32) -> bool;
}

#[derive(Clone, Copy)]
pub(super) struct Linear;

impl Clamp for Linear {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        z
    }

    #[inline(always)]
    fn passes(_: f32) -> bool {
        true
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl Clamp for Relu {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        if z < 0.0 { 0.0 } else { z }
    }

    #[inline(always)]
    fn passes(z: f32) -> bool {
        let stopped = z <= 0.0;
        !stopped
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu6;

impl Clamp for Relu6 {
    #[inline(always)]
    fn value(z: f32) -> f32 {
        let y = if z < 0.0 { 0.0 } else { z };
        if y > 6.0 { 6.0 } else { y }
    }

    #[inline(always)]
    fn passes(z: f32) -> bool {
        let stopped = (z <= 0.0) | (z >= 6.0);
        !stopped
    }
}

/// A switch that the compiler knows.
#[derive(Clone, Copy)]
pub(super) struct Flag<const ON: bool>;

/// Whether `act` needs a mask.
pub(super) fn is_clamp(act: Activation) -> bool {
    match act {
        Activation::Identity => false,
        Activation::Relu | Activation::Relu6 => true,
        other => panic!("norm: {other:?} does not fuse; apply it with activation::forward"),
    }
}

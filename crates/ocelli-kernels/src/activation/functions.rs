//! One type per activation: its value and the gradient through it, for one element.
//!
//! Comparisons are written so that NaN falls through to x, as in PyTorch.

use crate::math::{normal, sigmoid};

pub(super) trait Function: Copy + Sync {
    fn value(x: f32) -> f32;
    fn gradient(x: f32, dy: f32) -> f32;
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn gradient(x: f32, dy: f32) -> f32 {
        if x <= 0.0 { 0.0 } else { dy }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu6;

impl Function for Relu6 {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        let y = if x < 0.0 { 0.0 } else { x };
        if y > 6.0 { 6.0 } else { y }
    }

    #[inline(always)]
    fn gradient(x: f32, dy: f32) -> f32 {
        if (x <= 0.0) | (x >= 6.0) { 0.0 } else { dy }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Function for Sigmoid {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        sigmoid(x).0
    }

    #[inline(always)]
    fn gradient(x: f32, dy: f32) -> f32 {
        let (s, rest) = sigmoid(x);
        dy * (s * rest)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * sigmoid(x).0
    }

    #[inline(always)]
    fn gradient(x: f32, dy: f32) -> f32 {
        let (s, rest) = sigmoid(x);
        dy * s * (1.0 + x * rest)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSigmoid;

impl Function for HardSigmoid {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        Relu6::value(x + 3.0) * (1.0 / 6.0)
    }

    #[inline(always)]
    fn gradient(x: f32, dy: f32) -> f32 {
        if (x > -3.0) & (x < 3.0) { dy * (1.0 / 6.0) } else { 0.0 }
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSwish;

impl Function for HardSwish {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * HardSigmoid::value(x)
    }

    #[inline(always)]
    fn gradient(x: f32, dy: f32) -> f32 {
        let inside = dy * (x * (1.0 / 3.0) + 0.5);
        let above = if x >= 3.0 { dy } else { inside };
        if x <= -3.0 { 0.0 } else { above }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * normal(x).0
    }

    #[inline(always)]
    fn gradient(x: f32, dy: f32) -> f32 {
        let (distribution, density) = normal(x);
        dy * (distribution + x * density)
    }
}

//! The update rules, each one pass over a parameter and its state.
//!
//! Elements do not depend on each other, so the result does not depend on how many threads share them.

use rayon::prelude::*;

/// Elements that a thread takes at a time.
const CHUNK: usize = 1 << 15;

/// One step of stochastic gradient descent.
pub(super) struct SgdStep {
    pub rate: f32,
    pub momentum: f32,
    pub nesterov: bool,
    pub decay: f32,
}

impl SgdStep {
    /// `g += decay * w; b = momentum * b + g; w -= rate * (nesterov ? g + momentum * b : b)`. A buffer of
    /// zeros is PyTorch's first step, whose buffer is the gradient.
    pub fn with_buffer(&self, weights: &mut [f32], gradient: &[f32], buffer: &mut [f32]) {
        let Self { rate, momentum, nesterov, decay } = *self;
        // What w moves by is `ahead * g + along * b`, without a branch in the loop.
        let (ahead, along) = if nesterov { (1.0, momentum) } else { (0.0, 1.0) };
        in_chunks((weights, gradient, buffer, &mut []), |weights, gradient, buffer, _| {
            for ((w, &g), b) in weights.iter_mut().zip(gradient).zip(buffer) {
                let g = g + decay * *w;
                *b = momentum * *b + g;
                *w -= rate * (ahead * g + along * *b);
            }
        });
    }

    /// The same without momentum.
    pub fn plain(&self, weights: &mut [f32], gradient: &[f32]) {
        let Self { rate, decay, .. } = *self;
        in_chunks((weights, gradient, &mut [], &mut []), |weights, gradient, _, _| {
            for (w, &g) in weights.iter_mut().zip(gradient) {
                *w -= rate * (g + decay * *w);
            }
        });
    }
}

/// One step of Adam or AdamW.
pub(super) struct AdamStep {
    pub beta1: f32,
    pub beta2: f32,
    /// `1 - beta1`, rounded once.
    pub rest1: f32,
    /// `1 - beta2`, rounded once.
    pub rest2: f32,
    /// `rate / (1 - beta1^t)`.
    pub size: f32,
    /// `1 / sqrt(1 - beta2^t)`.
    pub root: f32,
    pub eps: f32,
    /// What is added to the gradient per weight: Adam's decay.
    pub decay: f32,
    /// What the weight is multiplied by first: `1 - rate * decay` in AdamW, else 1.
    pub keep: f32,
}

impl AdamStep {
    /// `w *= keep; g += decay * w; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;`
    /// `w -= size * m / (sqrt(v) * root + eps)`.
    pub fn run(&self, weights: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let Self { beta1, beta2, rest1, rest2, size, root, eps, decay, keep } = *self;
        in_chunks((weights, gradient, mean, square), |weights, gradient, mean, square| {
            for (((w, &g), m), v) in weights.iter_mut().zip(gradient).zip(mean).zip(square) {
                let g = g + decay * *w;
                *m = beta1 * *m + rest1 * g;
                *v = beta2 * *v + rest2 * g * g;
                *w = keep * *w - size * *m / (v.sqrt() * root + eps);
            }
        });
    }
}

/// Weights, gradient and up to two states, whose slices may be empty where a rule has none.
type Slices<'a> = (&'a mut [f32], &'a [f32], &'a mut [f32], &'a mut [f32]);

fn in_chunks(
    (weights, gradient, first, second): Slices<'_>,
    rule: impl Fn(&mut [f32], &[f32], &mut [f32], &mut [f32]) + Sync,
) {
    if weights.len() <= CHUNK {
        return rule(weights, gradient, first, second);
    }
    let pieces: Vec<Slices<'_>> = {
        let mut first = first.chunks_mut(CHUNK);
        let mut second = second.chunks_mut(CHUNK);
        let pairs = weights.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK));
        pairs
            .map(|(weights, gradient)| {
                (
                    weights,
                    gradient,
                    first.next().unwrap_or_default(),
                    second.next().unwrap_or_default(),
                )
            })
            .collect()
    };
    pieces.into_par_iter().for_each(|(weights, gradient, first, second)| {
        rule(weights, gradient, first, second);
    });
}

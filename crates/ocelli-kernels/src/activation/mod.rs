//! Activations, element by element: y = f(x), and dx = dy * f'(x). Definitions are PyTorch's.

mod functions;

use crate::bf16::{Element, Floats, FloatsMut, either, pair};
use crate::isa::multiversion;
use functions::Function;
use rayon::prelude::*;

/// Elements that one task handles.
const BLOCK: usize = 1 << 14;

/// An elementwise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x.
    Identity,
    /// max(x, 0), with derivative 0 at 0.
    Relu,
    /// min(max(x, 0), 6), with derivative 0 at 0 and at 6.
    Relu6,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// x * sigmoid(x), also called swish.
    Silu,
    /// relu6(x + 3) / 6.
    HardSigmoid,
    /// x * relu6(x + 3) / 6.
    HardSwish,
    /// x * Φ(x), Φ the normal distribution function (the erf form, not the tanh approximation).
    Gelu,
}

impl Activation {
    /// The least and the greatest value of those that do nothing else than clamp x.
    pub fn bounds(self) -> Option<[f32; 2]> {
        match self {
            Self::Identity => Some([f32::NEG_INFINITY, f32::INFINITY]),
            Self::Relu => Some([0.0, f32::INFINITY]),
            Self::Relu6 => Some([0.0, 6.0]),
            _ => None,
        }
    }
}

/// y = act(x).
///
/// # Panics
/// When `x` and `y` differ in length or in their width.
pub fn forward<'a, 'b>(act: Activation, x: impl Into<Floats<'a>>, y: impl Into<FloatsMut<'b>>) {
    either!(Floats, x.into(), x => forward_of(act, x, Element::written(y.into())));
}

fn forward_of<T: Element>(act: Activation, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len(), "activation: x and y differ in length");
    match act {
        Activation::Identity => y.copy_from_slice(x),
        Activation::Relu => map(functions::Relu, x, y),
        Activation::Relu6 => map(functions::Relu6, x, y),
        Activation::Sigmoid => map(functions::Sigmoid, x, y),
        Activation::Silu => map(functions::Silu, x, y),
        Activation::HardSigmoid => map(functions::HardSigmoid, x, y),
        Activation::HardSwish => map(functions::HardSwish, x, y),
        Activation::Gelu => map(functions::Gelu, x, y),
    }
}

/// dx = dy * act'(x), where `x` is the input of the forward pass.
///
/// # Panics
/// When `x`, `dy` and `dx` differ in length or in their width.
pub fn backward<'a, 'b>(
    act: Activation,
    x: impl Into<Floats<'a>>,
    dy: impl Into<Floats<'a>>,
    dx: impl Into<FloatsMut<'b>>,
) {
    pair!((x.into(), dy.into()), (x, dy) => backward_of(act, x, dy, Element::written(dx.into())));
}

fn backward_of<T: Element>(act: Activation, x: &[T], dy: &[T], dx: &mut [T]) {
    assert_eq!(x.len(), dy.len(), "activation: x and dy differ in length");
    assert_eq!(x.len(), dx.len(), "activation: x and dx differ in length");
    match act {
        Activation::Identity => dx.copy_from_slice(dy),
        Activation::Relu => pull(functions::Relu, x, dy, dx),
        Activation::Relu6 => pull(functions::Relu6, x, dy, dx),
        Activation::Sigmoid => pull(functions::Sigmoid, x, dy, dx),
        Activation::Silu => pull(functions::Silu, x, dy, dx),
        Activation::HardSigmoid => pull(functions::HardSigmoid, x, dy, dx),
        Activation::HardSwish => pull(functions::HardSwish, x, dy, dx),
        Activation::Gelu => pull(functions::Gelu, x, dy, dx),
    }
}

fn map<F: Function, T: Element>(f: F, x: &[T], y: &mut [T]) {
    let blocks = y.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
    blocks.for_each(|(y, x)| T::wide(x, |x| T::fill(y, |y| map_block(f, x, y))));
}

fn pull<F: Function, T: Element>(f: F, x: &[T], dy: &[T], dx: &mut [T]) {
    let blocks = dx.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).zip(dy.par_chunks(BLOCK));
    blocks.for_each(|((dx, x), dy)| {
        T::wide(x, |x| T::wide(dy, |dy| T::fill(dx, |dx| pull_block(f, x, dy, dx))));
    });
}

multiversion! {
    fn map_block[F: Function](_f: F, x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = F::value(x);
        }
    }
}

multiversion! {
    fn pull_block[F: Function](_f: F, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = F::gradient(x, dy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Activation; 8] = [
        Activation::Identity,
        Activation::Relu,
        Activation::Relu6,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::HardSigmoid,
        Activation::HardSwish,
        Activation::Gelu,
    ];

    fn apply(act: Activation, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        forward(act, x, &mut y);
        y
    }

    fn slopes(act: Activation, x: &[f32]) -> Vec<f32> {
        let mut dx = vec![0.0; x.len()];
        backward(act, x, &vec![1.0; x.len()], &mut dx);
        dx
    }

    #[test]
    fn known_values() {
        let x = [-4.0, -1.0, 0.0, 1.0, 7.0];
        assert_eq!(apply(Activation::Relu, &x), [0.0, 0.0, 0.0, 1.0, 7.0]);
        assert_eq!(apply(Activation::Relu6, &x), [0.0, 0.0, 0.0, 1.0, 6.0]);
        assert_eq!(apply(Activation::HardSigmoid, &x)[..3], [0.0, 2.0 / 6.0, 0.5]);
        assert_eq!(apply(Activation::HardSwish, &x)[4], 7.0);
        assert!((apply(Activation::Gelu, &x)[3] - 0.841_344_7).abs() < 1e-6);
        assert!((apply(Activation::Silu, &x)[1] + 0.268_941_4).abs() < 1e-6);
    }

    #[test]
    fn the_derivative_at_a_corner_is_pytorchs() {
        assert_eq!(slopes(Activation::Relu, &[0.0]), [0.0]);
        assert_eq!(slopes(Activation::Relu6, &[0.0, 6.0]), [0.0, 0.0]);
        assert_eq!(slopes(Activation::HardSigmoid, &[-3.0, 3.0]), [0.0, 0.0]);
        assert_eq!(slopes(Activation::HardSwish, &[-3.0, 3.0]), [0.0, 1.0]);
    }

    #[test]
    fn nan_comes_out_as_nan() {
        for act in ALL {
            assert!(apply(act, &[f32::NAN])[0].is_nan(), "{act:?}");
        }
    }

    #[test]
    fn derivatives_match_central_differences() {
        // Away from the corners at -3, 0, 3 and 6.
        let x: Vec<f32> = (-40..64).map(|i| i as f32 * 0.125 + 0.0625).collect();
        const STEP: f32 = 1.0 / 64.0;
        let shifted = |by: f32| x.iter().map(|v| v + by).collect::<Vec<_>>();
        for act in ALL {
            let (up, down) = (apply(act, &shifted(STEP)), apply(act, &shifted(-STEP)));
            for (i, slope) in slopes(act, &x).into_iter().enumerate() {
                let expected = (f64::from(up[i]) - f64::from(down[i])) / f64::from(2.0 * STEP);
                assert!(
                    (f64::from(slope) - expected).abs() < 1e-4,
                    "{act:?}'({}) = {slope}, {expected}",
                    x[i]
                );
            }
        }
    }
}

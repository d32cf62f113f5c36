//! Elementwise functions.

use ocelli_kernels::activation::{self, Activation};

use crate::numbers::Fresh;
use crate::{Feature, Pass, Result};

/// `act(x)`, elementwise.
pub(crate) fn activation(x: &Feature, act: Activation, pass: &mut Pass) -> Result<Feature> {
    if act == Activation::Identity {
        return Ok(x.clone());
    }
    let narrow = pass.narrows(x.dims());
    let mut y = Fresh::new(x.len(), narrow);
    activation::forward(act, x.numbers().like(narrow).get(), y.get());
    let input = pass.node(x)?;
    let values = x.numbers().clone();
    let backward = input.map(|input| {
        pass.backward_from(move |dy, gradients| {
            let narrow = gradients.is_narrow(input);
            let (dy, values) = (dy.written().like(narrow), values.like(narrow));
            gradients.add_floats(input, values.len(), |dx| {
                activation::backward(act, values.get(), dy.get(), dx);
            });
            Ok(())
        })
    });
    Ok(pass.output(x.dims(), y, backward))
}

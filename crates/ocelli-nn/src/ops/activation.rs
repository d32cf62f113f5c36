//! Elementwise functions.

use ocelli_kernels::activation::{self, Activation};

use crate::memory::Buffer;
use crate::{Feature, Pass, Result};

/// `act(x)`, elementwise.
pub(crate) fn activation(x: &Feature, act: Activation, pass: &mut Pass) -> Result<Feature> {
    if act == Activation::Identity {
        return Ok(x.clone());
    }
    let mut y = Buffer::new(x.values().len());
    activation::forward(act, x.values(), &mut y);
    let input = pass.node(x)?;
    let values = x.numbers().clone();
    let backward = input.map(|input| {
        pass.backward_of(move |dy, gradients| {
            gradients.add(input, dy.len(), |dx| activation::backward(act, &values.wide(), dy, dx));
            Ok(())
        })
    });
    Ok(pass.output(x.dims(), y, backward))
}

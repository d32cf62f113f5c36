//! Pooling, channels last.

use ocelli_kernels::pool::{self, Divisor, PoolShape};

use crate::memory::Buffer;
use crate::numbers::Fresh;
use crate::values::Values;
use crate::{Error, Feature, Pass, Result};

fn output(shape: &PoolShape) -> [usize; 4] {
    let [height, width] = shape.output();
    [shape.batch, height, width, shape.channels]
}

/// The largest value of each window.
pub(crate) fn max_pool(x: &Feature, shape: PoolShape, pass: &mut Pass) -> Result<Feature> {
    let input = pass.node(x)?;
    let mut y = Fresh::new(shape.y_len(), pass.narrows(&output(&shape)));
    let mut taps = if input.is_some() { vec![0; shape.y_len()] } else { Vec::new() };
    pool::max_forward(&shape, x.source(), y.get(), input.map(|_| &mut taps[..]));
    // Kept for the sums that a norm will want of its gradient; numbers are not needed.
    let x = x.kept().norm();
    let backward = input.map(|input| {
        pass.backward_from(move |dy, gradients| {
            let (dy, norm) = (dy.written(), x.as_ref().map(|(x, norm)| (&**norm, x.get())));
            let mut dx = gradients.fresh(input, shape.x_len());
            let sums = pool::max_backward(&shape, dy.get(), &taps, norm, dx.get());
            gradients.add_values(input, Values::gradient(dx, sums));
            Ok(())
        })
    });
    Ok(pass.output(&output(&shape), y, backward))
}

/// The mean of each window.
pub(crate) fn average_pool(
    x: &Feature,
    shape: PoolShape,
    divisor: Divisor,
    pass: &mut Pass,
) -> Result<Feature> {
    let mut y = Buffer::new(shape.y_len());
    pool::average_forward(&shape, divisor, &x.numbers().wide(), &mut y);
    let backward = pass.node(x)?.map(|input| {
        pass.backward_of(move |dy, gradients| {
            gradients.add(input, shape.x_len(), |dx| {
                pool::average_backward(&shape, divisor, dy, dx);
            });
            Ok(())
        })
    });
    Ok(pass.output(&output(&shape), y, backward))
}

/// `[N, H, W, C]` to `[N, C]`: the mean over all pixels.
pub(crate) fn global_average_pool(path: &str, x: &Feature, pass: &mut Pass) -> Result<Feature> {
    let &[batch, height, width, channels] = x.dims() else {
        return Err(Error::shape(path, format!("wants [N, H, W, C], not {:?}", x.dims())));
    };
    let pixels = height * width;
    let mut y = Buffer::new(batch * channels);
    pool::global_average_forward(batch, pixels, channels, x.numbers().get(), &mut y);
    let len = x.len();
    let backward = pass.node(x)?.map(|input| {
        pass.backward_of(move |dy, gradients| {
            gradients.add_floats(input, len, |dx| {
                pool::global_average_backward(batch, pixels, channels, dy, dx);
            });
            Ok(())
        })
    });
    Ok(pass.output(&[batch, channels], y, backward))
}

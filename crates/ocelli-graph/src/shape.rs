//! The shape each operation gives, worked out from its inputs and weights alone.

use crate::{Op, Padding};

type Shape = Vec<usize>;
type Check<T> = Result<T, String>;

/// The output shape of `op`, without the batch axis.
pub(crate) fn infer<'a>(
    op: &Op,
    inputs: &[&[usize]],
    weight: &impl Fn(&str) -> Option<&'a [usize]>,
) -> Check<Shape> {
    let declared =
        |name: &str| weight(name).ok_or_else(|| format!("the weight `{name}` is not declared"));
    match op {
        Op::Conv { weight, bias, kernel, stride, padding, dilation, groups } => {
            let [channels, height, width] = map(one(inputs)?)?;
            let filters = declared(weight)?;
            let &[out, per_group, rows, columns] = filters else {
                return Err(format!("`{weight}` has the shape {filters:?}, not [O, I, kH, kW]"));
            };
            if *groups == 0
                || out % groups != 0
                || per_group * groups != channels
                || [rows, columns] != *kernel
            {
                return Err(format!(
                    "`{weight}` {filters:?} does not fit {channels} channels in {groups} groups with a {kernel:?} kernel"
                ));
            }
            expect(bias.as_deref(), &[out], &declared)?;
            let spans = [(rows - 1) * dilation[0] + 1, (columns - 1) * dilation[1] + 1];
            let [height, width] = windows([height, width], spans, *stride, padding, false)?;
            Ok(vec![out, height, width])
        }
        Op::BatchNorm { weight, bias, mean, var, .. } => {
            let input = one(inputs)?;
            for name in [weight, bias, mean, var] {
                expect(Some(name), &input[..1], &declared)?;
            }
            Ok(input.to_vec())
        }
        Op::Linear { weight, bias } => {
            let &[features] = one(inputs)? else {
                return Err(format!("wants [C], not {:?}", inputs[0]));
            };
            let &[out, wanted] = declared(weight)? else {
                return Err(format!("`{weight}` is not [O, C]"));
            };
            if wanted != features {
                return Err(format!("`{weight}` wants {wanted} features, not {features}"));
            }
            expect(bias.as_deref(), &[out], &declared)?;
            Ok(vec![out])
        }
        Op::Activation(_) => Ok(one(inputs)?.to_vec()),
        Op::MaxPool { kernel, stride, padding, ceil_mode }
        | Op::AveragePool { kernel, stride, padding, ceil_mode, .. } => {
            let [channels, height, width] = map(one(inputs)?)?;
            let [height, width] = windows([height, width], *kernel, *stride, padding, *ceil_mode)?;
            Ok(vec![channels, height, width])
        }
        Op::GlobalAveragePool => Ok(vec![map(one(inputs)?)?[0]]),
        Op::Flatten => Ok(vec![one(inputs)?.iter().product()]),
        Op::Add => {
            let [a, b] = two(inputs)?;
            if a == b { Ok(a.to_vec()) } else { Err(format!("cannot add {b:?} to {a:?}")) }
        }
        Op::Multiply => {
            let [a, b] = two(inputs)?;
            if a == b || b == &a[..1] {
                Ok(a.to_vec())
            } else {
                Err(format!("cannot multiply {a:?} by {b:?}"))
            }
        }
        Op::Concat => {
            let first = *inputs.first().ok_or("wants at least one input")?;
            if inputs.iter().any(|shape| shape.len() != first.len() || shape[1..] != first[1..]) {
                return Err(format!("inputs differ beyond their channels: {inputs:?}"));
            }
            let channels = inputs.iter().map(|shape| shape[0]).sum();
            Ok(std::iter::once(channels).chain(first[1..].iter().copied()).collect())
        }
        Op::PadChannels { before, after } => {
            let [channels, height, width] = map(one(inputs)?)?;
            Ok(vec![before + channels + after, height, width])
        }
    }
}

fn one<'a>(inputs: &[&'a [usize]]) -> Check<&'a [usize]> {
    match inputs {
        [input] if !input.is_empty() => Ok(input),
        _ => Err(format!("wants one input, not {}", inputs.len())),
    }
}

fn two<'a>(inputs: &[&'a [usize]]) -> Check<[&'a [usize]; 2]> {
    inputs.try_into().map_err(|_| format!("wants two inputs, not {}", inputs.len()))
}

fn map(shape: &[usize]) -> Check<[usize; 3]> {
    shape.try_into().map_err(|_| format!("wants [C, H, W], not {shape:?}"))
}

fn expect<'a>(
    name: Option<&str>,
    shape: &[usize],
    declared: &impl Fn(&str) -> Check<&'a [usize]>,
) -> Check<()> {
    match name.map(|name| (name, declared(name))) {
        Some((name, found)) if found.clone()? != shape => {
            Err(format!("`{name}` has the shape {:?}, not {shape:?}", found?))
        }
        _ => Ok(()),
    }
}

/// The number of windows along each axis, by PyTorch's rule: in ceil mode the last window must start
/// inside the input or the padding before it.
fn windows(
    size: [usize; 2],
    span: [usize; 2],
    stride: [usize; 2],
    padding: &Padding,
    ceil_mode: bool,
) -> Check<[usize; 2]> {
    let pads = [(padding.top, padding.bottom), (padding.left, padding.right)];
    let count = |axis: usize| {
        let (before, after) = pads[axis];
        let room = (size[axis] + before + after).checked_sub(span[axis]);
        let room = room.filter(|_| stride[axis] > 0).ok_or_else(|| {
            format!("a window of {span:?} does not fit {size:?} with padding {padding:?}")
        })?;
        let whole = room / stride[axis] + 1;
        let partial = ceil_mode
            && !room.is_multiple_of(stride[axis])
            && whole * stride[axis] < size[axis] + before;
        Ok::<_, String>(whole + usize::from(partial))
    };
    Ok([count(0)?, count(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceil_mode_adds_a_window_that_starts_inside() {
        let none = Padding::default();
        // SqueezeNet's pools: 3 wide, stride 2, at 111 and 55 and 27 (exact), and at 112 (not).
        assert_eq!(windows([111, 112], [3, 3], [2, 2], &none, true), Ok([55, 56]));
        assert_eq!(windows([111, 112], [3, 3], [2, 2], &none, false), Ok([55, 55]));
        // The last window would start in the padding behind: it does not count.
        let padded = Padding { top: 1, bottom: 1, left: 1, right: 1 };
        assert_eq!(windows([4, 4], [2, 2], [3, 3], &padded, true), Ok([2, 2]));
        assert!(windows([2, 2], [3, 3], [1, 1], &none, false).is_err());
    }
}

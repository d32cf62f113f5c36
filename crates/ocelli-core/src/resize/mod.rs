//! Resizing with Pillow's antialiased filters, value for value.
//!
//! As in Pillow the horizontal pass comes first, weights are integers of 22 bits, and between the passes
//! stand eight bits, which clip a cubic filter's overshoot: the other order, or weights of 16 bits,
//! would differ at hard edges.

mod passes;
#[cfg(test)]
mod tests;
mod weights;

use std::ops::Range;

use crate::{Image, Interpolation};
use passes::View;
use weights::Weights;

/// Resizes a whole image to `width` x `height` pixels; the same size is an exact copy. Sides of zero
/// become one.
pub fn resize(image: &Image, width: usize, height: usize, filter: Interpolation) -> Image {
    resize_region(
        image,
        [0.0, 0.0, image.width() as f64, image.height() as f64],
        width,
        height,
        filter,
    )
}

/// Crops the box (x, y, width, height), in whole pixels, and resizes it: pixels outside the box have no
/// influence (torchvision's `resized_crop`). The box is clamped to the image.
pub fn resize_crop(
    image: &Image,
    region: [usize; 4],
    width: usize,
    height: usize,
    filter: Interpolation,
) -> Image {
    let inside = |start: usize, length: usize, side: usize| {
        let start = start.min(side - 1);
        start..start + length.clamp(1, side - start)
    };
    let columns = inside(region[0], region[2], image.width());
    let rows = inside(region[1], region[3], image.height());
    let [across, down] = [Axis::whole(columns.len(), width), Axis::whole(rows.len(), height)];
    resample(&View::new(image, columns, rows), &across, &down, filter)
}

/// Resizes the box (x, y, width, height), which need not fall on whole pixels. Pixels beside the box are
/// weighed in at its edges, as with Pillow's `box=`. The box is clamped to the image.
pub fn resize_region(
    image: &Image,
    region: [f64; 4],
    width: usize,
    height: usize,
    filter: Interpolation,
) -> Image {
    let across = Axis::region(region[0], region[2], image.width(), width);
    let down = Axis::region(region[1], region[3], image.height(), height);
    resample(&View::whole(image), &across, &down, filter)
}

/// Resizes a whole image to `size` = (height, width) and cuts out `rows` and `columns` of the result,
/// without computing the rest of it. Both must lie within the size.
pub(crate) fn resize_window(
    image: &Image,
    size: [usize; 2],
    [rows, columns]: [Range<usize>; 2],
    filter: Interpolation,
) -> Image {
    let across = Axis { kept: columns, ..Axis::whole(image.width(), size[1]) };
    let down = Axis { kept: rows, ..Axis::whole(image.height(), size[0]) };
    resample(&View::whole(image), &across, &down, filter)
}

/// What happens to one side of an image.
#[derive(Debug)]
struct Axis {
    /// Pixels of the source.
    source: usize,
    /// Where in the source the result starts, in pixels.
    start: f64,
    /// How much of the source becomes the result, in pixels.
    length: f64,
    /// Pixels that it becomes.
    target: usize,
    /// Those of them that are computed.
    kept: Range<usize>,
}

impl Axis {
    fn whole(source: usize, target: usize) -> Self {
        let target = target.max(1);
        Self { source, start: 0.0, length: source as f64, target, kept: 0..target }
    }

    fn region(start: f64, length: f64, source: usize, target: usize) -> Self {
        const LEAST: f64 = 1.0 / 1024.0; // exact, so that the bounds of the clamps cannot cross
        let side = source as f64;
        let start = if start.is_finite() { start.clamp(0.0, side - LEAST) } else { 0.0 };
        let length =
            if length.is_finite() { length.clamp(LEAST, side - start) } else { side - start };
        Self { start, length, ..Self::whole(source, target) }
    }

    /// Whether every pixel stays as and where it is.
    fn is_identity(&self) -> bool {
        self.start == 0.0 && self.length == self.target as f64 && self.kept == (0..self.source)
    }
}

fn resample(view: &View, across: &Axis, down: &Axis, filter: Interpolation) -> Image {
    let (width, height) = (across.kept.len(), down.kept.len());
    let down_weights = (!down.is_identity()).then(|| Weights::new(down, filter));
    let rows = down_weights.as_ref().map_or(0..down.source, Weights::needed);
    let narrowed = if across.is_identity() {
        view.pixels(rows.clone())
    } else {
        passes::horizontal(view, rows.clone(), &Weights::new(across, filter))
    };
    let pixels = match down_weights {
        Some(weights) => passes::vertical(&narrowed, rows.start, width * 3, &weights),
        None => narrowed,
    };
    debug_assert_eq!(pixels.len(), width * height * 3);
    Image::new(width, height, pixels).unwrap_or_else(|_| Image::filled(width, height, [0; 3]))
}

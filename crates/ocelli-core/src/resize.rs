//! Resizing with Pillow's antialiased filters, to within one grey level of Pillow.
//!
//! The convolutions are fast_image_resize's. It is asked for the two directions one by one, the
//! horizontal first as in Pillow: the eight bits between them clip a cubic filter's overshoot, so the
//! other order differs by many levels at hard edges.

use std::cell::RefCell;

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ImageView, ResizeAlg, ResizeOptions, Resizer};

use crate::{Image, Interpolation};

thread_local! {
    /// Keeps its buffers from one image to the next.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

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
    let [x, w] = inside(region[0], region[2], image.width());
    let [y, h] = inside(region[1], region[3], image.height());
    let (width, height) = (width.max(1), height.max(1));
    let pixels = view(image).and_then(|whole| {
        let part = TypedCroppedImage::new(whole, x as u32, y as u32, w as u32, h as u32).ok()?;
        resample(&part, [0.0, 0.0, w as f64, h as f64], width, height, filter)
    });
    from_pixels(width, height, pixels)
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
    let (width, height) = (width.max(1), height.max(1));
    let [x, w] = within(region[0], region[2], image.width());
    let [y, h] = within(region[1], region[3], image.height());
    let pixels =
        view(image).and_then(|whole| resample(&whole, [x, y, w, h], width, height, filter));
    from_pixels(width, height, pixels)
}

fn view(image: &Image) -> Option<TypedImageRef<'_, U8x3>> {
    TypedImageRef::from_buffer(image.width() as u32, image.height() as u32, image.pixels()).ok()
}

/// Sizes are checked before, so there always are pixels; a failure would show as black, not as a panic.
fn from_pixels(width: usize, height: usize, pixels: Option<Vec<u8>>) -> Image {
    let resized = pixels.and_then(|pixels| Image::new(width, height, pixels).ok());
    debug_assert!(resized.is_some(), "the resizer refused {width} x {height}");
    resized.unwrap_or_else(|| Image::filled(width, height, [0; 3]))
}

fn inside(start: usize, length: usize, side: usize) -> [usize; 2] {
    let start = start.min(side - 1);
    [start, length.clamp(1, side - start)]
}

/// A start and length, both finite, such that `start + length` is not beyond the side by a rounding.
fn within(start: f64, length: f64, side: usize) -> [f64; 2] {
    const LEAST: f64 = 1.0 / 1024.0; // exact, so that the bounds of the clamps cannot cross
    let side = side as f64;
    let start = if start.is_finite() { start.clamp(0.0, side - LEAST) } else { 0.0 };
    let mut length =
        if length.is_finite() { length.clamp(LEAST, side - start) } else { side - start };
    while start + length > side {
        length = length.next_down();
    }
    [start, length]
}

/// Both passes, each only where it changes something.
fn resample(
    source: &impl ImageView<Pixel = U8x3>,
    [x, y, w, h]: [f64; 4],
    width: usize,
    height: usize,
    filter: Interpolation,
) -> Option<Vec<u8>> {
    let across = w != width as f64 || x.fract() != 0.0;
    let down = h != height as f64 || y.fract() != 0.0;
    if !(across && down) {
        return pass(source, [x, y, w, h], width, height, filter);
    }
    let rows = rows_needed([y, h], height, source.height(), filter);
    let (top, count) = (f64::from(rows[0]), (rows[1] - rows[0]) as usize);
    let between = pass(source, [x, top, w, count as f64], width, count, filter)?;
    let between = TypedImageRef::from_buffer(width as u32, count as u32, &between).ok()?;
    pass(&between, [0.0, y - top, width as f64, h], width, height, filter)
}

fn pass(
    source: &impl ImageView<Pixel = U8x3>,
    [x, y, w, h]: [f64; 4],
    width: usize,
    height: usize,
    filter: Interpolation,
) -> Option<Vec<u8>> {
    let mut pixels = vec![0; width * height * 3];
    let mut out = TypedImage::<U8x3>::from_buffer(width as u32, height as u32, &mut pixels).ok()?;
    let filter = match filter {
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Bicubic => FilterType::CatmullRom,
    };
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .use_alpha(false)
        .crop(x, y, w, h);
    RESIZER.with_borrow_mut(|resizer| resizer.resize_typed(source, &mut out, &options)).ok()?;
    Some(pixels)
}

/// First and one past the last source row that the vertical filter looks at, perhaps one more.
fn rows_needed([y, h]: [f64; 2], height: usize, rows: u32, filter: Interpolation) -> [u32; 2] {
    let scale = h / height as f64;
    let radius = scale.max(1.0)
        * match filter {
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
        };
    let first = (y + 0.5 * scale - radius).floor() - 1.0;
    let last = (y + h - 0.5 * scale + radius).ceil() + 1.0;
    [first.max(0.0) as u32, (last as u32).min(rows)]
}

#[cfg(test)]
mod tests;

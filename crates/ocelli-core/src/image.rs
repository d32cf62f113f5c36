//! An 8-bit RGB image, the only pixel format between the decoder and the network.

use std::fmt;

use thiserror::Error;

/// Bytes per pixel: red, green, blue.
const CHANNELS: usize = 3;

/// 8-bit sRGB pixels in row-major order, `[height, width, 3]`; at least one pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Why pixels do not make an [`Image`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// A side is zero.
    #[error("an image needs at least one pixel, not {width} x {height}")]
    Empty {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The buffer's length is not `height * width * 3`.
    #[error("{width} x {height} RGB pixels take {expected} bytes, not {found}")]
    Length {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// `height * width * 3`.
        expected: usize,
        /// The length given.
        found: usize,
    },
}

impl Image {
    /// Takes pixels in `[height, width, 3]` order.
    ///
    /// # Errors
    /// Where a side is zero or the length is not `height * width * 3`.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::Empty { width, height });
        }
        let expected = width.saturating_mul(height).saturating_mul(CHANNELS);
        if pixels.len() != expected {
            return Err(ImageError::Length { width, height, expected, found: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// An image of one colour. Sides of zero become one.
    pub fn filled(width: usize, height: usize, rgb: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, pixels: rgb.repeat(width * height) }
    }

    /// An image whose pixel at (x, y) is `color(x, y)`. Sides of zero become one.
    pub fn from_fn(
        width: usize,
        height: usize,
        mut color: impl FnMut(usize, usize) -> [u8; 3],
    ) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let pixels = (0..width * height).flat_map(|i| color(i % width, i / width)).collect();
        Self { width, height, pixels }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All pixels, `[height, width, 3]`, to change in place.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The pixels themselves, `[height, width, 3]`.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// One row, `[width, 3]`.
    ///
    /// # Panics
    /// Where `y` is not below [`height`](Self::height).
    pub fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.width * CHANNELS..][..self.width * CHANNELS]
    }

    /// Red, green and blue at column `x` of row `y`.
    ///
    /// # Panics
    /// Outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = x * CHANNELS;
        let row = self.row(y);
        [row[at], row[at + 1], row[at + 2]]
    }
}

/// The size and the first pixel: a failed comparison must not print a million numbers.
impl fmt::Debug for Image {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Image({} x {}, {:?} ...)", self.width, self.height, self.pixel(0, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_row_major() {
        let image = Image::from_fn(3, 2, |x, y| [x as u8, y as u8, 9]);
        assert_eq!(image.pixel(2, 1), [2, 1, 9]);
        assert_eq!(image.row(1), &[0, 1, 9, 1, 1, 9, 2, 1, 9]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert_eq!(Image::new(0, 4, vec![]), Err(ImageError::Empty { width: 0, height: 4 }));
        let error = Image::new(2, 2, vec![0; 11]).unwrap_err();
        assert_eq!(error.to_string(), "2 x 2 RGB pixels take 12 bytes, not 11");
    }
}

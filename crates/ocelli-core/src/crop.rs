//! Cutting rectangles out of images.

use crate::Image;

/// Cuts out `width` x `height` pixels whose upper left corner is (`left`, `top`) of the image. What lies
/// outside the image gets the colour `fill`, so corners may be negative. Sides of zero become one.
pub fn crop(
    image: &Image,
    [left, top]: [isize; 2],
    width: usize,
    height: usize,
    fill: [u8; 3],
) -> Image {
    let mut out = Image::filled(width, height, fill);
    let width = out.width();
    // The columns of the result, and of the image, that both have.
    let start = left.min(0).unsigned_abs().min(width);
    let from = left.max(0).unsigned_abs().min(image.width());
    let count = (width - start).min(image.width() - from) * 3;
    for (y, row) in out.pixels_mut().chunks_exact_mut(width * 3).enumerate() {
        let source = top.saturating_add_unsigned(y);
        if (0..image.height() as isize).contains(&source) {
            let pixels = &image.row(source.unsigned_abs())[from * 3..][..count];
            row[start * 3..][..count].copy_from_slice(pixels);
        }
    }
    out
}

/// Cuts `size` = (height, width) out of the middle as torchvision's `CenterCrop` does: an image that is
/// too small is padded with black.
pub fn center_crop(image: &Image, size: [usize; 2]) -> Image {
    let corner = [center(image.width(), size[1]), center(image.height(), size[0])];
    crop(image, corner, size[1], size[0], [0; 3])
}

/// Where a centred window of `inner` pixels starts on a side of `outer` pixels; negative where it is
/// larger. Rounds as Python's `round` does: a half goes to the even neighbour.
pub(crate) fn center(outer: usize, inner: usize) -> isize {
    if outer < inner {
        return -(((inner - outer) / 2) as isize);
    }
    let margin = outer - inner;
    (margin / 2 + usize::from(margin % 4 == 3)) as isize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        // Python: round(0.5), round(1.5), round(2.5), round(3.5) = 0, 2, 2, 4
        assert_eq!([1, 3, 5, 7].map(|outer| center(outer, 0)), [0, 2, 2, 4]);
        assert_eq!(
            [(3, 4), (3, 5), (3, 6)].map(|(outer, inner)| center(outer, inner)),
            [0, -1, -1]
        );
    }

    #[test]
    fn what_is_outside_is_filled() {
        let image = Image::from_fn(3, 2, |x, y| [x as u8, y as u8, 1]);
        let out = crop(&image, [-1, -1], 3, 2, [9; 3]);
        assert_eq!(out.row(0), [9; 9]);
        assert_eq!(out.row(1), [9, 9, 9, 0, 0, 1, 1, 0, 1]);
        assert_eq!(crop(&image, [2, 1], 2, 1, [9; 3]).pixels(), [2, 1, 1, 9, 9, 9]);
        for corner in [[-9, 0], [9, 0], [0, -9], [0, 9], [isize::MIN, isize::MAX]] {
            assert_eq!(crop(&image, corner, 2, 2, [7; 3]), Image::filled(2, 2, [7; 3]));
        }
    }
}

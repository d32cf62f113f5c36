//! JPEG: baseline and progressive, gray, YCbCr, RGB, CMYK and YCCK.
//!
//! zune-jpeg is used directly, not through the `image` crate, for one reason: there it runs in its
//! lenient mode, which fills what is missing from a damaged file with gray and reports success.

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{DecodeError, DecodeLimits, Format, damaged, rgb, unsupported, upright};
use crate::Image;

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Image, DecodeError> {
    // Lenient with headers: padding between segments is common and harmless.
    let (mut decoder, (width, height), orientation) = header(bytes, limits)?;
    let color = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        // From CMYK and YCCK too, which zune-jpeg takes as inverted, like Adobe's files and Pillow.
        _ => ColorSpace::RGB,
    };
    // Strict with the picture: a block that cannot be decoded is damage.
    decoder.set_options(options().set_strict_mode(true).jpeg_set_out_colorspace(color));
    let pixels = decoder.decode().map_err(reason)?;
    if !ends(bytes) {
        return Err(damaged(Format::Jpeg, "the end marker is missing"));
    }
    let pixels = match color {
        ColorSpace::Luma => rgb::from_channels(1, pixels),
        _ => pixels,
    };
    rgb::oriented(Format::Jpeg, (width, height), pixels, orientation)
}

pub(super) fn dimensions(
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<(usize, usize), DecodeError> {
    let (_, size, orientation) = header(bytes, limits)?;
    Ok(upright(size, orientation))
}

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

fn header<'a>(
    bytes: &'a [u8],
    limits: &DecodeLimits,
) -> Result<(Decoder<'a>, (u32, u32), Orientation), DecodeError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(reason)?;
    let info = decoder.info().ok_or_else(|| damaged(Format::Jpeg, "it has no header"))?;
    limits.check_pixels(info.width.into(), info.height.into())?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok((
        decoder,
        (info.width.into(), info.height.into()),
        orientation.unwrap_or(Orientation::NoTransforms),
    ))
}

/// Our own limit bounds the size, so that the message can name it.
fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
}

fn reason(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::Unsupported(_) => unsupported(Format::Jpeg, error),
        other => damaged(Format::Jpeg, other),
    }
}

/// Whether an end marker follows the start of the first scan. Thumbnails, which have an end marker of
/// their own, stand in segments before it, and entropy-coded data has a zero after each 0xff.
fn ends(bytes: &[u8]) -> bool {
    bytes[first_scan(bytes)..].windows(2).rev().any(|pair| pair == [0xff, 0xd9])
}

/// Where the first scan starts: walks the segments behind the start marker by their lengths.
fn first_scan(bytes: &[u8]) -> usize {
    let mut at = 2;
    while let Some(&[first, marker, high, low]) = bytes.get(at..at + 4) {
        match (first, marker) {
            (0xff, 0xda) => return at,
            (0xff, 0x01..=0xfe) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
            _ => at += 1, // padding between segments
        }
    }
    bytes.len()
}

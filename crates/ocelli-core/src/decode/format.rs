//! Which format some bytes are in, told from the bytes alone.

use image::ImageFormat;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    Gif,
    WebP,
    Tiff,
    Bmp,
    Pnm,
    Tga,
}

impl Format {
    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Bmp => "BMP",
            Self::Pnm => "PNM",
            Self::Tga => "TGA",
        }
    }

    /// What the `image` crate calls it.
    pub(super) fn of_image_crate(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Gif => ImageFormat::Gif,
            Self::WebP => ImageFormat::WebP,
            Self::Tiff => ImageFormat::Tiff,
            Self::Bmp => ImageFormat::Bmp,
            Self::Pnm => ImageFormat::Pnm,
            Self::Tga => ImageFormat::Tga,
        }
    }
}

/// The format of a file's bytes, if it is one that is read.
pub(super) fn of(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::WebP),
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => Some(Format::Tiff),
        [b'B', b'M', ..] if bytes.len() >= 26 && bytes[15..18] == [0; 3] => Some(Format::Bmp),
        [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] => Some(Format::Pnm),
        _ => is_tga(bytes).then_some(Format::Tga),
    }
}

/// TGA has no signature at its start: version 2 has one at its end, and for version 1 all that can be
/// asked is whether the 18 bytes of the header make sense together.
fn is_tga(bytes: &[u8]) -> bool {
    let &[
        _,
        map_kind,
        kind,
        _,
        _,
        _,
        _,
        map_bits,
        _,
        _,
        _,
        _,
        w0,
        w1,
        h0,
        h1,
        depth,
        descriptor,
        ..,
    ] = bytes
    else {
        return false;
    };
    let sized = [w0, w1] != [0; 2] && [h0, h1] != [0; 2];
    let consistent = match (kind, map_kind) {
        (1 | 9, 1) => matches!(depth, 8 | 16) && matches!(map_bits, 15 | 16 | 24 | 32),
        (2 | 10, 0 | 1) => matches!(depth, 15 | 16 | 24 | 32),
        (3 | 11, 0 | 1) => matches!(depth, 8 | 16),
        _ => false,
    };
    sized && consistent && (descriptor & 0xc0 == 0 || bytes.ends_with(b"TRUEVISION-XFILE.\0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_image() {
        for text in [
            "hello, this is a text file named .jpg",
            "BM is how this sentence begins, oddly",
            "P5",
            "GIF",
        ] {
            assert_eq!(of(text.as_bytes()), None, "{text}");
        }
        assert_eq!(of(b"P5 2 2 255\n"), Some(Format::Pnm));
        assert_eq!(of(&[0; 100]), None);
    }
}

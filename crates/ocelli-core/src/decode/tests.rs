//! Decoding against Pillow, and files that are not as they should be.

use std::path::Path;

use image::{ExtendedColorType, ImageEncoder};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::SampleError;
use crate::testing::{farthest, hex, sizes};

fn golden() -> Vec<Value> {
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/golden/decode.json")).unwrap();
    golden["files"].as_array().unwrap().clone()
}

fn file(name: &str) -> Vec<u8> {
    hex(&golden().iter().find(|entry| entry["name"] == name).unwrap()["file"])
}

fn read(bytes: &[u8]) -> Result<Image, DecodeError> {
    decode(bytes, &DecodeLimits::default())
}

/// Lossless formats give Pillow's pixels, alpha to one level; JPEG differs by a few levels of rounding.
#[test]
fn files_decode_as_in_pillow() {
    for entry in golden() {
        let name = entry["name"].as_str().unwrap();
        let bytes = hex(&entry["file"]);
        let image = read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let [width, height] = sizes(&entry["size"]);
        assert_eq!((image.width(), image.height()), (width, height), "{name}");
        assert_eq!(
            dimensions(&bytes, &DecodeLimits::default()).unwrap(),
            (width, height),
            "{name}"
        );
        let allowed = match name {
            _ if name.starts_with("jpeg") => 4,
            _ if name.contains("alpha") || name.contains("cmyk") => 1,
            _ => 0,
        };
        let difference = farthest(&image, &hex(&entry["pixels"]));
        assert!(difference <= allowed, "{name}: {difference} levels from Pillow");
    }
}

#[test]
fn a_jpeg_cut_anywhere_is_damaged() {
    for name in ["jpeg 4:2:0", "jpeg progressive", "jpeg gray"] {
        let whole = file(name);
        for length in 3..whole.len() {
            let error = read(&whole[..length]).map(drop).expect_err("a cut file");
            assert!(
                matches!(error, DecodeError::Damaged { .. }),
                "{name} cut at {length}: {error}"
            );
        }
    }
}

#[test]
fn other_formats_cut_in_the_middle_are_errors() {
    for name in [
        "PNG orientation 6",
        "WEBP orientation 6",
        "TIFF orientation 6",
        "gif",
        "bmp palette",
        "tga alpha",
        "pgm",
    ] {
        let whole = file(name);
        assert!(read(&whole[..whole.len() * 2 / 3]).is_err(), "{name}");
    }
}

#[test]
fn harmless_surplus_bytes_in_a_jpeg_are_accepted() {
    let plain = file("jpeg 4:2:0");
    let expected = read(&plain).unwrap();
    let behind = [plain.as_slice(), b"left over"].concat();
    let before_end = [&plain[..plain.len() - 2], &[0; 9], &[0xff, 0xd9]].concat();
    let tables = plain.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    let between = [&plain[..tables], &[0; 9], &plain[tables..]].concat();
    for bytes in [behind, before_end, between] {
        assert_eq!(read(&bytes).unwrap(), expected);
    }
}

/// A thumbnail's end marker, inside a segment, does not make a cut file whole.
#[test]
fn an_end_marker_inside_a_segment_does_not_count() {
    let plain = file("jpeg gray");
    let comment =
        [&plain[..2], &[0xff, 0xfe, 0, 4, 0xff, 0xd9], &plain[2..plain.len() - 2]].concat();
    assert!(matches!(read(&comment), Err(DecodeError::Damaged { .. })));
}

#[test]
fn interlaced_and_16_bit_pngs_are_read() {
    // 2 x 1, RGBA of 16 bits: the high byte counts.
    let mut bytes = Vec::new();
    let samples: [u16; 8] = [0x12ff, 0x34ff, 0x5600, 0xffff, 0xffff, 0, 0, 0];
    let raw: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.write_image(&raw, 2, 1, ExtendedColorType::Rgba16).unwrap();
    assert_eq!(read(&bytes).unwrap().pixels(), [0x12, 0x34, 0x56, 255, 255, 255]);
}

#[test]
fn what_is_no_image_says_so() {
    assert!(matches!(read(b""), Err(DecodeError::Empty)));
    for text in
        [b"a text file named .jpg".as_slice(), b"\0", &[0; 64], b"P4", b"<svg xmlns='...'/>"]
    {
        assert!(matches!(read(text), Err(DecodeError::Format)));
    }
}

#[test]
fn limits_come_before_memory() {
    // A header that promises 60,000 x 60,000 pixels, and no data.
    let mut bomb = file("PNG orientation 6");
    bomb.truncate(33);
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let limits = DecodeLimits::default();
    for bytes in [bomb.as_slice(), b"P6 60000 60000 255\n", &file("jpeg 4:4:4")] {
        let limits = if bytes[0] == 0xff {
            DecodeLimits { max_pixels: 19 * 14 - 1, ..limits }
        } else {
            limits
        };
        let error = decode(bytes, &limits).map(drop).unwrap_err();
        assert!(!matches!(error, DecodeError::Format | DecodeError::Unsupported { .. }), "{error}");
    }
    let error = decode(b"P6 60000 60000 255\n", &limits).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "the image has 60000 x 60000 pixels; the limit is 100000000");
    let error =
        decode(&file("gif"), &DecodeLimits { max_bytes: 10, ..limits }).map(drop).unwrap_err();
    assert!(error.to_string().ends_with("bytes; the limit is 10"), "{error}");
}

#[test]
fn a_path_is_named_in_every_message() {
    let folder = tempfile::tempdir().unwrap();
    let limits = DecodeLimits::default();
    let check = |path: &Path, limits: &DecodeLimits, expected: &str| {
        let message = open(path, limits).map(drop).unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
        assert!(message.contains(expected), "{message}");
    };
    check(folder.path(), &limits, "is a folder");
    check(&folder.path().join("absent.jpg"), &limits, "No such file");
    let text = folder.path().join("text.jpg");
    std::fs::write(&text, "text").unwrap();
    check(&text, &limits, "not an image");
    check(&text, &DecodeLimits { max_bytes: 3, ..limits }, "4 bytes; the limit is 3");
    // The content decides, not the name.
    std::fs::write(&text, file("PNG orientation 6")).unwrap();
    assert_eq!(open(&text, &limits).unwrap().width(), 14);
    assert!(matches!(open(folder.path(), &limits), Err(SampleError::Read { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is changed in a file, there is a result or an error: no panic escapes.
    #[test]
    fn damage_never_panics(which in 0..64_usize, changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
        let files = golden();
        let mut bytes = hex(&files[which % files.len()]["file"]);
        for (at, value) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        let _ = decode(&bytes, &DecodeLimits { max_pixels: 1 << 16, max_bytes: 1 << 16 });
    }
}

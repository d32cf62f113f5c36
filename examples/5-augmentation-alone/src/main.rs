//! What does augmentation do to my photos? A contact sheet shows it: one photo after training's random
//! transforms, twelve times. Every picture has its own stream of random numbers, so the sheet is always
//! the same.
//!
//!     cargo run -- photo.jpg sheet.ppm

use std::env::args;
use std::error::Error;
use std::fs;

use ocelli_augment::presets::{TrainPreset, TrainTransform};
use ocelli_core::random::{Purpose, Stream};
use ocelli_core::{DecodeLimits, Image, Transform, decode};

const SIDE: usize = 96;
const COLUMNS: usize = 4;
const ROWS: usize = 3;

/// The bytes of a file in PPM, the simplest of formats.
fn ppm(image: &Image) -> Vec<u8> {
    let header = format!("P6 {} {} 255\n", image.width(), image.height());
    [header.as_bytes(), image.pixels()].concat()
}

/// A file to decode where no photo was given: a sun over a striped sea.
fn seascape() -> Vec<u8> {
    ppm(&Image::from_fn(240, 160, |x, y| {
        let from_sun = (x.abs_diff(170), y.abs_diff(50));
        match from_sun.0.pow(2) + from_sun.1.pow(2) {
            0..900 => [255, 220, 90],
            _ if y < 90 => [120, 170 + (y / 2) as u8, 230],
            _ => [20, 60 + (y * 7 % 60) as u8, 110],
        }
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let bytes = args().nth(1).map(fs::read).transpose()?.unwrap_or_else(seascape);
    let photo = decode::decode(&bytes, &DecodeLimits::default())?;

    let transform = TrainTransform::preset(TrainPreset::Timm, [SIDE, SIDE]);
    transform.check()?;
    let pipeline = transform.pipeline();
    let draw = |n: usize| {
        let mut random = Stream::new(7, Purpose::Sample, 0, n as u64);
        pipeline.apply(photo.clone(), &mut random)
    };
    let pictures: Vec<Image> = (0..COLUMNS * ROWS).map(draw).collect();

    let sheet = Image::from_fn(COLUMNS * SIDE, ROWS * SIDE, |x, y| {
        pictures[y / SIDE * COLUMNS + x / SIDE].pixel(x % SIDE, y % SIDE)
    });
    let path = args().nth(2).unwrap_or_else(|| "sheet.ppm".into());
    fs::write(&path, ppm(&sheet))?;
    println!("{path}: {} x {} pixels", sheet.width(), sheet.height());
    Ok(())
}

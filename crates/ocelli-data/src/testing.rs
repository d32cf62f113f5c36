//! What several tests need: small trees of images, and datasets that live in memory.

use std::fs;
use std::path::Path;

use ocelli_core::random::Stream;
use ocelli_core::{ClassNames, Dataset, Image, SampleError, Transform};
use rand::RngCore;
use tempfile::TempDir;

/// Class names from text.
pub fn names(names: &[&str]) -> ClassNames {
    ClassNames::new(names.iter().map(|name| name.to_string()).collect()).unwrap()
}

/// A folder with these files: those called `.png` (any case) are 4 x 3 PNGs, each of its own colour.
pub fn tree(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (number, file) in files.iter().enumerate() {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if file.to_lowercase().ends_with(".png") {
            png(&path, number as u8);
        } else {
            fs::write(path, b"no image").unwrap();
        }
    }
    root
}

/// Writes a 4 x 3 PNG.
pub fn png(path: &Path, color: u8) {
    let pixels = image::RgbImage::from_fn(4, 3, |x, y| image::Rgb([color, x as u8, y as u8]));
    pixels.save_with_format(path, image::ImageFormat::Png).unwrap();
}

/// 4 x 3 pictures in memory, all bytes of one the same; those in `bad` cannot be read.
pub struct Numbers {
    pub targets: Vec<usize>,
    pub classes: ClassNames,
    pub bad: Vec<usize>,
}

impl Numbers {
    /// `n` pictures whose classes take turns.
    pub fn new(n: usize, classes: usize) -> Self {
        let targets = (0..n).map(|index| index % classes).collect();
        Self { targets, classes: ClassNames::numbered(classes), bad: Vec::new() }
    }
}

impl Dataset for Numbers {
    fn len(&self) -> usize {
        self.targets.len()
    }

    fn classes(&self) -> &ClassNames {
        &self.classes
    }

    fn target(&self, index: usize) -> usize {
        self.targets[index]
    }

    fn image(&self, index: usize) -> Result<Image, SampleError> {
        if self.bad.contains(&index) {
            return Err(SampleError::Other(format!("sample {index} is bad")));
        }
        Ok(Image::filled(4, 3, [index as u8; 3]))
    }
}

/// Replaces every byte by a random one.
pub struct Noise;

impl Transform for Noise {
    fn apply(&self, mut image: Image, random: &mut Stream) -> Image {
        random.fill_bytes(image.pixels_mut());
        image
    }
}

/// Leaves an image as it is.
pub struct Same;

impl Transform for Same {
    fn apply(&self, image: Image, _random: &mut Stream) -> Image {
        image
    }
}

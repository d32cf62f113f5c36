//! The bundled sample dataset: photos, as it were, of ten solids.
//!
//! A small ray marcher draws a sphere, cube, torus and so on with random proportions, pose, material, light
//! and surroundings, and [`generate`] writes them as a folder of JPEGs, one folder per split and class. The
//! set is made to be learned from in a minute: few pictures, labels that are never wrong, and a test
//! split under conditions that training never saw. Colour, pattern and place say nothing about the class.
//!
//! Each picture has its own random stream, keyed by class, split and number: a set with more pictures
//! begins with those of a smaller one.

mod conditions;
mod render;
mod scene;
mod shapes;
mod texture;
mod vec3;
mod write;

use ocelli_core::Image;
use ocelli_core::random::{Purpose, Stream, key_of};
use serde::{Deserialize, Serialize};

pub use shapes::Solid;
pub use write::{SolidsError, Summary, generate};

/// How many pictures of which size [`generate`] draws.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SolidsConfig {
    /// Width and height in pixels, 8 to 1024.
    pub size: usize,
    /// Training pictures per class.
    pub train_per_class: usize,
    /// Validation pictures per class, drawn as the training pictures are.
    pub val_per_class: usize,
    /// Test pictures per class, under conditions of their own.
    pub test_per_class: usize,
    /// Another seed draws other pictures.
    pub seed: u64,
    /// JPEG quality, 1 to 100.
    pub quality: u8,
}

impl Default for SolidsConfig {
    /// The set in `datasets/solids`.
    fn default() -> Self {
        Self {
            size: 64,
            train_per_class: 100,
            val_per_class: 20,
            test_per_class: 40,
            seed: 0,
            quality: 88,
        }
    }
}

/// Part of the dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose by; drawn as the training pictures are.
    Val,
    /// To judge by; poses, lights and backgrounds occur in no other split.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The split's folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl SolidsConfig {
    /// Pictures per class in a split.
    pub fn per_class(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train_per_class,
            Split::Val => self.val_per_class,
            Split::Test => self.test_per_class,
        }
    }
}

/// Picture number `index` of a class in a split: RGB, `size` pixels a side, the same for the same arguments.
pub fn draw(solid: Solid, split: Split, index: u64, size: usize, seed: u64) -> Image {
    // The splits' numbers are far apart, so that no two pictures share a stream.
    let picture = ((split as u64) << 48) + index;
    let mut rng = Stream::new(seed, Purpose::Picture, key_of(solid.name()), picture);
    let conditions = match split {
        Split::Train | Split::Val => &conditions::SEEN,
        Split::Test => &conditions::UNSEEN,
    };
    let scene = scene::random(solid, conditions, &mut rng);
    render::picture(&scene, size, &mut rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_depends_on_its_key_alone() {
        let picture = draw(Solid::Torus, Split::Train, 3, 12, 7);
        assert_eq!((picture.width(), picture.height()), (12, 12));
        assert_eq!(picture, draw(Solid::Torus, Split::Train, 3, 12, 7));
        for other in [
            draw(Solid::Torus, Split::Train, 3, 12, 8),
            draw(Solid::Torus, Split::Train, 4, 12, 7),
            draw(Solid::Torus, Split::Val, 3, 12, 7),
            draw(Solid::Cube, Split::Train, 3, 12, 7),
        ] {
            assert_ne!(picture, other);
        }
    }

    /// A picture of one grey would mean that the camera looks into a body or past the scene.
    #[test]
    fn pictures_show_something() {
        for solid in Solid::ALL {
            for split in Split::ALL {
                let picture = draw(solid, split, 0, 16, 1);
                let (low, high) =
                    picture.pixels().iter().fold((255, 0), |(a, b), &v| (a.min(v), b.max(v)));
                assert!(high - low > 40, "{solid:?} {split:?}: {low} to {high}");
            }
        }
    }

    /// Whoever changes what is drawn must draw `datasets/solids` again. JPEG costs a few grey levels; so might
    /// another platform's sine.
    #[test]
    fn the_committed_sample_is_what_the_generator_draws() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/solids");
        let config = SolidsConfig::default();
        for solid in Solid::ALL {
            for split in Split::ALL {
                let folder = root.join(split.name()).join(solid.name());
                assert_eq!(
                    std::fs::read_dir(&folder).unwrap().count(),
                    config.per_class(split),
                    "{folder:?}"
                );
            }
            let file = root.join("test").join(solid.name()).join("000.jpg");
            let committed = image::open(&file).unwrap().to_rgb8();
            let drawn = draw(solid, Split::Test, 0, config.size, config.seed);
            let off = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
            let sum: f64 = committed.as_raw().iter().zip(drawn.pixels()).map(off).sum();
            let mean = sum / drawn.pixels().len() as f64;
            assert!(mean < 5.0, "{} differs by {mean} grey levels", file.display());
        }
    }
}

//! What a split may show: ranges of pose and light, and kinds of background.
//!
//! Training and validation pictures are drawn under [`SEEN`], test pictures under [`UNSEEN`], and the two
//! have nothing in common: no camera elevation, tilt, light direction, floor or wall of a test picture
//! occurs in a training picture. So the test accuracy says what was learned about shapes.

use rand::Rng;

use super::texture::Pattern;

/// Disjoint closed intervals, drawn from in proportion to their lengths.
pub(super) type Bands = &'static [(f32, f32)];

/// The conditions of one side of the split. Angles in degrees.
#[derive(Debug)]
pub(super) struct Conditions {
    /// How far the camera looks down.
    pub camera_elevation: Bands,
    /// How far the solid's own axis leans from the vertical.
    pub tilt: Bands,
    /// The key light's height above the horizon.
    pub light_elevation: Bands,
    /// The key light's angle from the camera's side of the scene, to the left or to the right alike (so
    /// that a flipped picture stays on its side of the split).
    pub light_azimuth: Bands,
    /// Patterns of the floor.
    pub floors: &'static [Pattern],
    /// Patterns of a wall behind the scene.
    pub walls: &'static [Pattern],
    /// Patterns of a sky, where there is no wall.
    pub skies: &'static [Pattern],
}

/// For training and validation.
pub(super) const SEEN: Conditions = Conditions {
    camera_elevation: &[(8.0, 18.0), (25.0, 35.0)],
    tilt: &[(0.0, 16.0), (30.0, 52.0)],
    light_elevation: &[(42.0, 75.0)],
    light_azimuth: &[(5.0, 75.0)],
    floors: &[Pattern::Plain, Pattern::Checks, Pattern::Grain, Pattern::Planks, Pattern::Marble],
    walls: &[Pattern::Plain, Pattern::Stripes, Pattern::Grain, Pattern::Marble],
    skies: &[Pattern::Plain, Pattern::Clouds],
};

/// For the test split.
pub(super) const UNSEEN: Conditions = Conditions {
    camera_elevation: &[(19.0, 24.0), (36.0, 40.0)],
    tilt: &[(18.0, 28.0), (54.0, 66.0)],
    light_elevation: &[(26.0, 40.0)],
    light_azimuth: &[(80.0, 110.0)],
    floors: &[Pattern::Tiles, Pattern::Discs, Pattern::Zigzag],
    walls: &[Pattern::Bricks, Pattern::Spots, Pattern::Zigzag],
    skies: &[Pattern::Hills, Pattern::Discs],
};

/// A number from the bands, each as likely as it is long.
pub(super) fn draw(bands: Bands, rng: &mut impl Rng) -> f32 {
    let total: f32 = bands.iter().map(|(low, high)| high - low).sum();
    let mut at = rng.random_range(0.0..1.0) * total;
    for &(low, high) in bands {
        if at <= high - low {
            return low + at;
        }
        at -= high - low;
    }
    // Rounding alone leads here.
    bands.last().map_or(0.0, |&(_, high)| high)
}

#[cfg(test)]
mod tests {
    use ocelli_core::random::{Purpose, Stream};

    use super::*;

    #[test]
    fn the_test_split_shares_no_condition_with_training() {
        for (seen, unseen) in [
            (SEEN.camera_elevation, UNSEEN.camera_elevation),
            (SEEN.tilt, UNSEEN.tilt),
            (SEEN.light_elevation, UNSEEN.light_elevation),
            (SEEN.light_azimuth, UNSEEN.light_azimuth),
        ] {
            for (low, high) in seen {
                assert!(
                    unseen.iter().all(|(a, b)| high < a || b < low),
                    "{low}..{high} is in both"
                );
            }
        }
        for (seen, unseen) in
            [(SEEN.floors, UNSEEN.floors), (SEEN.walls, UNSEEN.walls), (SEEN.skies, UNSEEN.skies)]
        {
            assert!(seen.iter().all(|pattern| !unseen.contains(pattern)));
        }
    }

    #[test]
    fn draws_stay_in_their_bands_and_reach_each() {
        let mut rng = Stream::new(0, Purpose::Picture, 0, 0);
        let drawn: Vec<f32> = (0..200).map(|_| draw(SEEN.tilt, &mut rng)).collect();
        let inside = |value: &f32, band: &(f32, f32)| (band.0..=band.1).contains(value);
        assert!(drawn.iter().all(|value| SEEN.tilt.iter().any(|band| inside(value, band))));
        assert!(SEEN.tilt.iter().all(|band| drawn.iter().any(|value| inside(value, band))));
    }
}

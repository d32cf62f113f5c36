//! Procedural patterns: stripes, bricks, clouds and their like, of two colours each.

use super::vec3::{Vec3, vec3};

/// How two colours share a surface. Those for floors and walls read `x` and `z` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The first colour alone.
    Plain,
    /// Bands across the vertical axis.
    Stripes,
    /// Cubes of alternating colour.
    Checks,
    /// Veins, as in marble.
    Marble,
    /// Round spots of different sizes.
    Spots,
    /// Fine speckles.
    Grain,
    /// Large soft patches.
    Clouds,
    /// Long boards, each with a shade of its own.
    Planks,
    /// Squares with grout between them.
    Tiles,
    /// Rows of bricks, shifted by half.
    Bricks,
    /// Soft discs on a grid, as lamps out of focus.
    Discs,
    /// Zigzag bands.
    Zigzag,
    /// Ranges of hills, one behind the other; the horizontal is `x`, the height `z`.
    Hills,
}

/// A pattern with its colours and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Texture {
    pub pattern: Pattern,
    /// Linear RGB.
    pub colors: [Vec3; 2],
    /// Periods per unit of length.
    pub frequency: f32,
    /// Makes two textures of one pattern differ.
    pub seed: u32,
}

impl Texture {
    /// The colour at `p`.
    pub(super) fn color(&self, p: Vec3) -> Vec3 {
        self.colors[0].mix(self.colors[1], self.pattern.share(p * self.frequency, self.seed))
    }

    /// The mean of the two colours, for deciding what can be told from what.
    pub(super) fn mean(&self) -> Vec3 {
        match self.pattern {
            Pattern::Plain => self.colors[0],
            _ => self.colors[0].mix(self.colors[1], 0.5),
        }
    }
}

impl Pattern {
    /// The second colour's share at `p`, in `[0, 1]`; one period is about one unit.
    fn share(self, p: Vec3, seed: u32) -> f32 {
        let cell = |v: f32| v.floor() as i32;
        match self {
            Self::Plain => 0.0,
            Self::Stripes => step(((p.y + 0.3 * p.x).fract() + 1.0).fract() - 0.5),
            Self::Checks => ((cell(p.x) + cell(p.y) + cell(p.z)) & 1) as f32,
            Self::Marble => {
                let wave = (p.x + p.z + 4.0 * clouds(p * 0.7, seed)) * 3.0;
                (0.5 + 0.5 * wave.sin()).powi(3)
            }
            Self::Spots => {
                let centre = p.map(|v| v.floor() + 0.5);
                let size = 0.22 + 0.24 * lattice(cell(p.x), cell(p.y), cell(p.z), seed);
                step(size - (p - centre).length())
            }
            Self::Grain => (1.6 * clouds(p * 4.0, seed) - 0.3).clamp(0.0, 1.0),
            Self::Clouds => (2.2 * clouds(p, seed) - 0.6).clamp(0.0, 1.0),
            Self::Planks => {
                let row = cell(p.x * 1.5);
                let shade = lattice(row, cell(p.z * 0.3 + lattice(row, 0, 0, seed)), 1, seed);
                let fibre = clouds(vec3(p.x * 9.0, 0.0, p.z * 0.8), seed);
                let gap = step(0.05 - (p.x * 1.5 - row as f32));
                (0.55 * shade + 0.45 * fibre).max(gap)
            }
            Self::Tiles => {
                let grout = 0.07 > (p.x - p.x.floor()).min(p.z - p.z.floor());
                if grout { 1.0 } else { 0.3 * lattice(cell(p.x), 7, cell(p.z), seed) }
            }
            Self::Bricks => {
                let row = p.z * 2.0;
                let along = p.x + 0.5 * (cell(row) & 1) as f32;
                let mortar = (along - along.floor() < 0.06) || (row - row.floor() < 0.12);
                if mortar { 1.0 } else { 0.45 * lattice(cell(along), 3, cell(row), seed) }
            }
            Self::Discs => {
                let centre = vec3(p.x.floor() + 0.5, 0.0, p.z.floor() + 0.5);
                let radius = 0.2 + 0.3 * lattice(cell(p.x), 5, cell(p.z), seed);
                smooth((radius - (vec3(p.x, 0.0, p.z) - centre).length()) * 8.0 + 0.5)
            }
            Self::Zigzag => {
                let fold = (p.x - p.x.floor() - 0.5).abs();
                let band = p.z + fold;
                step(band - band.floor() - 0.5)
            }
            Self::Hills => {
                let ridge = |i: i32| {
                    0.25 * i as f32 + 0.9 * clouds(vec3(p.x * 0.6, i as f32 * 9.0, 0.0), seed) - 0.3
                };
                (0..4).find(|&i| p.z < ridge(i)).map_or(0.0, |i| 1.0 - 0.22 * i as f32)
            }
        }
    }
}

fn step(v: f32) -> f32 {
    if v > 0.0 { 1.0 } else { 0.0 }
}

/// The cubic ramp from 0 to 1.
pub(super) fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A fixed random number in `[0, 1)` for each point of the integer lattice.
fn lattice(x: i32, y: i32, z: i32, seed: u32) -> f32 {
    let mut h = seed ^ 0x9e37_79b9;
    for word in [x, y, z] {
        h = (h ^ word as u32).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 15)).wrapping_mul(0xc2b2_ae35);
        h ^= h >> 13;
    }
    (h >> 8) as f32 / (1 << 24) as f32
}

/// Value noise: the lattice's numbers, blended. In `[0, 1)`.
fn noise(p: Vec3, seed: u32) -> f32 {
    let (x, y, z) = (p.x.floor() as i32, p.y.floor() as i32, p.z.floor() as i32);
    let t = p - p.map(f32::floor);
    let (tx, ty, tz) = (smooth(t.x), smooth(t.y), smooth(t.z));
    let mut sum = 0.0;
    for (dx, wx) in [(0, 1.0 - tx), (1, tx)] {
        for (dy, wy) in [(0, 1.0 - ty), (1, ty)] {
            for (dz, wz) in [(0, 1.0 - tz), (1, tz)] {
                sum += wx * wy * wz * lattice(x + dx, y + dy, z + dz, seed);
            }
        }
    }
    sum
}

/// Four octaves of value noise, in `[0, 1)`.
fn clouds(p: Vec3, seed: u32) -> f32 {
    let octave =
        |i: u32| noise(p * (1 << i) as f32, seed.wrapping_add(i)) * 0.5_f32.powi(i as i32 + 1);
    (0..4).map(octave).sum::<f32>() / 0.9375
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Pattern; 13] = [
        Pattern::Plain,
        Pattern::Stripes,
        Pattern::Checks,
        Pattern::Marble,
        Pattern::Spots,
        Pattern::Grain,
        Pattern::Clouds,
        Pattern::Planks,
        Pattern::Tiles,
        Pattern::Bricks,
        Pattern::Discs,
        Pattern::Zigzag,
        Pattern::Hills,
    ];

    #[test]
    fn shares_stay_within_bounds_and_vary() {
        for pattern in ALL {
            let at = |i: i32| {
                vec3(
                    (i % 20) as f32 * 0.37 - 3.0,
                    (i % 7) as f32 * 0.3,
                    (i / 20) as f32 * 0.29 - 2.0,
                )
            };
            let shares: Vec<f32> = (0..400).map(|i| pattern.share(at(i), 5)).collect();
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{pattern:?}");
            let varies = shares.iter().any(|&share| share != shares[0]);
            assert_eq!(varies, pattern != Pattern::Plain, "{pattern:?}");
        }
    }

    /// Seams at cell borders would show as lines.
    #[test]
    fn noise_is_continuous_and_seeded() {
        for i in 0..200 {
            let p = vec3(i as f32 * 0.5, 1.0 - i as f32 * 0.25, 3.0);
            assert!((noise(p, 1) - noise(p + Vec3::ONE * 1e-3, 1)).abs() < 0.02);
        }
        assert_ne!(noise(Vec3::ONE * 0.5, 1), noise(Vec3::ONE * 0.5, 2));
    }
}

//! A random scene: one solid, its surroundings, a camera and lights, drawn from a stream.

use std::f32::consts::{PI, TAU};
use std::ops::Range;

use rand::Rng;
use rand::seq::IndexedRandom;

use super::conditions::{Conditions, draw};
use super::shapes::{Shape, Solid};
use super::texture::{Pattern, Texture};
use super::vec3::{Frame, Vec3, vec3};

/// What a solid may wear, in both halves of the split: a pattern says nothing about the class.
const COATS: [Pattern; 8] = [
    Pattern::Plain,
    Pattern::Plain,
    Pattern::Plain,
    Pattern::Stripes,
    Pattern::Checks,
    Pattern::Marble,
    Pattern::Spots,
    Pattern::Grain,
];

/// Least distance in linear RGB between the solid's mean colour and what is behind it.
const CONTRAST: f32 = 0.3;

/// A pinhole camera.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Camera {
    pub eye: Vec3,
    /// Right, up and backwards.
    pub frame: Frame,
    /// Half the picture's side at distance 1.
    pub spread: f32,
}

/// How a surface answers light.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Material {
    pub texture: Texture,
    /// Strength of the highlight.
    pub specular: f32,
    /// Exponent of the highlight.
    pub shininess: f32,
    /// Share of the surroundings that it mirrors when seen head-on.
    pub mirror: f32,
}

/// A shape somewhere in the scene.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Body {
    pub shape: Shape,
    pub frame: Frame,
    pub centre: Vec3,
    pub scale: f32,
    pub material: Material,
}

/// A light at infinity.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Light {
    /// Unit vector to the light.
    pub direction: Vec3,
    pub color: Vec3,
}

/// What stands behind the floor.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Backdrop {
    /// A wall in the plane `z = -distance`.
    Wall { distance: f32, texture: Texture },
    /// A sky; the texture is read at (azimuth, elevation) in radians.
    Sky { texture: Texture },
}

/// What the lens and the sensor add.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finish {
    pub exposure: f32,
    /// Standard deviation of the blur, in 64ths of the picture's side.
    pub blur: f32,
    /// Standard deviation of the noise, in grey levels.
    pub noise: f32,
    /// How much darker the corners are, in `[0, 1]`.
    pub vignette: f32,
}

/// All that the renderer needs. The floor is the plane `y = 0`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    pub camera: Camera,
    /// The solid first, then clutter.
    pub bodies: Vec<Body>,
    /// Casts shadows.
    pub key: Light,
    /// Casts none.
    pub fill: Light,
    /// Light from above and from below, the same from all sides.
    pub ambient: [Vec3; 2],
    pub floor: Texture,
    pub backdrop: Backdrop,
    pub finish: Finish,
}

/// A scene with `solid` in it, as the conditions allow.
pub(super) fn random(solid: Solid, conditions: &Conditions, rng: &mut impl Rng) -> Scene {
    let floor = surface(conditions.floors, 0.7..2.0, 0.1..0.42, rng);
    let backdrop = backdrop(conditions, rng);
    let behind = [floor.mean(), backdrop.texture().mean()];
    let elevation = draw(conditions.camera_elevation, rng).to_radians();
    let body = subject(solid, conditions, elevation, &behind, rng);
    let camera = camera(elevation, &body, rng);
    let mut bodies = vec![body];
    for _ in 0..rng.random_range(0..=3) {
        let pebble = clutter(&bodies, rng);
        bodies.extend(pebble);
    }
    if rng.random_bool(0.12) {
        bodies.push(post(&camera, bodies[0].centre, rng));
    }
    let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let warmth = rng.random_range(-0.12..0.2);
    let key = Light {
        direction: direction(
            side * draw(conditions.light_azimuth, rng).to_radians(),
            draw(conditions.light_elevation, rng).to_radians(),
        ),
        color: vec3(1.0 + warmth, 1.0, 1.0 - warmth) * rng.random_range(1.5..2.4),
    };
    let fill = Light {
        direction: direction(-side * rng.random_range(0.3..1.5), rng.random_range(0.2..1.0)),
        color: color(0.0..0.3, 0.8..1.0, rng) * rng.random_range(0.0..0.5),
    };
    let strength = rng.random_range(0.35..0.7);
    let ambient = [vec3(0.92, 0.97, 1.08) * strength, floor.mean() * (0.6 * strength)];
    let finish = Finish {
        exposure: rng.random_range(0.85..1.2),
        blur: rng.random_range(0.0..0.7),
        noise: rng.random_range(0.0..3.0),
        vignette: rng.random_range(0.0..0.3),
    };
    Scene { camera, bodies, key, fill, ambient, floor, backdrop, finish }
}

impl Backdrop {
    pub(super) fn texture(&self) -> &Texture {
        match self {
            Self::Wall { texture, .. } | Self::Sky { texture } => texture,
        }
    }
}

/// The class's solid, on the floor or somewhat above it, leaning so that it can be recognised.
fn subject(
    solid: Solid,
    conditions: &Conditions,
    elevation: f32,
    behind: &[Vec3],
    rng: &mut impl Rng,
) -> Body {
    let shape = solid.shape(rng.random_range(0.0..1.0), rng.random_range(0.0..1.0));
    let eye = direction(0.0, elevation);
    let pose = |rng: &mut _| pose(conditions, rng);
    let mut frame = pose(rng);
    // A good part of the poses will do for each class: the bound is there to end the loop, not to be met.
    for _ in 0..1000 {
        if solid.is_recognisable(frame.to_local(eye)) {
            break;
        }
        frame = pose(rng);
    }
    let mut texture = surface(&COATS, 1.5..4.0, 0.15..0.5, rng);
    for _ in 0..50 {
        if behind.iter().all(|&other| (other - texture.mean()).length() > CONTRAST) {
            break;
        }
        texture = surface(&COATS, 1.5..4.0, 0.15..0.5, rng);
    }
    let polished = rng.random_bool(0.3);
    let material = Material {
        texture,
        specular: rng.random_range(0.0..0.7),
        shininess: 2.0_f32.powf(rng.random_range(3.0..7.0)),
        mirror: if polished { rng.random_range(0.1..0.45) } else { 0.02 },
    };
    let lift = if rng.random_bool(0.25) { rng.random_range(0.05..0.7) } else { 0.0 };
    let height = shape.reach(frame.to_local(-Vec3::UP)) + lift;
    Body { shape, frame, centre: vec3(0.0, height, 0.0), scale: 1.0, material }
}

fn pose(conditions: &Conditions, rng: &mut impl Rng) -> Frame {
    Frame::tilted(
        rng.random_range(0.0..TAU),
        draw(conditions.tilt, rng).to_radians(),
        rng.random_range(0.0..TAU),
    )
}

/// A camera that sees the whole body, mostly, and seldom in the middle.
fn camera(elevation: f32, body: &Body, rng: &mut impl Rng) -> Camera {
    let half_angle: f32 = rng.random_range(12.0..24.0);
    let spread = half_angle.to_radians().tan();
    let share = rng.random_range(0.62..0.9);
    let distance = body.shape.bound() * body.scale / (share * spread);
    let back = direction(0.0, elevation);
    let roll: f32 = rng.random_range(-0.15..0.15);
    let level = vec3(1.0, 0.0, 0.0);
    let upright = back.cross(level);
    let x = level * roll.cos() + upright * roll.sin();
    let frame = Frame { x, y: back.cross(x), z: back };
    let shift = (1.0 - share) * distance * spread;
    let aim = body.centre
        + x * (shift * rng.random_range(-1.0..1.0))
        + frame.y * (shift * rng.random_range(-1.0..1.0));
    // A body at the picture's edge must not put the camera below the floor.
    let mut eye = aim + back * distance;
    eye.y = eye.y.max(0.2);
    Camera { eye, frame, spread }
}

/// A pebble or a scrap of wood on the floor, unlike any class, or nothing where it would touch.
fn clutter(bodies: &[Body], rng: &mut impl Rng) -> Option<Body> {
    let angle = rng.random_range(0.0..TAU);
    let away = rng.random_range(1.0..2.8);
    let shape = if rng.random_bool(0.6) {
        let half = vec3(
            rng.random_range(0.5..1.0),
            rng.random_range(0.3..0.5),
            rng.random_range(0.4..0.9),
        );
        Shape::Ellipsoid { half }
    } else {
        let half = vec3(
            rng.random_range(0.7..1.5),
            rng.random_range(0.08..0.15),
            rng.random_range(0.1..0.25),
        );
        Shape::Cuboid { half, round: 0.03 }
    };
    let frame = Frame::tilted(
        rng.random_range(0.0..TAU),
        rng.random_range(0.0..0.25),
        rng.random_range(0.0..TAU),
    );
    let scale = rng.random_range(0.14..0.32);
    let height = shape.reach(frame.to_local(-Vec3::UP)) * scale;
    let centre = vec3(away * angle.cos(), height, away * angle.sin());
    let clear = bodies.iter().all(|other| {
        (other.centre - centre).length()
            > 0.9 * other.shape.bound() * other.scale + shape.bound() * scale
    });
    clear.then(|| Body {
        shape,
        frame,
        centre,
        scale,
        material: dull(surface(&COATS, 2.0..5.0, 0.2..0.7, rng)),
    })
}

/// A thin post between the camera and `target`: it hides a part of the solid.
fn post(camera: &Camera, target: Vec3, rng: &mut impl Rng) -> Body {
    let shape = Shape::Cuboid { half: vec3(0.035, 4.0, 0.035), round: 0.01 };
    let near = target.mix(camera.eye, rng.random_range(0.25..0.45));
    let centre = near + camera.frame.x * rng.random_range(-0.7..0.7);
    let lean = rng.random_range(0.0..0.5);
    let heading = if rng.random_bool(0.5) { 0.0 } else { PI };
    let frame = Frame::tilted(rng.random_range(0.0..TAU), lean, heading);
    Body {
        shape,
        frame,
        centre,
        scale: 1.0,
        material: dull(surface(&[Pattern::Plain], 1.0..2.0, 0.0..0.5, rng)),
    }
}

fn dull(texture: Texture) -> Material {
    Material { texture, specular: 0.1, shininess: 16.0, mirror: 0.0 }
}

fn backdrop(conditions: &Conditions, rng: &mut impl Rng) -> Backdrop {
    if rng.random_bool(0.6) {
        let texture = surface(conditions.walls, 0.8..2.2, 0.1..0.38, rng);
        Backdrop::Wall { distance: rng.random_range(1.6..4.5), texture }
    } else {
        Backdrop::Sky { texture: surface(conditions.skies, 1.5..4.0, 0.1..0.5, rng) }
    }
}

/// A texture of one of the patterns. The two colours are kin, as in most things of one piece.
fn surface(
    patterns: &[Pattern],
    frequency: Range<f32>,
    contrast: Range<f32>,
    rng: &mut impl Rng,
) -> Texture {
    let pattern = patterns.choose(rng).copied().unwrap_or(Pattern::Plain);
    let first = color(0.0..0.85, 0.25..0.88, rng);
    let second = first.mix(color(0.0..0.8, 0.1..1.0, rng), rng.random_range(contrast));
    Texture {
        pattern,
        colors: [first, second],
        frequency: rng.random_range(frequency),
        seed: rng.random(),
    }
}

/// A linear RGB colour of any hue; the stronger, the darker, as paints are.
fn color(saturation: Range<f32>, value: Range<f32>, rng: &mut impl Rng) -> Vec3 {
    let hue = rng.random_range(0.0..TAU);
    let saturation: f32 = rng.random_range(saturation);
    let value = rng.random_range(value) * (1.0 - 0.25 * saturation);
    let channel = |turn: f32| {
        let wave = 0.5 + 0.5 * (hue + turn).cos();
        (value * (1.0 - saturation + saturation * wave)).powf(2.2)
    };
    vec3(channel(0.0), channel(TAU / 3.0), channel(2.0 * TAU / 3.0))
}

/// The unit vector at an azimuth from the camera's side (`+z`) and an elevation, in radians.
fn direction(azimuth: f32, elevation: f32) -> Vec3 {
    vec3(azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos())
}

#[cfg(test)]
mod tests {
    use ocelli_core::random::{Purpose, Stream};

    use super::super::conditions::{SEEN, UNSEEN};
    use super::*;

    fn scenes() -> impl Iterator<Item = (Solid, &'static Conditions, Scene)> {
        Solid::ALL.into_iter().flat_map(|solid| {
            [&SEEN, &UNSEEN].into_iter().flat_map(move |conditions| {
                (0..20).map(move |i| {
                    let mut rng = Stream::new(3, Purpose::Picture, solid as u64, i);
                    (solid, conditions, random(solid, conditions, &mut rng))
                })
            })
        })
    }

    fn within(bands: &[(f32, f32)], degrees: f32) -> bool {
        bands.iter().any(|&(low, high)| (low - 0.1..=high + 0.1).contains(&degrees))
    }

    /// Checked on the scene itself, not on how it was drawn.
    #[test]
    fn scenes_keep_to_their_conditions() {
        for (solid, conditions, scene) in scenes() {
            let tilt = scene.bodies[0].frame.y.y.clamp(-1.0, 1.0).acos().to_degrees();
            assert!(within(conditions.tilt, tilt), "{solid:?} leans by {tilt}");
            let elevation = scene.camera.frame.z.y.asin().to_degrees();
            assert!(
                within(conditions.camera_elevation, elevation),
                "{solid:?} seen from {elevation}"
            );
            let light = scene.key.direction;
            assert!(within(conditions.light_elevation, light.y.asin().to_degrees()));
            assert!(within(conditions.light_azimuth, light.x.atan2(light.z).to_degrees().abs()));
            assert!(conditions.floors.contains(&scene.floor.pattern));
            let behind = scene.backdrop.texture().pattern;
            let kinds = match scene.backdrop {
                Backdrop::Wall { .. } => conditions.walls,
                Backdrop::Sky { .. } => conditions.skies,
            };
            assert!(kinds.contains(&behind));
        }
    }

    #[test]
    fn the_solid_can_be_recognised_and_stands_above_the_floor() {
        for (solid, _, scene) in scenes() {
            let body = &scene.bodies[0];
            assert!(solid.is_recognisable(body.frame.to_local(scene.camera.frame.z)), "{solid:?}");
            assert!(body.centre.y >= body.shape.reach(body.frame.to_local(-Vec3::UP)) - 1e-5);
            assert!(scene.camera.eye.y > 0.0);
        }
    }
}

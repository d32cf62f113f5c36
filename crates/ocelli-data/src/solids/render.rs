//! The ray marcher: from a scene to pixels.
//!
//! A ray walks by the signed distance until it meets a body (Hart, "Sphere tracing", 1996); floor and wall
//! are met by solving for the plane. Light is one key lamp with a soft shadow, one fill lamp without, an
//! ambient term darkened in corners, a Blinn-Phong highlight and one mirrored look at the surroundings.

use ocelli_core::Image;
use rand::Rng;

use super::scene::{Backdrop, Body, Finish, Material, Scene};
use super::texture::{Pattern, smooth};
use super::vec3::{Vec3, vec3};

/// A hit is nearer than this.
const TOUCH: f32 = 1e-3;
/// Nothing is looked for beyond.
const FAR: f32 = 40.0;
/// Width of the light source: a larger number makes a sharper shadow.
const SHADOW_SHARPNESS: f32 = 9.0;
/// A body farther than this from a point counts with the distance to its bounding ball.
const NEAR: f32 = 0.4;
/// Samples along each side of a pixel.
const SAMPLES: usize = 3;

/// A picture of the scene, `size` pixels a side. The stream gives the sensor's noise.
pub(super) fn picture(scene: &Scene, size: usize, rng: &mut impl Rng) -> Image {
    let linear: Vec<Vec3> =
        (0..size * size).map(|i| pixel(scene, size, i % size, i / size)).collect();
    let blurred = blur(&linear, size, scene.finish.blur * size as f32 / 64.0);
    let mut pixels = Vec::with_capacity(size * size * 3);
    for (i, &light) in blurred.iter().enumerate() {
        let grey = develop(light, &scene.finish, size, i % size, i / size);
        for value in [grey.x, grey.y, grey.z] {
            pixels
                .push((255.0 * value + scene.finish.noise * normal(rng)).round().clamp(0.0, 255.0)
                    as u8);
        }
    }
    Image::from_fn(size, size, |x, y| {
        let at = (y * size + x) * 3;
        [pixels[at], pixels[at + 1], pixels[at + 2]]
    })
}

/// The mean light over a pixel.
fn pixel(scene: &Scene, size: usize, x: usize, y: usize) -> Vec3 {
    let camera = &scene.camera;
    let mut sum = Vec3::default();
    for i in 0..SAMPLES * SAMPLES {
        let within = |k: usize| (k as f32 + 0.5) / SAMPLES as f32;
        let u = 2.0 * (x as f32 + within(i % SAMPLES)) / size as f32 - 1.0;
        let v = 1.0 - 2.0 * (y as f32 + within(i / SAMPLES)) / size as f32;
        let way = camera.frame.to_world(vec3(u * camera.spread, v * camera.spread, -1.0)).unit();
        // Clipped so that a highlight does not outweigh the pixel's other samples.
        sum = sum + look(scene, camera.eye, way).map(|light| light.min(4.0));
    }
    sum * (1.0 / (SAMPLES * SAMPLES) as f32)
}

/// The light that comes from unit direction `way`.
fn look(scene: &Scene, from: Vec3, way: Vec3) -> Vec3 {
    let ground = surroundings_at(scene, from, way);
    let limit = ground.as_ref().map_or(FAR, |&(distance, _)| distance);
    if let Some((distance, body)) = march(scene, from, way, limit) {
        let point = from + way * distance;
        let normal = body.normal(point);
        return shade(scene, point, normal, way, &body.material, body.color(point));
    }
    match ground {
        Some((distance, plane)) => {
            let point = from + way * distance;
            let light = plane.albedo * lit(scene, point, plane.normal);
            // Far floor melts into the sky, and its pattern with it.
            light.mix(sky(scene, way), smooth((distance - 8.0) / 25.0) * plane.fade)
        }
        None => sky(scene, way),
    }
}

/// The first body within `limit`, and how far.
fn march(scene: &Scene, from: Vec3, way: Vec3, limit: f32) -> Option<(f32, &Body)> {
    let mut walked = 0.0;
    for _ in 0..160 {
        let (gap, body) = scene.nearest(from + way * walked)?;
        if gap < TOUCH {
            return Some((walked, body));
        }
        walked += gap;
        if walked > limit {
            return None;
        }
    }
    None
}

impl Scene {
    /// A lower bound of the distance to the nearest body, and that body.
    fn nearest(&self, p: Vec3) -> Option<(f32, &Body)> {
        self.bodies.iter().map(|body| (body.distance(p), body)).min_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn distance(&self, p: Vec3) -> f32 {
        self.nearest(p).map_or(FAR, |(gap, _)| gap)
    }
}

impl Body {
    fn local(&self, p: Vec3) -> Vec3 {
        self.frame.to_local(p - self.centre) * (1.0 / self.scale)
    }

    fn distance(&self, p: Vec3) -> f32 {
        let ball = (p - self.centre).length() - self.shape.bound() * self.scale;
        if ball > NEAR { ball } else { self.shape.distance(self.local(p)) * self.scale }
    }

    /// The gradient of the distance, by differences over the corners of a tetrahedron.
    fn normal(&self, p: Vec3) -> Vec3 {
        const H: f32 = 1e-3;
        let corners = [
            vec3(1.0, -1.0, -1.0),
            vec3(-1.0, -1.0, 1.0),
            vec3(-1.0, 1.0, -1.0),
            vec3(1.0, 1.0, 1.0),
        ];
        corners
            .into_iter()
            .map(|corner| corner * self.distance(p + corner * H))
            .fold(Vec3::default(), |sum, term| sum + term)
            .unit()
    }

    fn color(&self, p: Vec3) -> Vec3 {
        self.material.texture.color(self.local(p))
    }
}

/// A point of floor or wall.
struct Plane {
    normal: Vec3,
    albedo: Vec3,
    /// Whether distance hides it: 1 under a sky, 0 in a room.
    fade: f32,
}

/// Where the ray meets floor or wall.
fn surroundings_at(scene: &Scene, from: Vec3, way: Vec3) -> Option<(f32, Plane)> {
    let floor = if way.y < -1e-4 { -from.y / way.y } else { f32::INFINITY };
    let (wall, fade) = match scene.backdrop {
        Backdrop::Wall { distance, .. } if way.z < -1e-4 => ((-distance - from.z) / way.z, 0.0),
        Backdrop::Wall { .. } => (f32::INFINITY, 0.0),
        Backdrop::Sky { .. } => (f32::INFINITY, 1.0),
    };
    let distance = floor.min(wall);
    if distance > FAR {
        return None;
    }
    let point = from + way * distance;
    let plane = if floor < wall {
        Plane { normal: Vec3::UP, albedo: scene.floor.color(point), fade }
    } else {
        // Patterns of a surface read x and z; stripes run across y.
        let flat = match scene.backdrop.texture().pattern {
            Pattern::Stripes => vec3(0.0, point.x, 0.0),
            _ => vec3(point.x, 0.5, point.y),
        };
        Plane { normal: vec3(0.0, 0.0, 1.0), albedo: scene.backdrop.texture().color(flat), fade }
    };
    Some((distance, plane))
}

/// The sky's light; for a room, what a ray past its walls would meet.
fn sky(scene: &Scene, way: Vec3) -> Vec3 {
    let height = way.y.clamp(-1.0, 1.0).asin();
    let flat = vec3(way.x.atan2(-way.z), 0.5, height.max(0.0));
    let texture = scene.backdrop.texture();
    let color = match scene.backdrop {
        Backdrop::Sky { .. } => texture.color(flat),
        Backdrop::Wall { .. } => texture.mean(),
    };
    (color * 0.9 + scene.ambient[0] * 0.25) * (1.1 - 0.35 * height.max(0.0))
}

/// The diffuse light that falls on a point.
fn lit(scene: &Scene, point: Vec3, normal: Vec3) -> Vec3 {
    let facing = |light: Vec3| normal.dot(light).max(0.0);
    let key = facing(scene.key.direction);
    let shadow = if key > 0.0 { shadow(scene, point + normal * (3.0 * TOUCH)) } else { 0.0 };
    let ambient = scene.ambient[1].mix(scene.ambient[0], 0.5 + 0.5 * normal.y);
    scene.key.color * (key * shadow)
        + scene.fill.color * facing(scene.fill.direction)
        + ambient * openness(scene, point, normal)
}

/// A body's surface under all lights, seen along `way`.
fn shade(
    scene: &Scene,
    point: Vec3,
    normal: Vec3,
    way: Vec3,
    material: &Material,
    albedo: Vec3,
) -> Vec3 {
    let diffuse = albedo * lit(scene, point, normal);
    let half = (scene.key.direction - way).unit();
    let gloss = material.specular * normal.dot(half).max(0.0).powf(material.shininess);
    let visible = if gloss > 1e-3 { shadow(scene, point + normal * (3.0 * TOUCH)) } else { 0.0 };
    // Schlick's approximation of the Fresnel term.
    let grazing = (1.0 + normal.dot(way)).clamp(0.0, 1.0).powi(5);
    let mirror = material.mirror + (1.0 - material.mirror) * grazing * material.specular;
    let seen = if mirror > 0.01 {
        surroundings(scene, point, way.reflect(normal))
    } else {
        Vec3::default()
    };
    diffuse * (1.0 - mirror) + scene.key.color * (gloss * visible) + seen * mirror
}

/// Floor, wall or sky as a mirror shows it: lit, but without shadows.
fn surroundings(scene: &Scene, from: Vec3, way: Vec3) -> Vec3 {
    match surroundings_at(scene, from, way) {
        Some((_, plane)) => {
            let key = plane.normal.dot(scene.key.direction).max(0.0);
            plane.albedo * (scene.key.color * key + scene.ambient[0])
        }
        None => sky(scene, way),
    }
}

/// The share of the key light that reaches a point: a ray that narrowly misses a body is in its penumbra.
fn shadow(scene: &Scene, from: Vec3) -> f32 {
    let mut open: f32 = 1.0;
    let mut walked = 0.01;
    for _ in 0..64 {
        let gap = scene.distance(from + scene.key.direction * walked);
        open = open.min(SHADOW_SHARPNESS * gap / walked);
        if open < 0.01 || walked > 8.0 {
            break;
        }
        walked += gap.clamp(0.02, 0.5);
    }
    smooth(open)
}

/// How little of the surroundings nearby bodies hide: 1 in the open, less in corners.
fn openness(scene: &Scene, point: Vec3, normal: Vec3) -> f32 {
    let mut hidden = 0.0;
    for (reach, weight) in [(0.06, 1.0), (0.16, 0.55), (0.34, 0.3), (0.6, 0.17)] {
        let probe = point + normal * reach;
        hidden += weight * (reach - scene.distance(probe).min(probe.y)).max(0.0) / reach;
    }
    (1.0 - 0.5 * hidden).clamp(0.15, 1.0)
}

/// From linear light to a value in `[0, 1]`: exposure, darker corners, a film's shoulder, sRGB's gamma.
fn develop(light: Vec3, finish: &Finish, size: usize, x: usize, y: usize) -> Vec3 {
    let off = |at: usize| 2.0 * (at as f32 + 0.5) / size as f32 - 1.0;
    let corner = 0.5 * (off(x) * off(x) + off(y) * off(y));
    let exposure = finish.exposure * (1.0 - finish.vignette * corner);
    light.map(|value| (1.0 - (-1.15 * exposure * value).exp()).max(0.0).powf(1.0 / 2.2))
}

/// A Gaussian blur; pixels beyond the border are as those on it.
fn blur(pixels: &[Vec3], size: usize, sigma: f32) -> Vec<Vec3> {
    if sigma < 0.05 {
        return pixels.to_vec();
    }
    let radius = (3.0 * sigma).ceil() as isize;
    let weight = |d: isize| (-0.5 * (d as f32 / sigma).powi(2)).exp();
    let total: f32 = (-radius..=radius).map(weight).sum();
    let pass = |from: &[Vec3], stride_x: isize| -> Vec<Vec3> {
        let inside = |at: isize| at.clamp(0, size as isize - 1) as usize;
        (0..size * size)
            .map(|i| {
                let (x, y) = ((i % size) as isize, (i / size) as isize);
                let terms = (-radius..=radius).map(|d| {
                    let at = inside(y + d * (1 - stride_x)) * size + inside(x + d * stride_x);
                    from[at] * (weight(d) / total)
                });
                terms.fold(Vec3::default(), |sum, term| sum + term)
            })
            .collect()
    };
    pass(&pass(pixels, 1), 0)
}

/// A normally distributed number (Box and Muller).
fn normal(rng: &mut impl Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random_range(0.0_f32..1.0)).ln()).sqrt();
    radius * (rng.random_range(0.0..std::f32::consts::TAU)).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blur_keeps_the_mean_and_spreads_a_point() {
        let mut pixels = vec![Vec3::default(); 81];
        pixels[40] = Vec3::ONE;
        let blurred = blur(&pixels, 9, 0.8);
        let sum: f32 = blurred.iter().map(|pixel| pixel.x).sum();
        assert!((sum - 1.0).abs() < 1e-4);
        assert!((blurred[39].x - blurred[31].x).abs() < 1e-6, "as wide as it is high");
        assert!(blurred[40].x < 0.4 && blurred[39].x > 0.05);
    }

    #[test]
    fn development_is_monotonic_and_bounded() {
        let finish = Finish { exposure: 1.0, blur: 0.0, noise: 0.0, vignette: 0.2 };
        let grey = |light: f32| develop(Vec3::ONE * light, &finish, 8, 4, 4).x;
        assert_eq!(grey(0.0), 0.0);
        assert!(grey(0.1) < grey(0.5) && grey(0.5) < grey(2.0) && grey(50.0) <= 1.0);
        assert!(develop(Vec3::ONE, &finish, 8, 0, 0).x < grey(1.0), "corners are darker");
    }
}

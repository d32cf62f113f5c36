//! The classes, and the shapes as signed distance functions.
//!
//! A signed distance function tells how far a point is from a surface, negative inside. Ours are exact or
//! a lower bound with slope at most one, which is what a ray marcher needs to never step through a
//! surface. Every shape stands on its vertical (`y`) axis, centred, with a bounding ball of radius 0.6 to 1.3.

use super::vec3::{Vec3, vec3};

/// A class of the dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Solid {
    /// A cylinder with hemispherical ends.
    Capsule,
    /// A circular cone.
    Cone,
    /// Three bars that cross at right angles.
    Cross,
    /// A box with equal sides.
    Cube,
    /// A circular cylinder.
    Cylinder,
    /// Four triangles on a square base.
    Pyramid,
    /// A ball.
    Sphere,
    /// A plate in the form of a five-pointed star.
    Star,
    /// A ring with a round profile.
    Torus,
    /// A piece of pipe, open at both ends.
    Tube,
}

impl Solid {
    /// All classes, in the order of their folders' names.
    pub const ALL: [Self; 10] = [
        Self::Capsule,
        Self::Cone,
        Self::Cross,
        Self::Cube,
        Self::Cylinder,
        Self::Pyramid,
        Self::Sphere,
        Self::Star,
        Self::Torus,
        Self::Tube,
    ];

    /// The class's name, which is its folder's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capsule => "capsule",
            Self::Cone => "cone",
            Self::Cross => "cross",
            Self::Cube => "cube",
            Self::Cylinder => "cylinder",
            Self::Pyramid => "pyramid",
            Self::Sphere => "sphere",
            Self::Star => "star",
            Self::Torus => "torus",
            Self::Tube => "tube",
        }
    }

    /// A member of the class, its proportions set by two numbers in `[0, 1]`.
    pub(super) fn shape(self, a: f32, b: f32) -> Shape {
        let between = |low: f32, high: f32, t: f32| low + (high - low) * t;
        match self {
            Self::Capsule => {
                Shape::Capsule { radius: between(0.28, 0.42, a), half: between(0.5, 0.62, b) }
            }
            Self::Cone => {
                Shape::Cone { radius: between(0.48, 0.62, a), half: between(0.7, 0.88, b) }
            }
            Self::Cross => {
                Shape::Cross { half: between(0.8, 0.98, a), thickness: between(0.17, 0.24, b) }
            }
            Self::Cube => Shape::Cuboid { half: Vec3::ONE * 0.58, round: between(0.0, 0.06, a) },
            Self::Cylinder => Shape::Cylinder {
                radius: between(0.36, 0.5, a),
                half: between(0.6, 0.8, b),
                round: 0.04 * (1.0 - a),
            },
            Self::Pyramid => {
                Shape::Pyramid { base: between(0.55, 0.72, a), half: between(0.48, 0.6, b) }
            }
            Self::Sphere => Shape::Ellipsoid { half: Vec3::ONE * between(0.7, 0.85, a) },
            Self::Star => Shape::Star {
                tip: between(0.8, 0.95, a),
                notch: between(0.38, 0.46, a),
                half: between(0.1, 0.2, b),
            },
            Self::Torus => {
                Shape::Torus { ring: between(0.62, 0.7, a), profile: between(0.17, 0.29, b) }
            }
            Self::Tube => Shape::Tube {
                radius: between(0.54, 0.66, a),
                wall: between(0.06, 0.1, b),
                half: between(0.42, 0.7, b),
            },
        }
    }

    /// Whether the class can be told from direction `view` (a unit vector from the object to the eye, in the
    /// object's frame). A tube from the side is a cylinder, a cone from below a disc: such views would
    /// be wrong labels.
    pub(super) fn is_recognisable(self, view: Vec3) -> bool {
        let axis = view.y;
        let most = view.map(f32::abs).max_component();
        match self {
            Self::Capsule => axis.abs() < 0.75,
            Self::Cone => (0.15..0.5).contains(&axis.abs()),
            Self::Cross => most < 0.92,
            Self::Cube => most < 0.88,
            Self::Cylinder => (0.32..0.75).contains(&axis.abs()),
            Self::Pyramid => (0.1..0.6).contains(&axis) && view.x.abs().min(view.z.abs()) > 0.25,
            Self::Sphere => true,
            Self::Star => axis.abs() > 0.55,
            Self::Torus => axis.abs() > 0.42,
            Self::Tube => (0.5..0.85).contains(&axis.abs()),
        }
    }
}

/// A shape with its proportions, in its own frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// A segment of the axis, `half` up and down, thickened by `radius`.
    Capsule { radius: f32, half: f32 },
    /// `radius` at `y = -half`, the tip at `y = half`.
    Cone { radius: f32, half: f32 },
    /// Three square bars along the axes.
    Cross { half: f32, thickness: f32 },
    /// A box whose edges are rounded by `round`.
    Cuboid { half: Vec3, round: f32 },
    /// A cylinder whose rims are rounded by `round`.
    Cylinder { radius: f32, half: f32, round: f32 },
    /// A square of sides `2 base` at `y = -half`, the tip at `y = half`.
    Pyramid { base: f32, half: f32 },
    /// A ball where the three are equal.
    Ellipsoid { half: Vec3 },
    /// A five-pointed star about the axis, `half` thick up and down; outer and inner corners at `tip` and
    /// `notch` from the axis.
    Star { tip: f32, notch: f32, half: f32 },
    /// A ring about the axis.
    Torus { ring: f32, profile: f32 },
    /// A pipe about the axis; `radius` is that of the wall's middle.
    Tube { radius: f32, wall: f32, half: f32 },
}

impl Shape {
    /// The signed distance of `p`, or a lower bound of it.
    pub(super) fn distance(&self, p: Vec3) -> f32 {
        let radial = (p.x * p.x + p.z * p.z).sqrt();
        match *self {
            Self::Capsule { radius, half } => {
                vec3(p.x, p.y - p.y.clamp(-half, half), p.z).length() - radius
            }
            Self::Cone { radius, half } => {
                // The side's outward normal, in the (radial, y) half plane.
                let slant = (4.0 * half * half + radius * radius).sqrt();
                let side = (radial * 2.0 * half + (p.y - half) * radius) / slant;
                side.max(-half - p.y)
            }
            Self::Cross { half, thickness } => {
                let bar = |x, y, z| cuboid(p, vec3(x, y, z));
                bar(half, thickness, thickness)
                    .min(bar(thickness, half, thickness))
                    .min(bar(thickness, thickness, half))
            }
            Self::Cuboid { half, round } => cuboid(p, half - Vec3::ONE * round) - round,
            Self::Cylinder { radius, half, round } => {
                rectangle(radial, p.y, radius - round, half - round) - round
            }
            Self::Pyramid { base, half } => {
                let slant = (4.0 * half * half + base * base).sqrt();
                let side = (p.x.abs().max(p.z.abs()) * 2.0 * half + (p.y - half) * base) / slant;
                side.max(-half - p.y)
            }
            Self::Ellipsoid { half } => {
                // Scaling by the shortest axis keeps the slope at most one.
                let least = half.x.min(half.y).min(half.z);
                (vec3(p.x / half.x, p.y / half.y, p.z / half.z).length() - 1.0) * least
            }
            Self::Star { tip, notch, half } => star(p.x, p.z, tip, notch).max(p.y.abs() - half),
            Self::Torus { ring, profile } => (radial - ring).hypot(p.y) - profile,
            Self::Tube { radius, wall, half } => rectangle(radial - radius, p.y, wall, half),
        }
    }

    /// The radius of a ball about the origin that holds the shape.
    pub(super) fn bound(&self) -> f32 {
        match *self {
            Self::Capsule { radius, half } => half + radius,
            Self::Cone { radius, half } | Self::Cylinder { radius, half, .. } => radius.hypot(half),
            Self::Cross { half, thickness } => vec3(half, thickness, thickness).length(),
            Self::Cuboid { half, .. } => half.length(),
            Self::Pyramid { base, half } => base.mul_add(2.0 * base, half * half).sqrt(),
            Self::Ellipsoid { half } => half.max_component(),
            Self::Star { tip, half, .. } => tip.hypot(half),
            Self::Torus { ring, profile } => ring + profile,
            Self::Tube { radius, wall, half } => (radius + wall).hypot(half),
        }
    }

    /// How far the shape reaches in unit direction `way`, from below: never more than it does, and short by
    /// a few hundredths at most. Probes a grid: an inside point at depth d is the centre of a ball of radius d.
    pub(super) fn reach(&self, way: Vec3) -> f32 {
        const STEPS: i32 = 12;
        let bound = self.bound();
        let at = |i: i32| bound * i as f32 / STEPS as f32;
        let mut most = f32::MIN;
        for x in -STEPS..=STEPS {
            for y in -STEPS..=STEPS {
                for z in -STEPS..=STEPS {
                    let p = vec3(at(x), at(y), at(z));
                    let depth = -self.distance(p);
                    if depth >= 0.0 {
                        most = most.max(p.dot(way) + depth);
                    }
                }
            }
        }
        most
    }
}

/// The exact distance to a box.
fn cuboid(p: Vec3, half: Vec3) -> f32 {
    let q = p.map(f32::abs) - half;
    q.map(|v| v.max(0.0)).length() + q.max_component().min(0.0)
}

/// The exact distance to a rectangle in the plane.
fn rectangle(x: f32, y: f32, half_x: f32, half_y: f32) -> f32 {
    let (qx, qy) = (x.abs() - half_x, y.abs() - half_y);
    qx.max(0.0).hypot(qy.max(0.0)) + qx.max(qy).min(0.0)
}

/// The distance to the outline of a five-pointed star, from below: that to the line through an edge, after
/// folding the plane onto the tenth of it between an outer and an inner corner.
fn star(x: f32, y: f32, tip: f32, notch: f32) -> f32 {
    let tenth = std::f32::consts::PI / 5.0;
    let turned = y.atan2(x).rem_euclid(2.0 * tenth);
    let folded = turned.min(2.0 * tenth - turned);
    let (x, y) = (x.hypot(y) * folded.cos(), x.hypot(y) * folded.sin());
    let (along_x, along_y) = (notch * tenth.cos() - tip, notch * tenth.sin());
    ((x - tip) * along_y - y * along_x) / along_x.hypot(along_y)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit vector along none of the axes.
    const DIAGONAL: Vec3 = vec3(std::f32::consts::FRAC_1_SQRT_2, 0.5, 0.5);

    fn shapes() -> impl Iterator<Item = (Solid, Shape)> {
        Solid::ALL.into_iter().flat_map(|solid| {
            [(0.0, 0.0), (1.0, 1.0), (0.3, 0.8)].map(|(a, b)| (solid, solid.shape(a, b)))
        })
    }

    /// Points all over a cube that holds every shape.
    fn points() -> impl Iterator<Item = Vec3> {
        (0..1000).map(|i| {
            vec3((i % 10) as f32, (i / 10 % 10) as f32, (i / 100) as f32) * 0.31 - Vec3::ONE * 1.4
        })
    }

    #[test]
    fn names_are_distinct_and_sorted_by_byte() {
        assert!(Solid::ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
    }

    #[test]
    fn the_middle_is_inside_and_far_away_outside() {
        for (solid, shape) in shapes() {
            // The two with a hole have their matter around the axis.
            let middle = match shape {
                Shape::Torus { ring: radius, .. } | Shape::Tube { radius, .. } => {
                    vec3(radius, 0.0, 0.0)
                }
                _ => Vec3::default(),
            };
            assert!(shape.distance(middle) < 0.0, "{solid:?}");
            for point in points().filter(|p| p.length() > shape.bound() + 1e-3) {
                assert!(shape.distance(point) > 0.0, "{solid:?} at {point:?}");
            }
            assert!((0.6..1.3).contains(&shape.bound()), "{solid:?} has radius {}", shape.bound());
        }
        for hollow in [Solid::Torus, Solid::Tube] {
            assert!(hollow.shape(0.5, 0.5).distance(Vec3::default()) > 0.0);
        }
    }

    /// With a steeper slope a ray could step through the surface.
    #[test]
    fn slopes_stay_at_or_below_one() {
        for (solid, shape) in shapes() {
            for point in points() {
                for step in [
                    vec3(0.01, 0.0, 0.0),
                    vec3(0.0, 0.01, 0.0),
                    vec3(0.0, 0.0, 0.01),
                    DIAGONAL * 0.01,
                ] {
                    let slope = (shape.distance(point + step) - shape.distance(point)).abs()
                        / step.length();
                    assert!(slope < 1.001, "{solid:?} at {point:?}: {slope}");
                }
            }
        }
    }

    #[test]
    fn reach_finds_the_lowest_point() {
        let down = -Vec3::UP;
        assert!((Shape::Ellipsoid { half: Vec3::ONE * 0.7 }.reach(down) - 0.7).abs() < 1e-4);
        assert!((Shape::Cone { radius: 0.6, half: 0.8 }.reach(down) - 0.8).abs() < 1e-4);
        let tip = Shape::Cone { radius: 0.6, half: 0.8 }.reach(Vec3::UP);
        assert!((0.7..=0.8001).contains(&tip), "{tip}");
        let corner = Shape::Cuboid { half: Vec3::ONE, round: 0.0 }.reach(DIAGONAL);
        assert!((1.55..=1.7072).contains(&corner), "{corner}");
    }

    #[test]
    fn ambiguous_views_are_refused() {
        let side = vec3(1.0, 0.0, 0.0);
        assert!(!Solid::Tube.is_recognisable(side) && !Solid::Torus.is_recognisable(side));
        assert!(!Solid::Cone.is_recognisable(-Vec3::UP) && !Solid::Cube.is_recognisable(side));
        for solid in Solid::ALL {
            let views = points().filter(|&view| solid.is_recognisable(view.unit())).count();
            assert!(views > 150, "{solid:?} from {views} of 1000 directions");
        }
    }
}

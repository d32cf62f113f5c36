//! Three numbers at once: a point, a direction or a linear RGB colour.

use std::ops::{Add, Mul, Neg, Sub};

/// A point, a direction or a linear RGB colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

/// Short for the constructor: the renderer writes many.
pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub(super) const ONE: Self = vec3(1.0, 1.0, 1.0);
    pub(super) const UP: Self = vec3(0.0, 1.0, 0.0);

    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(super) fn cross(self, other: Self) -> Self {
        vec3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The unit vector this way; the null vector stays.
    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-20))
    }

    pub(super) fn map(self, f: impl Fn(f32) -> f32) -> Self {
        vec3(f(self.x), f(self.y), f(self.z))
    }

    pub(super) fn max_component(self) -> f32 {
        self.x.max(self.y).max(self.z)
    }

    /// `self` at `t = 0`, `other` at `t = 1`.
    pub(super) fn mix(self, other: Self, t: f32) -> Self {
        self * (1.0 - t) + other * t
    }

    /// This direction after a mirror with unit normal `normal`.
    pub(super) fn reflect(self, normal: Self) -> Self {
        self - normal * (2.0 * self.dot(normal))
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        vec3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        vec3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        self.map(|value| value * factor)
    }
}

/// Component by component, as light meets a surface's colour.
impl Mul for Vec3 {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        vec3(self.x * other.x, self.y * other.y, self.z * other.z)
    }
}

/// Three perpendicular unit vectors: the axes of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub x: Vec3,
    pub y: Vec3,
    pub z: Vec3,
}

impl Frame {
    /// The frame of an object turned by `spin` about its own vertical axis, then tilted by `tilt` towards
    /// the compass direction `heading`. Angles in radians.
    pub(super) fn tilted(spin: f32, tilt: f32, heading: f32) -> Self {
        let y = vec3(tilt.sin() * heading.cos(), tilt.cos(), tilt.sin() * heading.sin());
        let side = vec3(-heading.sin(), 0.0, heading.cos());
        let front = side.cross(y);
        let x = front * spin.cos() + side * spin.sin();
        Self { x, y, z: x.cross(y) }
    }

    /// World coordinates of a direction given in this frame.
    pub(super) fn to_world(self, v: Vec3) -> Vec3 {
        self.x * v.x + self.y * v.y + self.z * v.z
    }

    /// The coordinates in this frame of a direction given in the world's.
    pub(super) fn to_local(self, v: Vec3) -> Vec3 {
        vec3(self.x.dot(v), self.y.dot(v), self.z.dot(v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_orthonormal_and_invert() {
        for (spin, tilt, heading) in [(0.0, 0.0, 0.0), (1.0, 0.4, 2.0), (4.0, 1.5, -3.0)] {
            let frame = Frame::tilted(spin, tilt, heading);
            let v = vec3(0.3, -2.0, 0.7);
            assert!((frame.to_local(frame.to_world(v)) - v).length() < 1e-5);
            assert!((frame.y.y - f32::cos(tilt)).abs() < 1e-6);
            assert!((frame.x.cross(frame.y) - frame.z).length() < 1e-6);
        }
    }

    #[test]
    fn a_mirror_turns_the_normal_part() {
        assert_eq!(vec3(1.0, -1.0, 0.0).reflect(Vec3::UP), vec3(1.0, 1.0, 0.0));
    }
}

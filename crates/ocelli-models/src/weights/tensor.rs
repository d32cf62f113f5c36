//! A tensor as it lies in a file: bytes, their type and their shape.

/// The element type of a [`RawTensor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `i8`.
    I8,
    /// `u8`.
    U8,
    /// `i16`.
    I16,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl Dtype {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
            Dtype::F16 | Dtype::Bf16 | Dtype::I16 => 2,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F64 | Dtype::I64 => 8,
        }
    }
}

/// A tensor as published: `shape`, and its elements little endian and row-major without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTensor {
    /// The length of each axis, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// What the bytes are.
    pub dtype: Dtype,
    /// `len() * dtype.size()` bytes.
    pub data: Vec<u8>,
}

impl RawTensor {
    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements as `f32`, rounded to nearest where the type is wider; a bool is 0 or 1.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        let data = &self.data;
        match self.dtype {
            Dtype::F16 => map(data, |b| half(u16::from_le_bytes(b))),
            Dtype::Bf16 => map(data, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
            Dtype::F32 => map(data, f32::from_le_bytes),
            Dtype::F64 => map(data, |b| f64::from_le_bytes(b) as f32),
            Dtype::I8 => map(data, |b| f32::from(i8::from_le_bytes(b))),
            Dtype::U8 => map(data, |[b]| f32::from(b)),
            Dtype::I16 => map(data, |b| f32::from(i16::from_le_bytes(b))),
            Dtype::I32 => map(data, |b| i32::from_le_bytes(b) as f32),
            Dtype::I64 => map(data, |b| i64::from_le_bytes(b) as f32),
            Dtype::Bool => map(data, |[b]| f32::from(u8::from(b != 0))),
        }
    }
}

fn map<const N: usize>(data: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>().0.iter().map(|&bytes| convert(bytes)).collect()
}

/// Every half is exactly a float, subnormals included.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let cases = [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x8000).is_sign_negative());
        assert!(half(0x7c01).is_nan());
    }

    #[test]
    fn every_type_converts() {
        let check = |dtype, data: &[u8], values: &[f32]| {
            let tensor = RawTensor { shape: vec![values.len()], dtype, data: data.to_vec() };
            assert_eq!(tensor.len(), values.len());
            assert_eq!(tensor.to_f32(), values);
        };
        check(Dtype::F16, &[0, 0x3c, 0, 0xc0], &[1.0, -2.0]);
        check(Dtype::Bf16, &[0x80, 0x3f], &[1.0]);
        check(Dtype::F32, &1.5f32.to_le_bytes(), &[1.5]);
        check(Dtype::F64, &0.1f64.to_le_bytes(), &[0.1]);
        check(Dtype::I8, &[0xff], &[-1.0]);
        check(Dtype::U8, &[0xff], &[255.0]);
        check(Dtype::I16, &(-300i16).to_le_bytes(), &[-300.0]);
        check(Dtype::I32, &70_000i32.to_le_bytes(), &[70_000.0]);
        check(Dtype::I64, &(-5i64).to_le_bytes(), &[-5.0]);
        check(Dtype::Bool, &[1, 0, 7], &[1.0, 0.0, 1.0]);
        check(Dtype::F64, &[], &[]);
    }
}

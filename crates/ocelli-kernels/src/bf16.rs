//! Values of half the width: bf16, an f32 without its lower 16 bits.
//!
//! Mixed precision keeps features and their gradients in bf16 and computes in f32: half the memory, and half the
//! traffic. A kernel is generic over the [`Element`] that it reads or writes, which lends it f32 of a piece.

use crate::isa::multiversion;
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// The upper half of an f32: its sign, its exponent and 7 bits of its fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(u16);

impl Bf16 {
    /// The nearest bf16, the even one of two; NaN stays NaN. Slices are rounded alike, but that CPUs which round to
    /// bf16 themselves make zeros of denormal values.
    #[inline(always)]
    pub fn new(value: f32) -> Self {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        // Rounding could carry a NaN's fraction away.
        Self(if value.is_nan() { (bits >> 16 | 0x40) as u16 } else { rounded as u16 })
    }

    /// The same value.
    #[inline(always)]
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// Memory for f32 as twice as many bf16, of unspecified value.
    pub fn slice(memory: &[f32]) -> &[Self] {
        // SAFETY: both are plain bits, of which any are valid, and bf16 needs no more alignment.
        unsafe { std::slice::from_raw_parts(memory.as_ptr().cast(), 2 * memory.len()) }
    }

    /// [`slice`](Self::slice) to write.
    pub fn slice_mut(memory: &mut [f32]) -> &mut [Self] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), 2 * memory.len()) }
    }

    /// Memory for bf16 as half as many f32, of unspecified value.
    ///
    /// # Panics
    /// Where it is no memory of f32.
    pub fn wide(memory: &[Self]) -> &[f32] {
        Self::check_wide(memory);
        // SAFETY: both are plain bits, of which any are valid; place and length have been seen to fit.
        unsafe { std::slice::from_raw_parts(memory.as_ptr().cast(), memory.len() / 2) }
    }

    /// [`wide`](Self::wide) to write.
    ///
    /// # Panics
    /// As [`wide`](Self::wide).
    pub fn wide_mut(memory: &mut [Self]) -> &mut [f32] {
        Self::check_wide(memory);
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), memory.len() / 2) }
    }

    fn check_wide(memory: &[Self]) {
        let fits = memory.as_ptr().cast::<f32>().is_aligned() && memory.len().is_multiple_of(2);
        assert!(fits, "memory of f32: its place and length");
    }

    /// Its bits.
    #[inline(always)]
    pub fn bits(self) -> u16 {
        self.0
    }
}

/// What kernels read and write: f32 or [`Bf16`]. They compute in f32, piece by piece.
pub(crate) trait Element: Copy + Send + Sync {
    /// Whether values must be converted.
    const NARROW: bool;
    fn new(value: f32) -> Self;
    fn value(self) -> f32;
    /// A slice that must be of this width.
    fn read(floats: Floats<'_>) -> &[Self];
    /// A slice to write that must be of this width.
    fn written(floats: FloatsMut<'_>) -> &mut [Self];
    /// A slice as values of either width.
    fn floats(values: &[Self]) -> Floats<'_>;
    /// The same to write.
    fn floats_mut(values: &mut [Self]) -> FloatsMut<'_>;
    /// Lends the values as f32.
    fn wide<R>(values: &[Self], read: impl FnOnce(&[f32]) -> R) -> R;
    /// Rounds what `write` writes.
    fn fill(values: &mut [Self], write: impl FnOnce(&mut [f32]));
}

impl Element for f32 {
    const NARROW: bool = false;

    #[inline(always)]
    fn new(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    fn read(floats: Floats<'_>) -> &[Self] {
        let Floats::F32(values) = floats else { panic!("values of two widths") };
        values
    }

    fn written(floats: FloatsMut<'_>) -> &mut [Self] {
        let FloatsMut::F32(values) = floats else { panic!("values of two widths") };
        values
    }

    fn floats(values: &[Self]) -> Floats<'_> {
        Floats::F32(values)
    }

    fn floats_mut(values: &mut [Self]) -> FloatsMut<'_> {
        FloatsMut::F32(values)
    }

    fn wide<R>(values: &[Self], read: impl FnOnce(&[f32]) -> R) -> R {
        read(values)
    }

    fn fill(values: &mut [Self], write: impl FnOnce(&mut [f32])) {
        write(values);
    }
}

impl Element for Bf16 {
    const NARROW: bool = true;

    #[inline(always)]
    fn new(value: f32) -> Self {
        Self::new(value)
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self.to_f32()
    }

    fn read(floats: Floats<'_>) -> &[Self] {
        let Floats::Bf16(values) = floats else { panic!("values of two widths") };
        values
    }

    fn written(floats: FloatsMut<'_>) -> &mut [Self] {
        let FloatsMut::Bf16(values) = floats else { panic!("values of two widths") };
        values
    }

    fn floats(values: &[Self]) -> Floats<'_> {
        Floats::Bf16(values)
    }

    fn floats_mut(values: &mut [Self]) -> FloatsMut<'_> {
        FloatsMut::Bf16(values)
    }

    fn wide<R>(values: &[Self], read: impl FnOnce(&[f32]) -> R) -> R {
        with_memory(values.len(), |memory| {
            widen(values, memory);
            read(memory)
        })
    }

    fn fill(values: &mut [Self], write: impl FnOnce(&mut [f32])) {
        with_memory(values.len(), |memory| {
            write(memory);
            narrow(memory, values);
        });
    }
}

thread_local! {
    /// Memory for converted pieces.
    static MEMORY: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends memory of this thread, with unspecified contents.
fn with_memory<R>(len: usize, run: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut memory = MEMORY.with_borrow_mut(Vec::pop).unwrap_or_default();
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
    let result = run(&mut memory[..len]);
    MEMORY.with_borrow_mut(|free| free.push(memory));
    result
}

/// Values of either width.
#[derive(Clone, Copy, Debug)]
pub enum Floats<'a> {
    /// In f32.
    F32(&'a [f32]),
    /// In bf16.
    Bf16(&'a [Bf16]),
}

/// Values of either width, to be written.
#[derive(Debug)]
pub enum FloatsMut<'a> {
    /// In f32.
    F32(&'a mut [f32]),
    /// In bf16.
    Bf16(&'a mut [Bf16]),
}

/// Runs an expression with the slice of either width.
macro_rules! either {
    ($type:ident, $floats:expr, $slice:pat => $body:expr) => {
        match $floats {
            $crate::bf16::$type::F32($slice) => $body,
            $crate::bf16::$type::Bf16($slice) => $body,
        }
    };
}
pub(crate) use either;

/// Runs an expression with two slices of one width.
macro_rules! pair {
    ($pair:expr, ($a:pat, $b:pat) => $body:expr) => {
        match $pair {
            ($crate::bf16::Floats::F32($a), $crate::bf16::Floats::F32($b)) => $body,
            ($crate::bf16::Floats::Bf16($a), $crate::bf16::Floats::Bf16($b)) => $body,
            _ => panic!("values of two widths"),
        }
    };
}
pub(crate) use pair;

impl<'a> Floats<'a> {
    /// Number of values.
    pub fn len(&self) -> usize {
        either!(Floats, self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they are bf16.
    pub fn is_narrow(&self) -> bool {
        matches!(self, Self::Bf16(_))
    }

    /// Some of them.
    ///
    /// # Panics
    /// Where the range goes beyond the end.
    pub fn get(&self, range: Range<usize>) -> Self {
        match *self {
            Self::F32(values) => Self::F32(&values[range]),
            Self::Bf16(values) => Self::Bf16(&values[range]),
        }
    }

    /// Writes all of them, rounded if need be.
    ///
    /// # Panics
    /// When `to` has another length.
    pub fn copy_to(&self, to: FloatsMut<'_>) {
        const CHUNK: usize = 1 << 15;
        assert_eq!(self.len(), to.len(), "the length of what values are copied to");
        either!(FloatsMut, to, to => {
            to.par_chunks_mut(CHUNK).enumerate().for_each(|(i, to)| {
                self.get(i * CHUNK..i * CHUNK + to.len()).copy_here(to.into());
            });
        });
    }

    /// [`copy_to`](Self::copy_to) on this thread alone.
    pub(crate) fn copy_here(&self, to: FloatsMut<'_>) {
        assert_eq!(self.len(), to.len(), "the length of what values are copied to");
        match (*self, to) {
            (Self::F32(from), FloatsMut::F32(to)) => to.copy_from_slice(from),
            (Self::Bf16(from), FloatsMut::Bf16(to)) => to.copy_from_slice(from),
            (Self::F32(from), FloatsMut::Bf16(to)) => narrow(from, to),
            (Self::Bf16(from), FloatsMut::F32(to)) => widen(from, to),
        }
    }
}

impl FloatsMut<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        either!(FloatsMut, self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same for a shorter time.
    pub fn reborrow(&mut self) -> FloatsMut<'_> {
        match self {
            Self::F32(values) => FloatsMut::F32(values),
            Self::Bf16(values) => FloatsMut::Bf16(values),
        }
    }

    /// What was written.
    pub fn read(&self) -> Floats<'_> {
        match self {
            Self::F32(values) => Floats::F32(values),
            Self::Bf16(values) => Floats::Bf16(values),
        }
    }
}

fn narrow(from: &[f32], to: &mut [Bf16]) {
    #[cfg(target_arch = "x86_64")]
    if crate::isa::has_bf16() {
        // SAFETY: as has been seen.
        return unsafe { narrow_fast(from, to) };
    }
    narrow_plain(from, to);
}

multiversion! {
    fn narrow_plain(from: &[f32], to: &mut [Bf16]) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = Bf16::new(from));
    }
}

/// By an instruction for it, which takes and gives zeros where values are denormal.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn narrow_fast(from: &[f32], to: &mut [Bf16]) {
    use std::arch::x86_64::{__m512bh, _mm512_cvtne2ps_pbh, _mm512_loadu_ps};
    const PIECE: usize = 32;
    let round = |values: &[f32; PIECE]| -> [Bf16; PIECE] {
        // SAFETY: both halves fill a vector; the result has the size of the array, of which any bits are valid.
        unsafe {
            let [low, high] = [0, PIECE / 2].map(|at| _mm512_loadu_ps(values.as_ptr().add(at)));
            std::mem::transmute::<__m512bh, [Bf16; PIECE]>(_mm512_cvtne2ps_pbh(high, low))
        }
    };
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks(), to.as_chunks_mut());
    for (to, from) in to.iter_mut().zip(from) {
        *to = round(from);
    }
    // The last ones by the same instruction, so that a value does not depend on where it stands.
    let mut last = [0.0; PIECE];
    last[..from_rest.len()].copy_from_slice(from_rest);
    to_rest.copy_from_slice(&round(&last)[..to_rest.len()]);
}

multiversion! {
    fn widen(from: &[Bf16], to: &mut [f32]) {
        to.iter_mut().zip(from).for_each(|(to, &from)| *to = from.to_f32());
    }
}

macro_rules! into_floats {
    ($($element:ty => $kind:ident),*) => {$(
        impl<'a> From<&'a [$element]> for Floats<'a> {
            fn from(values: &'a [$element]) -> Self {
                Self::$kind(values)
            }
        }

        impl<'a> From<&'a Vec<$element>> for Floats<'a> {
            fn from(values: &'a Vec<$element>) -> Self {
                Self::$kind(values)
            }
        }

        impl<'a, const N: usize> From<&'a [$element; N]> for Floats<'a> {
            fn from(values: &'a [$element; N]) -> Self {
                Self::$kind(values)
            }
        }

        impl<'a> From<&'a mut [$element]> for FloatsMut<'a> {
            fn from(values: &'a mut [$element]) -> Self {
                Self::$kind(values)
            }
        }

        impl<'a> From<&'a mut Vec<$element>> for FloatsMut<'a> {
            fn from(values: &'a mut Vec<$element>) -> Self {
                Self::$kind(values)
            }
        }

        impl<'a, const N: usize> From<&'a mut [$element; N]> for FloatsMut<'a> {
            fn from(values: &'a mut [$element; N]) -> Self {
                Self::$kind(values)
            }
        }
    )*};
}
into_floats!(f32 => F32, Bf16 => Bf16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_to_the_nearest_even() {
        let smallest = f32::from_bits(1 << 16);
        for value in [0.0, -0.0, 1.0, -2.5, f32::INFINITY, f32::NEG_INFINITY, smallest] {
            assert_eq!(Bf16::new(value).to_f32().to_bits(), value.to_bits(), "{value}");
        }
        // 1 + 1/128 is the next bf16 after 1.
        let step = 1.0 / 128.0;
        for (value, wanted) in [
            (1.0 + step * 0.5, 1.0),
            (1.0 + step * 0.50001, 1.0 + step),
            (1.0 + step * 1.5, 1.0 + 2.0 * step),
            (-1.0 - step * 0.49, -1.0),
            (f32::MAX, f32::INFINITY),
        ] {
            assert_eq!(Bf16::new(value).to_f32(), wanted, "{value}");
        }
        assert!(Bf16::new(f32::from_bits(0x7f80_0001)).to_f32().is_nan());
        assert!(Bf16::new(f32::from_bits(0x7fff_ffff)).to_f32().is_nan());
    }

    #[test]
    fn copies_round_and_widen() {
        let values: Vec<f32> = (0..1000).map(|i| i as f32 * 0.37 - 90.0).collect();
        let mut narrow = vec![Bf16::default(); 1000];
        Floats::from(&values).copy_to((&mut narrow).into());
        let mut wide = vec![0.0; 1000];
        Floats::from(&narrow).copy_to((&mut wide).into());
        for ((value, narrow), wide) in values.iter().zip(&narrow).zip(&wide) {
            assert_eq!(Bf16::new(*value), *narrow);
            assert_eq!(narrow.to_f32(), *wide);
        }
    }

    #[test]
    fn slices_round_as_values_do() {
        let mut values: Vec<f32> = (0..100).map(|i| (i as f32 - 50.0) * 1.001f32.powi(i)).collect();
        values.extend([f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 0.0, -0.0]);
        values.extend((0..64).map(|i| 1.0 + i as f32 / 1024.0));
        let mut narrow = vec![Bf16::default(); values.len()];
        for len in 0..=values.len() {
            Floats::from(&values[..len]).copy_here((&mut narrow[..len]).into());
            let wanted = values[..len].iter().map(|&value| Bf16::new(value));
            assert!(wanted.clone().eq(narrow[..len].iter().copied()), "{len}");
            narrow_plain(&values[..len], &mut narrow[..len]);
            assert!(wanted.eq(narrow[..len].iter().copied()), "{len}");
        }
        Floats::from(&[f32::NAN; 40]).copy_here((&mut narrow[..40]).into());
        assert!(narrow[..40].iter().all(|value| value.to_f32().is_nan()));
    }
}

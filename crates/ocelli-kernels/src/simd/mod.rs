//! Vectors of f32 as a type, one per instruction set.
//!
//! A kernel is written once over [`Vector`] and compiled for each instruction set by [`for_each_isa!`].
//! Unlike `multiversion!`, which leaves the vectors to the compiler, it decides itself what stands in
//! which register, and it multiplies and adds in one rounding where the CPU can.

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Bf16};

use crate::bf16::Bf16;
use crate::tiles::{halves, pair};

/// The most lanes of a vector.
const MOST: usize = 16;

/// A register full of f32.
///
/// A value of such a type exists only where the CPU has its instruction set: only the unsafe functions
/// make one. So the arithmetic on it is safe.
pub(crate) trait Vector: Copy {
    /// Values in a vector.
    const LANES: usize;

    /// `value` in every lane.
    ///
    /// # Safety
    /// The CPU must have the instruction set.
    unsafe fn splat(value: f32) -> Self;

    /// The values at `from`, of any alignment.
    ///
    /// # Safety
    /// As [`splat`](Self::splat), and `from` must be valid for reading [`LANES`](Self::LANES) values.
    unsafe fn load(from: *const f32) -> Self;

    /// The first `count` values at `from` (all lanes if there are more), and zeros.
    ///
    /// # Safety
    /// As [`load`](Self::load), for `count` values.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;

    /// Writes all lanes.
    ///
    /// # Safety
    /// `to` must be valid for writing [`LANES`](Self::LANES) values.
    unsafe fn store(self, to: *mut f32);

    /// Writes all lanes past the cache, to be followed by [`streamed`](Self::streamed) before anybody reads them.
    ///
    /// # Safety
    /// As [`store`](Self::store), and `to` must be aligned to the whole vector.
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { self.store(to) }
    }

    /// Ends a run of [`stream`](Self::stream).
    ///
    /// # Safety
    /// The CPU must have the instruction set.
    #[inline(always)]
    unsafe fn streamed() {}

    /// Writes the first `count` lanes (all if there are no more).
    ///
    /// # Safety
    /// As [`store`](Self::store), for `count` values.
    unsafe fn store_first(self, to: *mut f32, count: usize);

    /// Lane by lane.
    fn add(self, other: Self) -> Self;
    /// Lane by lane.
    fn sub(self, other: Self) -> Self;
    /// Lane by lane.
    fn mul(self, other: Self) -> Self;
    /// `self * factor + summand`, in one rounding where the CPU can.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// Lane by lane at least `low` and at most `high`; NaN stays NaN.
    fn clamp(self, low: Self, high: Self) -> Self;

    /// Lanes that are pairs of bf16: the values of `self` and those of `odd`, rounded. Such lanes are no numbers; they
    /// are loaded, stored and [multiplied](Self::mul_add_pairs).
    #[inline(always)]
    fn pair(self, odd: Self) -> Self {
        pair_lanes(self, odd)
    }

    /// Writes all lanes rounded to bf16, two in a place of an f32.
    ///
    /// # Safety
    /// `to` must be valid for writing half as many values as there are lanes.
    #[inline(always)]
    unsafe fn store_narrow(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { store_lanes_narrow(self, to) }
    }

    /// Of lanes that are pairs of bf16, both products and `summand`.
    #[inline(always)]
    fn mul_add_pairs(self, factor: Self, summand: Self) -> Self {
        mul_add_lanes(self, factor, summand)
    }
}

/// [`Vector::pair`] without instructions for it.
#[inline(always)]
fn pair_lanes<V: Vector>(even: V, odd: V) -> V {
    let (even, odd) = (lanes(even), lanes(odd));
    from_lanes(|i| f32::from_bits(pair(Bf16::new(even[i]), Bf16::new(odd[i]))))
}

/// [`Vector::store_narrow`] without instructions for it.
///
/// # Safety
/// As that.
#[inline(always)]
unsafe fn store_lanes_narrow<V: Vector>(vector: V, to: *mut f32) {
    let lanes = lanes(vector);
    for (i, &[even, odd]) in lanes[..V::LANES].as_chunks().0.iter().enumerate() {
        let word = pair(Bf16::new(even), Bf16::new(odd));
        // SAFETY: the caller's promise.
        unsafe { to.add(i).write(f32::from_bits(word)) }
    }
}

/// [`Vector::mul_add_pairs`] without instructions for it.
#[inline(always)]
fn mul_add_lanes<V: Vector>(a: V, b: V, c: V) -> V {
    let (a, b, c) = (lanes(a), lanes(b), lanes(c));
    from_lanes(|i| {
        let (a, b) = (halves(a[i].to_bits()), halves(b[i].to_bits()));
        c[i] + a[0] * b[0] + a[1] * b[1]
    })
}

/// The lanes of a vector, and zeros.
#[inline(always)]
fn lanes<V: Vector>(vector: V) -> [f32; MOST] {
    let mut lanes = [0.0; MOST];
    // SAFETY: no vector has more lanes.
    unsafe { vector.store(lanes.as_mut_ptr()) }
    lanes
}

/// A vector of these lanes. There must be one of its type already.
#[inline(always)]
fn from_lanes<V: Vector>(lane: impl Fn(usize) -> f32) -> V {
    let lanes: [f32; MOST] = std::array::from_fn(|i| if i < V::LANES { lane(i) } else { 0.0 });
    // SAFETY: no vector has more lanes; as there is one of its type, the CPU has the instruction set.
    unsafe { V::load(lanes.as_ptr()) }
}

/// Four lanes of plain Rust, for every CPU.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Portable {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; an array of f32 in a pointer to f32 may be unaligned to 16 only.
        Self(unsafe { from.cast::<[f32; 4]>().read() })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        if count >= Self::LANES {
            // SAFETY: the caller's promise.
            return unsafe { Self::load(from) };
        }
        // SAFETY: lanes below `count` may be read.
        Self(std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 }))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        for (i, value) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: lanes below `count` may be written.
            unsafe { *to.add(i) = value }
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        if cfg!(target_arch = "aarch64") {
            // Every such CPU fuses.
            Self(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], summand.0[i])))
        } else {
            self.mul(factor).add(summand)
        }
    }

    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        let at_least = self.zip(low, |x, low| if x < low { low } else { x });
        at_least.zip(high, |x, high| if x > high { high } else { x })
    }
}

/// Compiles a function generic over a [`Vector`] for each instruction set.
///
/// `unsafe fn name = generic(arguments)` defines `name(isa, arguments)`, which calls `generic::<V>` with
/// the vector of `isa`; `generic with bf16(arguments)` does so for a function that deals in pairs of bf16. What it calls
/// must be `#[inline(always)]`. The caller promises that the CPU has `isa`, beside what `generic` asks for.
macro_rules! for_each_isa {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident = $generic:ident
        ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?) => {
        $(#[$meta])*
        $vis unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx2>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx512>($($arg),*) }
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the caller's promise.
                $crate::isa::Isa::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the caller's promise.
                isa if isa >= $crate::isa::Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: the caller's promise.
                _ => unsafe { $generic::<$crate::simd::Portable>($($arg),*) },
            }
        }
    };
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident = $generic:ident with bf16
        ($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$meta])*
        $vis unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) {
            $crate::simd::for_each_isa!(unsafe fn others = $generic($($arg: $ty),*));
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
            unsafe fn native($($arg: $ty),*) {
                // SAFETY: the caller's promise.
                unsafe { $generic::<$crate::simd::Avx512Bf16>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            if isa >= $crate::isa::Isa::Avx512Bf16 {
                // SAFETY: the caller's promise.
                return unsafe { native($($arg),*) };
            }
            // SAFETY: the caller's promise.
            unsafe { others(isa, $($arg),*) }
        }
    };
}
pub(crate) use for_each_isa;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, detected};

    #[inline(always)]
    unsafe fn triple_first<V: Vector>(x: &[f32], y: &mut [f32], count: usize) {
        // SAFETY: both slices hold at least `count` values.
        unsafe {
            let x = V::load_first(x.as_ptr(), count);
            x.mul_add(V::splat(2.0), x).store_first(y.as_mut_ptr(), count);
        }
    }
    for_each_isa!(unsafe fn triple = triple_first(x: &[f32], y: &mut [f32], count: usize));

    #[inline(always)]
    unsafe fn pairs_first<V: Vector>(x: &[f32; 32], y: &mut [f32; 32]) {
        // SAFETY: no vector has more than 16 lanes.
        unsafe {
            let [even, odd] = [0, 16].map(|at| V::load(x.as_ptr().add(at)));
            let both = even.pair(odd);
            both.mul_add_pairs(both, even).store(y.as_mut_ptr());
            even.store_narrow(y.as_mut_ptr().add(16));
        }
    }
    for_each_isa!(unsafe fn pairs = pairs_first with bf16 (x: &[f32; 32], y: &mut [f32; 32]));

    #[test]
    fn pairs_are_rounded_and_multiplied() {
        let mut x = [0.0; 32];
        x.copy_from_slice(&crate::testing::fill(32, 1));
        x[3] = f32::NAN;
        let narrow = |i: usize| Bf16::new(x[i]);
        for isa in Isa::ALL.into_iter().filter(|&isa| isa <= detected()) {
            let mut y = [0.0; 32];
            // SAFETY: the CPU has it.
            unsafe { pairs(isa, &x, &mut y) };
            for i in 0..crate::register::lanes(isa) {
                let square = |i| f64::from(narrow(i).to_f32()).powi(2);
                let expected = f64::from(x[i]) + square(i) + square(16 + i);
                let close = (f64::from(y[i]) - expected).abs() < 1e-6;
                assert!(close || expected.is_nan() && y[i].is_nan(), "{isa:?} {i}");
            }
            for i in 0..crate::register::lanes(isa) / 2 {
                let [even, odd] = [2 * i, 2 * i + 1].map(narrow);
                let got = y[16 + i].to_bits();
                let same = |half: u32, value: Bf16| {
                    let got = f32::from_bits(half << 16);
                    half == u32::from(value.bits()) || got.is_nan() && value.to_f32().is_nan()
                };
                assert!(same(got & 0xffff, even) && same(got >> 16, odd), "{isa:?} {i}");
            }
        }
    }

    #[test]
    fn only_the_first_lanes_are_read_and_written() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        for isa in Isa::ALL {
            let lanes = match isa {
                Isa::Portable => 4,
                Isa::Avx2 => 8,
                _ => 16,
            };
            for count in (0..=9).filter(|_| isa <= detected()) {
                let mut y = [-1.0; 10];
                // SAFETY: the CPU has it, and the slices are long enough.
                unsafe { triple(isa, &x, &mut y, count) };
                for (i, y) in y.into_iter().enumerate() {
                    let inside = i < count.min(lanes);
                    assert_eq!(y, if inside { 3.0 * x[i] } else { -1.0 }, "{isa:?} {count}");
                }
            }
        }
    }
}

//! The vectors of AVX2 and AVX-512.

use super::{Vector, mul_add_lanes, pair_lanes, store_lanes_narrow};
use std::arch::x86_64::*;

/// Eight lanes, with fused multiplication and addition.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// All ones in the first `count` lanes.
#[inline(always)]
unsafe fn mask8(count: usize) -> __m256i {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let start = 8 - count.min(8);
    // SAFETY: start <= 8, so eight values from there lie inside; the caller has AVX2.
    unsafe { _mm256_loadu_si256(ONES.as_ptr().add(start).cast()) }
}

// Below, intrinsics are called in functions that are inlined into one compiled for the instruction
// set. SAFETY of all arithmetic: a value of the type exists only where the CPU has it.
impl Vector for Avx2 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: lanes outside the mask are not read.
        Self(unsafe { _mm256_maskload_ps(from, mask8(count)) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_stream_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn streamed() {
        // SAFETY: every x86-64 has it.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: lanes outside the mask are not written.
        unsafe { _mm256_maskstore_ps(to, mask8(count), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        // SAFETY: above. Of a NaN and a number these give the second operand.
        Self(unsafe { _mm256_min_ps(high.0, _mm256_max_ps(low.0, self.0)) })
    }
}

/// Sixteen lanes, where the CPU has instructions for bf16 or not.
#[derive(Clone, Copy)]
pub(crate) struct Sixteen<const BF16: bool>(__m512);

pub(crate) type Avx512 = Sixteen<false>;
pub(crate) type Avx512Bf16 = Sixteen<true>;

/// Bits as the pairs of bf16 that they are.
#[inline(always)]
fn values(bits: __m512) -> __m512bh {
    // SAFETY: both types are 64 bytes, of which any are valid.
    unsafe { std::mem::transmute(bits) }
}

/// Two vectors of bf16 behind each other, in pairs.
#[inline(always)]
unsafe fn zip(both: __m512bh) -> __m512 {
    const ORDER: [u16; 32] = {
        let (mut order, mut i) = ([0; 32], 0);
        while i < 32 {
            order[i] = (i / 2 + i % 2 * 16) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: the order is a vector, the types are 64 bytes, of which any are valid; the caller has AVX-512.
    unsafe {
        let order = _mm512_loadu_si512(ORDER.as_ptr().cast());
        let bits = std::mem::transmute::<__m512bh, __m512i>(both);
        _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, bits))
    }
}

#[inline(always)]
fn mask16(count: usize) -> __mmask16 {
    ((1_u32 << count.min(16)) - 1) as __mmask16
}

impl<const BF16: bool> Vector for Sixteen<BF16> {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: lanes outside the mask are not read.
        Self(unsafe { _mm512_maskz_loadu_ps(mask16(count), from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_stream_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn streamed() {
        // SAFETY: every x86-64 has it.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        // SAFETY: lanes outside the mask are not written.
        unsafe { _mm512_mask_storeu_ps(to, mask16(count), self.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        // SAFETY: above.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, summand.0) })
    }

    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        // SAFETY: above. Of a NaN and a number these give the second operand.
        Self(unsafe { _mm512_min_ps(high.0, _mm512_max_ps(low.0, self.0)) })
    }

    #[inline(always)]
    fn pair(self, odd: Self) -> Self {
        if BF16 {
            // SAFETY: above.
            Self(unsafe { zip(_mm512_cvtne2ps_pbh(odd.0, self.0)) })
        } else {
            pair_lanes(self, odd)
        }
    }

    #[inline(always)]
    unsafe fn store_narrow(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe {
            if BF16 {
                to.cast::<__m256bh>().write_unaligned(_mm512_cvtneps_pbh(self.0));
            } else {
                store_lanes_narrow(self, to);
            }
        }
    }

    #[inline(always)]
    fn mul_add_pairs(self, factor: Self, summand: Self) -> Self {
        if BF16 {
            // SAFETY: above.
            Self(unsafe { _mm512_dpbf16_ps(summand.0, values(self.0), values(factor.0)) })
        } else {
            mul_add_lanes(self, factor, summand)
        }
    }
}

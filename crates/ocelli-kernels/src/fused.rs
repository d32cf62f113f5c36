//! Kernels that want the fused multiply-add, compiled for each instruction set.
//!
//! A kernel is a type whose `run` is generic over how to multiply and add; everything in it must be
//! `#[inline(always)]`, so that it is compiled, and vectorised, along with the function that enables the
//! instruction set.

use crate::isa::{Isa, current};

/// a * b + c.
pub(crate) trait MulAdd {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// Rounded once. Only where the CPU does it in one instruction: elsewhere it is a slow library call.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
struct Fused;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl MulAdd for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// Rounded after the product and after the sum.
#[cfg(not(target_arch = "aarch64"))]
struct Separate;

#[cfg(not(target_arch = "aarch64"))]
impl MulAdd for Separate {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

#[cfg(target_arch = "aarch64")]
type Portable = Fused;
#[cfg(not(target_arch = "aarch64"))]
type Portable = Separate;

/// Elements `at..at + N` of a slice.
///
/// # Safety
/// They must exist.
#[inline(always)]
pub(crate) unsafe fn load_unchecked<const N: usize>(x: &[f32], at: usize) -> [f32; N] {
    debug_assert!(at + N <= x.len());
    // SAFETY: the caller knows that N elements follow.
    unsafe { x.as_ptr().add(at).cast::<[f32; N]>().read_unaligned() }
}

/// Something to compile for each instruction set and to run on the best one.
pub(crate) trait Kernel: Sized {
    fn run<M: MulAdd>(self);
}

/// Runs a kernel with the instruction set of [`current`].
pub(crate) fn run(kernel: impl Kernel) {
    #[cfg(target_arch = "x86_64")]
    match current() {
        // SAFETY: `current` is never above what this CPU was detected to have.
        Isa::Avx512 => return unsafe { avx512(kernel) },
        // SAFETY: as above.
        Isa::Avx2 => return unsafe { avx2(kernel) },
        Isa::Portable => {}
    }
    kernel.run::<Portable>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(kernel: impl Kernel) {
    kernel.run::<Fused>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512(kernel: impl Kernel) {
    kernel.run::<Fused>();
}

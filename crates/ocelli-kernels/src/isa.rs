//! Which instruction set the kernels use, decided at run time.
//!
//! A kernel is one plain Rust body. `multiversion!` compiles it for the baseline CPU and, on x86-64,
//! again for AVX2 and for AVX-512, where the compiler vectorises the same loops with wider registers.
//! Multiplications and additions are never contracted into fused ones here, so every version of such a
//! kernel returns the same bits.

use std::sync::atomic::{AtomicU8, Ordering};

/// The instruction sets a kernel is compiled for, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every CPU of the target architecture has.
    Portable,
    /// AVX2 with FMA (x86-64-v3).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (x86-64-v4).
    Avx512,
    /// AVX512-BF16 beside it: twice as many products of bf16, summed up in f32, as of f32. Kernels that know f32 only are
    /// those of AVX-512, here and below.
    Avx512Bf16,
    /// Intel's AMX beside them: many times as many, where the operating system allows it.
    Amx,
}

impl Isa {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx];
}

const UNKNOWN: u8 = u8::MAX;
static CHOSEN: AtomicU8 = AtomicU8::new(UNKNOWN);

/// The instruction set that kernels use in this process.
#[inline]
pub fn current() -> Isa {
    match CHOSEN.load(Ordering::Relaxed) {
        0 => Isa::Portable,
        1 => Isa::Avx2,
        2 => Isa::Avx512,
        3 => Isa::Avx512Bf16,
        4 => Isa::Amx,
        _ => limit(from_environment().unwrap_or(Isa::Amx)),
    }
}

/// The limit that the environment variable `OCELLI_MAX_ISA` sets: `portable`, `avx2`, `avx512`, `avx512bf16` or `amx`,
/// the default.
///
/// # Errors
/// What the variable says, where it is none of these; kernels then use all that the CPU has.
pub fn from_environment() -> Result<Isa, String> {
    match std::env::var("OCELLI_MAX_ISA").as_deref() {
        Ok("portable") => Ok(Isa::Portable),
        Ok("avx2") => Ok(Isa::Avx2),
        Ok("avx512") => Ok(Isa::Avx512),
        Ok("avx512bf16") => Ok(Isa::Avx512Bf16),
        Ok("amx") | Err(std::env::VarError::NotPresent) => Ok(Isa::Amx),
        Ok(other) => Err(other.to_string()),
        Err(std::env::VarError::NotUnicode(other)) => Err(other.to_string_lossy().into_owned()),
    }
}

/// Uses nothing above `highest` from here on, nor anything that this CPU lacks; returns the choice.
///
/// For tests and benchmarks: it holds for the whole process.
pub fn limit(highest: Isa) -> Isa {
    let chosen = detected_up_to(highest).min(highest);
    CHOSEN.store(chosen as u8, Ordering::Relaxed);
    chosen
}

/// All that this CPU has.
#[cfg(test)]
pub(crate) fn detected() -> Isa {
    detected_up_to(Isa::Amx)
}

/// What this CPU has. The operating system is asked for AMX only where that is wanted: it makes room for the registers
/// of threads then.
#[cfg(target_arch = "x86_64")]
pub(crate) fn detected_up_to(highest: Isa) -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) if !is_x86_feature_detected!("avx512bf16") => Isa::Avx512,
        (true, true) if highest == Isa::Amx && crate::tiles::allowed() => Isa::Amx,
        (true, true) => Isa::Avx512Bf16,
        (true, false) => Isa::Avx2,
        (false, _) => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn detected_up_to(_: Isa) -> Isa {
    Isa::Portable
}

/// Whether the CPU has instructions for bf16 that the limit allows.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_bf16() -> bool {
    current() >= Isa::Avx512Bf16
}

/// Compiles a function for each [`Isa`] and calls the one of [`current`].
///
/// Generic parameters stand in square brackets and must be inferable from the arguments; what the body
/// calls must be `#[inline(always)]` to be compiled along.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $([$($generic:tt)*])?
        ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<$($generic)*>)? ($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn portable $(<$($generic)*>)? ($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$($generic)*>)? ($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512 $(<$($generic)*>)? ($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                match $crate::isa::current() {
                    $crate::isa::Isa::Portable => {}
                    // SAFETY: `current` is never above what this CPU was detected to have.
                    $crate::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    _ => return unsafe { avx512($($arg),*) },
                }
            }
            portable($($arg),*)
        }
    };
}
pub(crate) use multiversion;

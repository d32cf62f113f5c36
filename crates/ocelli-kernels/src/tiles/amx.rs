//! The products of tiles by Intel's AMX. Its intrinsics are not stable yet, so this is assembly.

use super::{Job, ROW, SIDE};
use std::arch::asm;
use std::mem::offset_of;
use std::sync::OnceLock;

/// Whether CPU and kernel let this process use tiles of bf16. The kernel is asked once, for all threads: it keeps no
/// room for the 8 KiB of tile registers of a thread before it was.
pub(crate) fn allowed() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    *ALLOWED.get_or_init(|| {
        if cfg!(miri) {
            return false; // It knows neither the instruction below nor the system call.
        }
        #[allow(unused_unsafe)] // not unsafe from some version of Rust on
        // SAFETY: every x86-64 CPU has this instruction, and says for how many leaves.
        let features = unsafe {
            use std::arch::x86_64::{__cpuid, __cpuid_count};
            if __cpuid(0).eax >= 7 { __cpuid_count(7, 0).edx } else { 0 }
        };
        features & BF16_AND_TILES == BF16_AND_TILES && permitted()
    })
}

/// Asks the kernel for tile registers.
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: a system call that touches no memory of ours; kernels that do not know it return an error.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA, out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = {
    let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        row_bytes[tile] = ROW as u16;
        rows[tile] = SIDE as u8;
        tile += 1;
    }
    Configuration { palette: 1, start: 0, reserved: [0; 14], row_bytes, rows }
};

/// Makes eight whole tiles of this thread's registers.
///
/// # Safety
/// They must be [`allowed`].
pub(super) unsafe fn configure() {
    // SAFETY: the caller's promise; it reads 64 bytes.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, readonly)) }
}

/// Gives the registers back, so that nobody saves them from here on.
///
/// # Safety
/// They must be [`allowed`].
pub(super) unsafe fn release() {
    // SAFETY: the caller's promise.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

/// Runs a job.
///
/// # Safety
/// The registers must be [configured](configure), and the job's pointers valid for what it says; nobody else may use
/// the sums.
pub(super) unsafe fn run(job: &Job) {
    // Sums are in tmm0 to tmm3, row by row; the left operand in tmm4 and 5, the right in 6 and 7. `a_next` and
    // `b_next` are 0 where there is no second tile.
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "cmp byte ptr [{job} + {accumulate}], 0",
            "je 8f",
            "mov {t}, [{job} + {c}]",
            "mov {k}, [{job} + {c_row}]",
            "tileloadd tmm0, [{t} + {k}]",
            "test {b_next}, {b_next}",
            "jz 2f",
            "tileloadd tmm1, [{t} + {k} + 64]",
            "2:",
            "test {a_next}, {a_next}",
            "jz 8f",
            "mov {t}, [{job} + {c} + 8]",
            "mov {k}, [{job} + {c_row} + 8]",
            "tileloadd tmm2, [{t} + {k}]",
            "test {b_next}, {b_next}",
            "jz 8f",
            "tileloadd tmm3, [{t} + {k} + 64]",

            // The next run.
            "8:",
            "cmp {run}, [{job} + {end}]",
            "je 9f",
            "mov {a}, [{job} + {a_start}]",
            "add {a}, [{run}]",
            "mov {b}, [{job} + {b_start}]",
            "add {b}, [{run} + 8]",
            "add {run}, 16",
            "mov {k}, [{job} + {chunks}]",

            // The next tiles.
            "3:",
            "tileloadd tmm4, [{a} + {a_row}]",
            "tileloadd tmm6, [{b} + {b_row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "test {b_next}, {b_next}",
            "jz 4f",
            "lea {t}, [{b} + {b_next}]",
            "tileloadd tmm7, [{t} + {b_row}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "4:",
            "test {a_next}, {a_next}",
            "jz 5f",
            "lea {t}, [{a} + {a_next}]",
            "tileloadd tmm5, [{t} + {a_row}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "test {b_next}, {b_next}",
            "jz 5f",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "5:",
            "add {a}, [{job} + {a_step}]",
            "add {b}, [{job} + {b_step}]",
            "dec {k}",
            "jnz 3b",
            "jmp 8b",

            // The sums.
            "9:",
            "mov {t}, [{job} + {c}]",
            "mov {k}, [{job} + {c_row}]",
            "tilestored [{t} + {k}], tmm0",
            "test {b_next}, {b_next}",
            "jz 6f",
            "tilestored [{t} + {k} + 64], tmm1",
            "6:",
            "test {a_next}, {a_next}",
            "jz 7f",
            "mov {t}, [{job} + {c} + 8]",
            "mov {k}, [{job} + {c_row} + 8]",
            "tilestored [{t} + {k}], tmm2",
            "test {b_next}, {b_next}",
            "jz 7f",
            "tilestored [{t} + {k} + 64], tmm3",
            "7:",
            job = in(reg) job,
            run = inout(reg) job.runs => _,
            a_row = in(reg) job.a_row,
            a_next = in(reg) job.a_next,
            b_row = in(reg) job.b_row,
            b_next = in(reg) job.b_next,
            a = out(reg) _,
            b = out(reg) _,
            t = out(reg) _,
            k = out(reg) _,
            accumulate = const offset_of!(Job, accumulate),
            c = const offset_of!(Job, c),
            c_row = const offset_of!(Job, c_row),
            end = const offset_of!(Job, end),
            a_start = const offset_of!(Job, a),
            b_start = const offset_of!(Job, b),
            chunks = const offset_of!(Job, chunks),
            a_step = const offset_of!(Job, a_step),
            b_step = const offset_of!(Job, b_step),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

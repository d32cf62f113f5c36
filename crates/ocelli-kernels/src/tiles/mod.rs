//! Products of tiles of bf16 with sums in f32: what Intel's AMX computes, and its twins: one by vectors of pairs, for
//! CPUs with AVX512-BF16, and one in plain Rust.
//!
//! A tile is 16 rows of 64 bytes. One of the left operand holds 16 rows of 32 values; one of the right 32 rows of
//! 16 values, two of them interleaved in each of its own rows; one of sums 16 rows of 16 f32.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod plain;
mod transpose;
#[cfg(target_arch = "x86_64")]
mod vectors;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) use amx::allowed;
#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
pub(crate) fn allowed() -> bool {
    false
}
pub(crate) use transpose::transpose;

use crate::bf16::Bf16;
use crate::isa::{self, Isa};

/// Rows of a tile, and columns of a tile of sums.
pub(crate) const SIDE: usize = 16;
/// Values of the left operand's rows, and of the right one's columns, in a tile.
pub(crate) const DEPTH: usize = 32;
/// Bytes of a row of a tile, and of a tile.
pub(crate) const ROW: usize = 64;
pub(crate) const TILE: usize = SIDE * ROW;

/// The words of a tile: pairs of bf16.
pub(crate) type Words = [[u32; SIDE]; SIDE];

/// One or two tiles of the left operand, below each other, times one or two of the right, beside each other, summed
/// up over runs of tiles.
#[repr(C)]
pub(crate) struct Job {
    /// The operands.
    pub a: *const u8,
    pub b: *const u8,
    /// Where a run begins in either, in bytes: from `runs` on until `end`.
    pub runs: *const [usize; 2],
    pub end: *const [usize; 2],
    /// Tiles of a run.
    pub chunks: usize,
    /// Bytes from one row of a tile to the next, from one tile of a run to the next, and to the second tile; 0 where
    /// there is none.
    pub a_row: usize,
    pub a_step: usize,
    pub a_next: usize,
    pub b_row: usize,
    pub b_step: usize,
    pub b_next: usize,
    /// Where the sums of either tile of the left operand go; those of the second tile of the right one lie behind those
    /// of the first, in the same rows.
    pub c: [*mut f32; 2],
    /// Bytes from one row of them to the next.
    pub c_row: [usize; 2],
    /// Whether they are added to what stands there.
    pub accumulate: bool,
}

/// The tile registers of this thread, or a twin, ready to be used until this is dropped.
pub(crate) struct Tiles {
    isa: Isa,
    /// They are of one thread.
    only_here: std::marker::PhantomData<*const ()>,
}

impl Tiles {
    /// By what `isa` has for them, no more than this CPU.
    pub fn new(isa: Isa) -> Self {
        assert!(isa <= isa::detected_up_to(isa), "{isa:?} is not there");
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if isa == Isa::Amx {
            // SAFETY: it is there.
            unsafe { amx::configure() }
        }
        Self { isa, only_here: std::marker::PhantomData }
    }

    /// Runs a job.
    ///
    /// # Safety
    /// Its pointers must be valid for what it says, and nobody else may use the sums.
    #[inline]
    pub unsafe fn run(&self, job: &Job) {
        match self.isa {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            // SAFETY: the caller's promise; the registers are configured.
            Isa::Amx => unsafe { amx::run(job) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the caller's promise; the CPU has the instructions.
            Isa::Avx512Bf16 => unsafe { vectors::run(job) },
            // SAFETY: the caller's promise.
            _ => unsafe { plain::run(job) },
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if self.isa == Isa::Amx {
            // SAFETY: they were configured.
            unsafe { amx::release() }
        }
    }
}

/// The word of two values.
#[inline(always)]
pub(crate) fn pair(first: Bf16, second: Bf16) -> u32 {
    u32::from(first.bits()) | u32::from(second.bits()) << 16
}

/// The values of a word.
#[inline(always)]
pub(crate) fn halves(word: u32) -> [f32; 2] {
    [word << 16, word & 0xffff_0000].map(f32::from_bits)
}

/// f32 as the bits of twice as many bf16, in pairs.
pub(crate) fn words(memory: &mut [f32]) -> &mut [u32] {
    // SAFETY: both are plain bits, of which any are valid, of the same size and alignment.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), memory.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fill, relative_error};

    /// Two runs of three tiles each, by tiles that are or are not there.
    fn product(by: Isa, [two_a, two_b]: [bool; 2], accumulate: bool) -> (Vec<f32>, Vec<f64>) {
        const RUNS: usize = 2;
        const CHUNKS: usize = 3;
        const K: usize = CHUNKS * DEPTH;
        let narrow = |seed| -> Vec<Bf16> {
            fill(RUNS * K * DEPTH, seed).into_iter().map(Bf16::new).collect()
        };
        // Of a, the rows of a run are K long; of b, each tile is a piece.
        let (a, b) = (narrow(1), narrow(2));
        let mut c = fill(DEPTH * DEPTH, 3);
        let runs = [0, 1].map(|run| [run * K * DEPTH * 2, run * CHUNKS * 2 * TILE]);
        let mut expected: Vec<f64> = c.iter().map(|&c| f64::from(c)).collect();
        for m in 0..if two_a { DEPTH } else { SIDE } {
            for n in 0..if two_b { DEPTH } else { SIDE } {
                let terms = (0..RUNS * K).map(|k| {
                    let (run, chunk, pair) = (k / K, k % K / DEPTH, k % DEPTH / 2);
                    let tile = (run * CHUNKS + chunk) * 2 + n / SIDE;
                    let b = b[(tile * SIDE + pair) * DEPTH + n % SIDE * 2 + k % 2];
                    f64::from(a[(run * DEPTH + m) * K + k % K].to_f32()) * f64::from(b.to_f32())
                });
                let before = if accumulate { expected[m * DEPTH + n] } else { 0.0 };
                expected[m * DEPTH + n] = before + terms.sum::<f64>();
            }
        }
        let start = c.as_mut_ptr();
        let job = Job {
            a: a.as_ptr().cast(),
            b: b.as_ptr().cast(),
            runs: runs.as_ptr(),
            end: runs.as_ptr_range().end,
            chunks: CHUNKS,
            a_row: K * 2,
            a_step: ROW,
            a_next: if two_a { SIDE * K * 2 } else { 0 },
            b_row: ROW,
            b_step: 2 * TILE,
            b_next: if two_b { TILE } else { 0 },
            c: [start, start.wrapping_add(SIDE * DEPTH)],
            c_row: [DEPTH * 4; 2],
            accumulate,
        };
        // SAFETY: all that it points to is there.
        unsafe { Tiles::new(by).run(&job) };
        (c, expected)
    }

    #[test]
    fn products_are_those_of_matrices() {
        for by in [Isa::Portable, Isa::Avx512Bf16, Isa::Amx] {
            if by > isa::detected() {
                eprintln!("skipped: there is no {by:?}");
                continue;
            }
            for tiles in [[false, false], [false, true], [true, false], [true, true]] {
                for accumulate in [false, true] {
                    let (got, expected) = product(by, tiles, accumulate);
                    assert!(
                        relative_error(&got, &expected) < 1e-6,
                        "{by:?} {tiles:?} {accumulate}"
                    );
                }
            }
        }
    }
}

//! Transposing a tile of words.

use super::{SIDE, Words};

/// A row of words, and elements of two of them.
#[cfg(target_arch = "x86_64")]
type Row = [u32; SIDE];

/// Writes rows as columns.
#[inline]
pub(crate) fn transpose(rows: &Words, columns: &mut Words) {
    #[cfg(target_arch = "x86_64")]
    if crate::isa::current() >= crate::isa::Isa::Avx512 {
        // SAFETY: the CPU has it.
        return unsafe { by_vectors(rows, columns) };
    }
    *columns = std::array::from_fn(|i| rows.map(|row| row[i]));
}

/// In four stages: the halves of rows eight apart are exchanged, then the quarters of rows four apart, and so on.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn by_vectors(rows: &Words, columns: &mut Words) {
    use std::arch::x86_64::{
        _mm512_loadu_epi32, _mm512_permutex2var_epi32, _mm512_setzero_si512, _mm512_storeu_epi32,
    };
    /// Of two rows, the upper gets the elements on its side of both, and the lower those on the other.
    const STAGES: [(usize, [Row; 2]); 4] = [stage(8), stage(4), stage(2), stage(1)];
    // Loops, as what is handed to a function of the library would be compiled for any CPU.
    let mut vectors = [_mm512_setzero_si512(); SIDE];
    for (vector, row) in vectors.iter_mut().zip(rows) {
        // SAFETY: a row is a vector.
        *vector = unsafe { _mm512_loadu_epi32(row.as_ptr().cast()) };
    }
    for (apart, [upper, lower]) in &STAGES {
        // SAFETY: as above.
        let upper = unsafe { _mm512_loadu_epi32(upper.as_ptr().cast()) };
        // SAFETY: as above.
        let lower = unsafe { _mm512_loadu_epi32(lower.as_ptr().cast()) };
        for row in 0..SIDE {
            if row & apart == 0 {
                let [first, second] = [vectors[row], vectors[row + apart]];
                vectors[row] = _mm512_permutex2var_epi32(first, upper, second);
                vectors[row + apart] = _mm512_permutex2var_epi32(first, lower, second);
            }
        }
    }
    for (column, vector) in columns.iter_mut().zip(vectors) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_epi32(column.as_mut_ptr().cast(), vector) };
    }
}

/// Which elements rows so far apart exchange: those of the second row count from 16 on.
#[cfg(target_arch = "x86_64")]
const fn stage(apart: usize) -> (usize, [Row; 2]) {
    let mut rows = [[0; SIDE]; 2];
    let mut column = 0;
    while column < SIDE {
        let stays = column & apart == 0;
        rows[0][column] = if stays { column } else { SIDE + column - apart } as u32;
        rows[1][column] = if stays { column + apart } else { SIDE + column } as u32;
        column += 1;
    }
    (apart, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows: Words = std::array::from_fn(|i| std::array::from_fn(|j| (i * 100 + j) as u32));
        let mut columns = [[0; SIDE]; SIDE];
        transpose(&rows, &mut columns);
        for (i, column) in columns.iter().enumerate() {
            for (j, &value) in column.iter().enumerate() {
                assert_eq!(value, (j * 100 + i) as u32);
            }
        }
    }
}

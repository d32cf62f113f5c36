//! Transposing a tile of words.

use super::{SIDE, Words};

/// Rows become columns.
#[inline]
pub(crate) fn transpose(rows: &Words) -> Words {
    #[cfg(target_arch = "x86_64")]
    if crate::isa::current() >= crate::isa::Isa::Avx512 {
        // SAFETY: the CPU has it.
        return unsafe { by_vectors(rows) };
    }
    std::array::from_fn(|i| rows.map(|row| row[i]))
}

/// In four stages: the halves of rows eight apart are exchanged, then the quarters of rows four apart, and so on.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn by_vectors(rows: &Words) -> Words {
    use std::arch::x86_64::{_mm512_loadu_epi32, _mm512_permutex2var_epi32, _mm512_storeu_epi32};
    // SAFETY: a row is a vector.
    let load = |row: &[u32; SIDE]| unsafe { _mm512_loadu_epi32(row.as_ptr().cast()) };
    let mut vectors = rows.each_ref().map(load);
    for apart in [8, 4, 2, 1] {
        // Of two rows, the upper gets the elements on its side of both, and the lower those on the other.
        let stays = |column: usize| column & apart == 0;
        let upper: [u32; SIDE] =
            std::array::from_fn(|c| (if stays(c) { c } else { SIDE + c - apart }) as u32);
        let lower: [u32; SIDE] =
            std::array::from_fn(|c| (if stays(c) { c + apart } else { SIDE + c }) as u32);
        let [upper, lower] = [load(&upper), load(&lower)];
        for row in (0..SIDE).filter(|row| row & apart == 0) {
            let [first, second] = [vectors[row], vectors[row + apart]];
            vectors[row] = _mm512_permutex2var_epi32(first, upper, second);
            vectors[row + apart] = _mm512_permutex2var_epi32(first, lower, second);
        }
    }
    let mut columns = [[0; SIDE]; SIDE];
    for (column, vector) in columns.iter_mut().zip(vectors) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_epi32(column.as_mut_ptr().cast(), vector) };
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows: Words = std::array::from_fn(|i| std::array::from_fn(|j| (i * 100 + j) as u32));
        let columns = transpose(&rows);
        for (i, column) in columns.iter().enumerate() {
            for (j, &value) in column.iter().enumerate() {
                assert_eq!(value, (j * 100 + i) as u32);
            }
        }
    }
}

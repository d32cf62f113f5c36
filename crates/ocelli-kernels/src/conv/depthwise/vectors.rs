//! How the channels of a pixel are cut into vectors.

use crate::isa::Isa;
use crate::register::lanes;

/// The instruction set with the widest vectors that so many channels fill, up to `isa`. Fewer than any
/// vector has go into one of the narrowest.
pub(super) fn filled(isa: Isa, channels: usize) -> Isa {
    let all = [Isa::Avx512, Isa::Avx2, Isa::Portable];
    all.into_iter().find(|&i| i <= isa && lanes(i) <= channels).unwrap_or(Isa::Portable)
}

/// Channels cut into whole vectors, if they fill one. Vectors may overlap: what two of them compute is
/// computed twice, to the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vectors {
    lanes: usize,
    channels: usize,
    /// Channels before the first vector that is aligned in memory.
    lead: usize,
}

impl Vectors {
    /// The vectors for the pixels of an image, of which this is one.
    ///
    /// Loads across cache lines halve the speed, and allocators like to return memory that begins 16 bytes
    /// into a line. So where the channels keep all pixels aligned alike, the first vector is followed by
    /// aligned ones.
    #[inline(always)]
    pub fn new(image: *const f32, lanes: usize, channels: usize) -> Self {
        let beyond = image.addr() / size_of::<f32>() % lanes;
        let alike = channels.is_multiple_of(lanes) && channels > lanes;
        Self { lanes, channels, lead: if alike { (lanes - beyond) % lanes } else { 0 } }
    }

    #[inline(always)]
    pub fn count(&self) -> usize {
        (self.channels - self.lead).div_ceil(self.lanes) + usize::from(self.lead > 0)
    }

    /// The first channel of a vector; the last one reaches back.
    #[inline(always)]
    pub fn first(&self, vector: usize) -> usize {
        let after_lead = self.lead + vector * self.lanes;
        let first = if self.lead == 0 { after_lead } else { after_lead.saturating_sub(self.lanes) };
        // The first vector begins with the first channel, whatever the lead.
        let first = if vector == 0 { 0 } else { first };
        first.min(self.channels.saturating_sub(self.lanes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_vector_reaches_back() {
        let firsts = |vectors: Vectors| -> Vec<_> {
            (0..vectors.count()).map(|vector| vectors.first(vector)).collect()
        };
        let of = |channels, lead| firsts(Vectors { lanes: 4, channels, lead });
        assert_eq!(of(3, 0), [0]);
        assert_eq!(of(4, 0), [0]);
        assert_eq!(of(10, 0), [0, 4, 6]);
        assert_eq!(of(12, 0), [0, 4, 8]);
        assert_eq!(of(12, 1), [0, 1, 5, 8]);
        assert_eq!(of(12, 3), [0, 3, 7, 8]);
    }

    #[test]
    fn all_vectors_but_the_first_and_the_last_are_aligned() {
        let memory = [0.0; 64];
        for offset in 0..8 {
            let vectors = Vectors::new(memory[offset..].as_ptr(), 8, 24);
            for vector in 1..vectors.count() - 1 {
                let at = memory.as_ptr().addr() / size_of::<f32>() + offset + vectors.first(vector);
                assert_eq!(at % 8, 0);
            }
        }
        assert_eq!(Vectors::new(memory[1..].as_ptr(), 8, 20).count(), 3);
        assert_eq!(Vectors::new(memory[1..].as_ptr(), 8, 8).count(), 1);
    }

    #[test]
    fn few_channels_take_narrow_vectors() {
        assert_eq!(
            [16, 15, 8].map(|c| filled(Isa::Avx512, c)),
            [Isa::Avx512, Isa::Avx2, Isa::Avx2]
        );
        assert_eq!([7, 4, 3].map(|c| filled(Isa::Avx512, c)), [Isa::Portable; 3]);
        assert_eq!(filled(Isa::Avx2, 40), Isa::Avx2);
    }
}

//! How channels are cut into vectors, and weights into the order in which kernels read them.

use crate::isa::Isa;
use crate::register::lanes;

/// Channels cut into whole vectors. The last one reaches back over channels of the one before, so that it
/// is full, too: what both compute is computed twice, to the same bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vectors {
    isa: Isa,
    channels: usize,
}

/// The first channel of a vector.
#[inline(always)]
pub(super) fn first_channel(vector: usize, lanes: usize, channels: usize) -> usize {
    (vector * lanes).min(channels.saturating_sub(lanes))
}

impl Vectors {
    /// The widest vectors that the channels fill; fewer than any vector has go into one of the narrowest.
    pub fn new(isa: Isa, channels: usize) -> Self {
        let all = [Isa::Avx512, Isa::Avx2, Isa::Portable];
        let filled = all.into_iter().find(|&i| i <= isa && lanes(i) <= channels);
        Self { isa: filled.unwrap_or(Isa::Portable), channels }
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Whether the channels fill a vector.
    pub fn full(&self) -> bool {
        self.channels >= lanes(self.isa)
    }

    /// Elements of `taps` packed taps: `[vectors, taps, lanes]`.
    pub fn packed_len(&self, taps: usize) -> usize {
        self.count() * taps * lanes(self.isa)
    }

    /// Packs those `taps` of weights `[C, all]`.
    pub fn pack(
        &self,
        w: &[f32],
        all: usize,
        taps: impl Iterator<Item = usize> + Clone,
        packed: &mut Vec<f32>,
    ) {
        for vector in 0..self.count() {
            let first = first_channel(vector, lanes(self.isa), self.channels);
            for tap in taps.clone() {
                let lane = |lane| w.get((first + lane) * all + tap).copied().unwrap_or(0.0);
                packed.extend((0..lanes(self.isa)).map(lane));
            }
        }
    }

    /// Gradients packed as `[vectors, taps, lanes]` in the order `[C, taps]`.
    pub fn unpack(&self, packed: &[f32], taps: usize, dw: &mut [f32]) {
        let lanes = lanes(self.isa);
        for (vector, packed) in packed.chunks_exact(taps * lanes).enumerate() {
            let first = first_channel(vector, lanes, self.channels);
            let channels = dw[first * taps..].chunks_exact_mut(taps).take(lanes);
            for (lane, dw) in channels.enumerate() {
                dw.iter_mut().zip(packed[lane..].iter().step_by(lanes)).for_each(|(w, &p)| *w = p);
            }
        }
    }

    fn count(&self) -> usize {
        self.channels.div_ceil(lanes(self.isa))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_vector_reaches_back() {
        let vectors = Vectors::new(Isa::Portable, 5);
        let w: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let mut packed = vec![];
        vectors.pack(&w, 2, 0..2, &mut packed);
        assert_eq!(packed[..8], [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
        assert_eq!(packed[8..], [2.0, 4.0, 6.0, 8.0, 3.0, 5.0, 7.0, 9.0]);
        assert_eq!(packed.len(), vectors.packed_len(2));
        let mut dw = [0.0; 10];
        vectors.unpack(&packed, 2, &mut dw);
        assert_eq!(dw, w[..]);
    }

    #[test]
    fn few_channels_take_narrow_vectors() {
        let isa = |channels| Vectors::new(Isa::Avx512, channels).isa();
        assert_eq!([16, 15, 8, 7, 2].map(isa)[..3], [Isa::Avx512, Isa::Avx2, Isa::Avx2]);
        assert_eq!([7, 4, 3].map(isa), [Isa::Portable; 3]);
        assert!(!Vectors::new(Isa::Avx512, 3).full());
        let mut packed = vec![];
        Vectors::new(Isa::Avx2, 3).pack(&[1.0, 2.0, 3.0], 1, 0..1, &mut packed);
        assert_eq!(packed, [1.0, 2.0, 3.0, 0.0]);
    }
}

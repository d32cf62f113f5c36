//! From pixels to points: the transforms of the tiles of x and of dy.

use super::frame::Grid;
use super::memory::Layout;
use super::points::{F42, F43, F44, Family, Transforms, by_family, by_size};
use super::tiles::Block;
use crate::simd::{Vector, for_each_isa};
use crate::source::View;
use crate::workers::SharedMut;

/// Images that tiles are read from.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pub pixels: View<'a>,
    pub grid: Grid,
    /// What a pixel outside the image holds: as many zeros as channels.
    pub zero: &'a [f32],
}

/// A transform of the tiles of a block, to be called strip by strip.
#[derive(Clone, Copy)]
pub(super) struct ToPoints<'a> {
    pub images: Images<'a>,
    pub block: &'a Block,
    pub layout: Layout,
    /// As long as the layout says.
    pub to: SharedMut<'a>,
}

for_each_isa! {
    /// Transforms the tiles of x in a strip for products with weights or with dy.
    ///
    /// # Safety
    /// The CPU must have the instruction set, the layout's width must be a whole number of its vectors, and
    /// no one else may use the tiles of this strip meanwhile.
    pub(super) unsafe fn transform_data = strip_of_data(job: &ToPoints<'_>, strip: usize)
}
for_each_isa! {
    /// Transforms the tiles of x in a strip for products of bf16 with weights: channels become pairs. Of a kernel that is
    /// not folded.
    ///
    /// # Safety
    /// As [`transform_data`], but rows of the layout have half as many places as whole vectors of all channels.
    pub(super) unsafe fn transform_data_narrow = strip_of_narrow_data with bf16 (job: &ToPoints<'_>, strip: usize)
}
for_each_isa! {
    /// Transforms the tiles of dy in a strip for products with x.
    ///
    /// # Safety
    /// As [`transform_data`].
    pub(super) unsafe fn transform_gradient = strip_of_gradients(job: &ToPoints<'_>, strip: usize)
}

#[inline(always)]
unsafe fn strip_of_data<V: Vector>(job: &ToPoints<'_>, index: usize) {
    // SAFETY: the caller's promise.
    unsafe { strip::<V, Data<false>>(job, index) }
}

#[inline(always)]
unsafe fn strip_of_narrow_data<V: Vector>(job: &ToPoints<'_>, index: usize) {
    // SAFETY: the caller's promise.
    unsafe { strip_of::<V, Data<true>, F43, 6, 3>(job, index) }
}

#[inline(always)]
unsafe fn strip_of_gradients<V: Vector>(job: &ToPoints<'_>, index: usize) {
    // SAFETY: the caller's promise.
    unsafe { strip::<V, Gradient>(job, index) }
}

/// A transform along one axis.
trait Transform {
    /// Whether points are stored as pairs of bf16.
    const NARROW: bool = false;

    /// Pixels that a tile reads beyond its outputs, for kernels of so many weights.
    fn more(weights: usize) -> usize;

    fn apply<V, F, const P: usize, const R: usize, const M: usize>(pixels: [V; P]) -> [V; P]
    where
        V: Vector,
        F: Transforms<P, R>;
}

/// Of x, in pairs of bf16 or not.
struct Data<const NARROW: bool>;

impl<const NARROW: bool> Transform for Data<NARROW> {
    const NARROW: bool = NARROW;

    #[inline(always)]
    fn more(weights: usize) -> usize {
        weights - 1
    }

    #[inline(always)]
    fn apply<V, F, const P: usize, const R: usize, const M: usize>(pixels: [V; P]) -> [V; P]
    where
        V: Vector,
        F: Transforms<P, R>,
    {
        F::data::<V, M>(pixels)
    }
}

struct Gradient;

impl Transform for Gradient {
    #[inline(always)]
    fn more(_: usize) -> usize {
        0
    }

    #[inline(always)]
    fn apply<V, F, const P: usize, const R: usize, const M: usize>(pixels: [V; P]) -> [V; P]
    where
        V: Vector,
        F: Transforms<P, R>,
    {
        F::gradient::<V, M>([pixels[0], pixels[1], pixels[2], pixels[3]])
    }
}

#[inline(always)]
unsafe fn strip<V: Vector, T: Transform>(job: &ToPoints<'_>, index: usize) {
    // SAFETY: the caller's promise.
    unsafe { by_family!(job.block.family(), strip_of[V, T](job, index)) }
}

#[inline(always)]
unsafe fn strip_of<V: Vector, T: Transform, F: Transforms<P, R>, const P: usize, const R: usize>(
    job: &ToPoints<'_>,
    index: usize,
) {
    let images = &job.images;
    let channels = images.grid.size[2];
    let to = job.to.range(0, job.layout.len());
    let (image, row) = job.block.strip(index);
    for phase in 0..images.grid.phases() {
        let first = images.grid.first(phase);
        let rows = images.rows::<P>(image, row.start, first[0], row.outputs + T::more(R));
        for (place, column) in job.block.tiles_of(index) {
            let pixels = images.under(&rows, column.start, first[1]);
            let to = Place { to, layout: &job.layout, place, channel: phase * channels };
            // SAFETY: a pixel has `channels` values; the place is one of the layout's, which `to` has room for.
            unsafe {
                by_size!(row.outputs, column.outputs, tile[V, T, F, P, R](&pixels, channels, to));
            }
        }
    }
}

impl<'a> Images<'a> {
    /// The first `count` rows of pixels below a tile that begins at an output row; none where that is padding.
    #[inline(always)]
    fn rows<const P: usize>(
        &self,
        image: usize,
        start: usize,
        first: isize,
        count: usize,
    ) -> [Option<&'a [f32]>; P] {
        let [height, width, channels] = self.grid.size;
        std::array::from_fn(|i| {
            let row = ((start + i) * self.grid.step)
                .checked_add_signed(first)
                .filter(|&row| row < height && i < count)?;
            let line = (image * height + row) * width * channels;
            Some(self.pixels.get(line..line + width * channels))
        })
    }

    /// Pointers to the pixels below a tile, each to a value per channel.
    #[inline(always)]
    fn under<const P: usize>(
        &self,
        rows: &[Option<&'a [f32]>; P],
        start: usize,
        first: isize,
    ) -> [[*const f32; P]; P] {
        let [_, width, channels] = self.grid.size;
        let zero = self.zero[..channels].as_ptr();
        let columns: [Option<usize>; P] = std::array::from_fn(|j| {
            ((start + j) * self.grid.step)
                .checked_add_signed(first)
                .filter(|&column| column < width)
        });
        let mut pixels = [[zero; P]; P];
        for (row, pixels) in rows.iter().zip(&mut pixels) {
            for (column, pixel) in columns.into_iter().zip(pixels) {
                if let (Some(row), Some(column)) = (row, column) {
                    *pixel = row.as_ptr().wrapping_add(column * channels);
                }
            }
        }
        pixels
    }
}

/// Where the points of a tile go.
struct Place<'a> {
    to: *mut f32,
    layout: &'a Layout,
    place: usize,
    /// The first of its channels.
    channel: usize,
}

/// Transforms one tile, a vector of channels after the other.
///
/// # Safety
/// The pixels must hold `channels` values, and the place must have room for them.
#[inline(always)]
unsafe fn tile<V, T, F, const P: usize, const R: usize, const I: usize, const J: usize>(
    pixels: &[[*const f32; P]; P],
    channels: usize,
    place: Place<'_>,
) where
    V: Vector,
    T: Transform,
    F: Transforms<P, R>,
{
    for first in (0..channels).step_by(V::LANES) {
        // SAFETY: `first` is below `channels`; a panel is a whole number of vectors wide.
        unsafe {
            let zero = V::splat(0.0);
            let mut half = [[zero; P]; P];
            for j in 0..J + T::more(R) {
                let mut column = [zero; P];
                for i in 0..I + T::more(R) {
                    column[i] = V::load_first(pixels[i][j].add(first), channels - first);
                }
                for (row, value) in half.iter_mut().zip(T::apply::<V, F, P, R, I>(column)) {
                    row[j] = value;
                }
            }
            let layout = place.layout;
            let channel = place.channel + first;
            let at = if T::NARROW { channel / 2 } else { channel };
            let to = place.to.add(layout.at(place.place, at));
            for (i, row) in half.into_iter().enumerate() {
                let row = T::apply::<V, F, P, R, J>(row);
                for (j, value) in row.into_iter().enumerate() {
                    if F::FAMILY.uses(I, i) && F::FAMILY.uses(J, j) {
                        let to = to.add((i * P + j) * layout.point_len());
                        if T::NARROW { value.store_narrow(to) } else { value.store(to) }
                    }
                }
            }
        }
    }
}

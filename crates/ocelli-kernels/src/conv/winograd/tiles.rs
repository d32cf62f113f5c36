//! How images are cut into tiles, and where a tile stands among those computed together.

use super::points::Family;
use std::ops::Range;

/// Outputs of a full tile along one axis.
const FULL: usize = 4;

/// An axis of the target: full tiles, then at most two tails, both of the same length. Where the family has
/// no tails, the last tile is a full one, which may reach beyond the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    size: usize,
    full: usize,
    tails: usize,
    /// Outputs of a tail.
    tail: usize,
}

/// A tile along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub start: usize,
    /// Outputs that are computed: 4, 3 or 2.
    pub outputs: usize,
    /// How many of them the axis has.
    pub inside: usize,
}

impl Axis {
    fn new(family: Family, size: usize) -> Self {
        let full = size / FULL;
        if !family.has_tails() {
            return Self { size, full: size.div_ceil(FULL), tails: 0, tail: FULL };
        }
        let (full, tails, tail) = match size % FULL {
            0 => (full, 0, FULL),
            // A tile of one output would cost half as much as one of four.
            1 if full > 0 => (full - 1, 2, 3),
            1 => (0, 1, 2),
            rest => (full, 1, rest),
        };
        Self { size, full, tails, tail }
    }

    pub fn tiles(&self) -> usize {
        self.full + self.tails
    }

    pub fn run(&self, tile: usize) -> Run {
        let outputs = if tile < self.full { FULL } else { self.tail };
        let start = tile.min(self.full) * FULL + tile.saturating_sub(self.full) * self.tail;
        Run { start, outputs, inside: outputs.min(self.size - start) }
    }
}

/// The tiles of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    pub family: Family,
    pub rows: Axis,
    pub columns: Axis,
}

impl Tiling {
    /// Tiles of images of so many rows and columns.
    pub fn new(family: Family, size: [usize; 2]) -> Self {
        let [rows, columns] = size.map(|size| Axis::new(family, size));
        Self { family, rows, columns }
    }
}

/// Some rows of tiles, numbered over all images, that are computed together.
///
/// Each tile has a place in this order: full height and tail width, full, tail height and full width, both
/// tails. So the tiles that use a point stand side by side, whatever the point.
#[derive(Clone, Debug)]
pub(super) struct Block {
    tiling: Tiling,
    pub strips: Range<usize>,
}

impl Block {
    pub fn new(tiling: Tiling, strips: Range<usize>) -> Self {
        Self { tiling, strips }
    }

    pub fn family(&self) -> Family {
        self.tiling.family
    }

    pub fn tiles(&self) -> usize {
        self.strips.len() * self.tiling.columns.tiles()
    }

    /// Image and tile of a strip.
    pub fn strip(&self, strip: usize) -> (usize, Run) {
        let per_image = self.tiling.rows.tiles();
        (strip / per_image, self.tiling.rows.run(strip % per_image))
    }

    /// The tiles of a strip along its columns, with their places.
    pub fn tiles_of(&self, strip: usize) -> impl Iterator<Item = (usize, Run)> + use<> {
        let Tiling { rows, columns, .. } = self.tiling;
        let [_, full_end, tail_end, _] = self.ends();
        let before = self.full_strips(self.strips.start..strip);
        // Of the strip's tiles: where the full ones begin, where the tails.
        let (full, tail) = if strip % rows.tiles() < rows.full {
            let full_start = self.ends()[0];
            (full_start + before * columns.full, before * columns.tails)
        } else {
            let before = strip - self.strips.start - before;
            (full_end + before * columns.full, tail_end + before * columns.tails)
        };
        (0..columns.tiles()).map(move |j| {
            let place = if j < columns.full { full + j } else { tail + j - columns.full };
            (place, columns.run(j))
        })
    }

    /// The places of the tiles that use a point; `0..0` where there are none.
    pub fn owners(&self, point: usize) -> Range<usize> {
        let Tiling { family, rows, columns } = self.tiling;
        let ends = self.ends();
        let points = family.points();
        let tall = family.uses(rows.tail, point / points);
        let wide = family.uses(columns.tail, point % points);
        let start = if wide { 0 } else { ends[0] };
        let end = match (tall, wide) {
            (true, true) => ends[3],
            (true, false) => ends[2],
            (false, _) => ends[1],
        };
        if start < end { start..end } else { 0..0 }
    }

    /// Where the four kinds of tiles end.
    fn ends(&self) -> [usize; 4] {
        let columns = self.tiling.columns;
        let full = self.full_strips(self.strips.clone());
        let tails = self.strips.len() - full;
        let first = full * columns.tails;
        let second = first + full * columns.full;
        let third = second + tails * columns.full;
        [first, second, third, third + tails * columns.tails]
    }

    /// Strips of full height among some.
    fn full_strips(&self, strips: Range<usize>) -> usize {
        let rows = self.tiling.rows;
        let before =
            |strip: usize| strip / rows.tiles() * rows.full + (strip % rows.tiles()).min(rows.full);
        before(strips.end) - before(strips.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiles_of_an_axis_cover_it_once() {
        for size in 1..=30 {
            let axis = Axis::new(Family::F43, size);
            let mut next = 0;
            for run in (0..axis.tiles()).map(|i| axis.run(i)) {
                assert_eq!(run.start, next);
                assert!((1..=run.outputs).contains(&run.inside) && run.outputs <= 4);
                next += run.inside;
            }
            assert_eq!(next, size);
        }
        let outputs = |size| {
            let axis = Axis::new(Family::F43, size);
            (0..axis.tiles()).map(|i| axis.run(i).outputs).collect::<Vec<_>>()
        };
        assert_eq!(
            [1, 3, 6, 7, 9].map(outputs),
            [vec![2], vec![3], vec![4, 2], vec![4, 3], vec![4, 3, 3]]
        );
    }

    #[test]
    fn every_tile_has_a_place_and_is_among_the_owners_of_its_points() {
        for (height, width) in (1..12).flat_map(|h| [1, 5, 6, 7, 8, 9].map(|w| (h, w))) {
            let tiling = Tiling::new(Family::F43, [height, width]);
            let all = 3 * tiling.rows.tiles();
            for strips in [0..all, 1..all, all - 1..all, 2..2] {
                let block = Block::new(tiling, strips.clone());
                let mut seen = vec![false; block.tiles()];
                for strip in strips {
                    let (_, row) = block.strip(strip);
                    for (place, column) in block.tiles_of(strip) {
                        assert!(!std::mem::replace(&mut seen[place], true));
                        for p in 0..tiling.family.all() {
                            let (family, points) = (tiling.family, tiling.family.points());
                            let owner = family.uses(row.outputs, p / points)
                                && family.uses(column.outputs, p % points);
                            assert_eq!(block.owners(p).contains(&place), owner);
                        }
                    }
                }
                assert!(seen.into_iter().all(|seen| seen));
            }
        }
    }
}

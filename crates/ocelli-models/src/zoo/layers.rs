//! `layer1`, `layer2` and so on of a ResNet: rows of blocks, each row a stage of its own.

use ocelli_nn::{Block, Feature, Pass, Result, Scope};

/// Rows of blocks; row i is `layer{i + 1}`, stage i + 1, and tapped under its name.
pub(super) struct Layers<B>(Vec<Vec<B>>);

impl<B> Layers<B> {
    /// `counts[i]` blocks in row i. `block` makes one from its scope, its row and its place in the row, in order.
    pub(super) fn new(
        root: &Scope,
        counts: &[usize],
        mut block: impl FnMut(&Scope, usize, usize) -> Result<B>,
    ) -> Result<Self> {
        let row = |(row, &count): (usize, &usize)| {
            let scope = root.pp(name(row)).stage(row + 1);
            (0..count).map(|place| block(&scope.pp(place), row, place)).collect()
        };
        Ok(Self(counts.iter().enumerate().map(row).collect::<Result<_>>()?))
    }
}

impl<B: Block> Block for Layers<B> {
    fn forward(&self, x: &Feature, pass: &mut Pass) -> Result<Feature> {
        let mut x = x.clone();
        for (row, blocks) in self.0.iter().enumerate() {
            x = blocks.forward(&x, pass)?;
            pass.tap(&name(row), &x);
        }
        Ok(x)
    }
}

fn name(row: usize) -> String {
    format!("layer{}", row + 1)
}

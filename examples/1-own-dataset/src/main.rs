//! How do I load images of my own? Implement `Dataset`; the loader does the rest: order, threads,
//! preprocessing, batches, and a policy for images that cannot be read.

use std::error::Error;
use std::sync::Arc;

use ocelli_core::{ClassNames, Dataset, Image, Preprocess, SampleError, Targets};
use ocelli_data::{Loader, LoaderConfig};

/// Drawn when asked for. Yours may come from a database, an archive or a camera.
struct Stripes {
    classes: ClassNames,
}

impl Dataset for Stripes {
    fn len(&self) -> usize {
        100
    }

    fn classes(&self) -> &ClassNames {
        &self.classes
    }

    fn target(&self, index: usize) -> usize {
        index % self.classes.len()
    }

    fn image(&self, index: usize) -> Result<Image, SampleError> {
        let period = 4 + index % 5;
        Ok(Image::from_fn(40, 30, |x, y| {
            let along = if self.target(index) == 0 { y } else { x };
            if along % period < period / 2 { [230, 120, 40] } else { [30, 60, 90] }
        }))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let classes = ClassNames::new(vec!["horizontal".into(), "vertical".into()])?;
    let config = LoaderConfig { batch_size: 32, threads: 2, seed: 7, ..Default::default() };
    let preprocess = Preprocess { size: [24, 32], crop_pct: 1.0, ..Default::default() };
    let (normalize, transform) = (preprocess.normalize, Arc::new(preprocess));
    let loader = Loader::new(Arc::new(Stripes { classes }), config, transform, normalize, vec![])?;
    for batch in loader.epoch(0) {
        let batch = batch?;
        let Targets::Classes(targets) = &batch.targets else { continue };
        let vertical = targets.iter().filter(|&&target| target == 1).count();
        println!("images {:?}, {vertical} of them vertical", batch.shape);
    }
    Ok(())
}

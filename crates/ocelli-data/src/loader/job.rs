//! The work itself: an image from its file, a batch from its images. Who does it, and when, is decided in
//! `queue`.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ocelli_core::random::{Purpose, Stream};
use ocelli_core::{
    Batch, BatchTransform, Dataset, Image, Normalize, SampleError, Targets, Transform,
};

use super::LoaderConfig;
use super::problems::Problems;
use crate::read::{describe, read, said};
use crate::{DataError, Order};

/// What a loader was given, and what it learned about it.
pub(super) struct Job {
    pub dataset: Arc<dyn Dataset>,
    pub config: LoaderConfig,
    pub problems: Problems,
    transform: Arc<dyn Transform>,
    normalize: Normalize,
    batch_transforms: Vec<Arc<dyn BatchTransform>>,
}

/// One place of an epoch: a sample and the key of its random stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub sample: usize,
    key: u64,
}

/// What became of a place.
pub(super) enum Made {
    Image(Image),
    Unreadable(SampleError),
    /// Found unreadable before.
    Skipped,
    Failed(DataError),
}

/// What became of a batch.
pub(super) struct Outcome {
    /// Unreadable samples, in order.
    pub bad: Vec<(usize, SampleError)>,
    pub batch: Result<Option<Stacked>, DataError>,
}

/// A batch, with the size its images had before any batch transform.
pub(super) struct Stacked {
    pub batch: Batch,
    /// Width and height.
    pub size: (usize, usize),
}

impl Job {
    pub fn new(
        dataset: Arc<dyn Dataset>,
        config: LoaderConfig,
        transform: Arc<dyn Transform>,
        normalize: Normalize,
        batch_transforms: Vec<Arc<dyn BatchTransform>>,
    ) -> Self {
        Self {
            dataset,
            config,
            problems: Problems::default(),
            transform,
            normalize,
            batch_transforms,
        }
    }

    /// The places of an epoch. A sample's key is its index; where one is drawn again, the number of times
    /// it came before is added on top, so that its augmentations differ.
    pub fn places(&self, epoch: u64) -> Vec<Place> {
        let LoaderConfig { order, seed, .. } = self.config;
        let images = self.dataset.len();
        let mut drawn: HashMap<usize, u64> = HashMap::new();
        let place = |sample: usize| {
            let before =
                if order == Order::Balanced { drawn.entry(sample).or_default() } else { &mut 0 };
            let key = sample as u64 + *before * images as u64;
            *before += 1;
            Place { sample, key }
        };
        order.indices(self.dataset.as_ref(), seed, epoch).into_iter().map(place).collect()
    }

    /// Reads and transforms one image. Panics of a decoder make the image unreadable; those of a
    /// transform fail the epoch.
    pub fn make(&self, place: Place, epoch: u64) -> Made {
        let sample = place.sample;
        if self.problems.skips(sample) {
            return Made::Skipped;
        }
        let image = match read(self.dataset.as_ref(), sample) {
            Ok(image) => image,
            Err(error) => return Made::Unreadable(error),
        };
        let mut random = Stream::new(self.config.seed, Purpose::Sample, epoch, place.key);
        match catch_unwind(AssertUnwindSafe(|| self.transform.apply(image, &mut random))) {
            Ok(image) => Made::Image(image),
            Err(panic) => Made::Failed(DataError::Panicked {
                what: self.describe(sample),
                message: said(panic),
            }),
        }
    }

    /// Stacks the images of a batch. The first failure in its order counts.
    pub fn assemble(
        &self,
        number: usize,
        epoch: u64,
        places: &[Place],
        made: Vec<Made>,
    ) -> Outcome {
        let mut bad = Vec::new();
        let mut images = Vec::with_capacity(made.len());
        let mut indices = Vec::with_capacity(made.len());
        for (place, made) in places.iter().zip(made) {
            match made {
                Made::Image(image) => {
                    images.push(image);
                    indices.push(place.sample);
                }
                Made::Unreadable(error) => bad.push((place.sample, error)),
                Made::Skipped => {}
                Made::Failed(error) => return Outcome { bad, batch: Err(error) },
            }
        }
        let all = || {
            self.stack(&images, indices)
                .map(|stacked| stacked.map(|batch| self.transformed(batch, number, epoch)))
        };
        let batch = catch_unwind(AssertUnwindSafe(all)).unwrap_or_else(|panic| {
            let what = format!("batch {number} of epoch {epoch}");
            Err(DataError::Panicked { what, message: said(panic) })
        });
        Outcome { bad, batch }
    }

    /// The error for a sample whose size differs from that of those before.
    pub fn sizes(&self, sample: usize, found: (usize, usize), before: (usize, usize)) -> DataError {
        let ((found_width, found_height), (width, height)) = (found, before);
        DataError::Sizes { sample: self.describe(sample), found_width, found_height, width, height }
    }

    /// What the dataset calls a sample.
    pub fn describe(&self, sample: usize) -> String {
        describe(self.dataset.as_ref(), sample)
    }

    fn stack(&self, images: &[Image], indices: Vec<usize>) -> Result<Option<Stacked>, DataError> {
        let Some(first) = images.first() else { return Ok(None) };
        let (width, height) = (first.width(), first.height());
        let odd =
            images.iter().position(|image| (image.width(), image.height()) != (width, height));
        if let Some(odd) = odd {
            let found = (images[odd].width(), images[odd].height());
            return Err(self.sizes(indices[odd], found, (width, height)));
        }
        let length = first.pixels().len();
        let mut floats = vec![0.0; images.len() * length];
        for (image, out) in images.iter().zip(floats.chunks_exact_mut(length)) {
            self.normalize.apply(image, out);
        }
        let targets = Targets::Classes(
            indices.iter().map(|&index| self.dataset.target(index) as u32).collect(),
        );
        let batch =
            Batch { images: floats, shape: [images.len(), height, width, 3], targets, indices };
        Ok(Some(Stacked { batch, size: (width, height) }))
    }

    fn transformed(&self, mut stacked: Stacked, number: usize, epoch: u64) -> Stacked {
        let mut random = Stream::new(self.config.seed, Purpose::Batch, epoch, number as u64);
        self.batch_transforms
            .iter()
            .for_each(|transform| transform.apply(&mut stacked.batch, &mut random));
        stacked
    }
}

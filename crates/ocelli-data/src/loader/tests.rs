//! Tests of the loader as a whole.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use ocelli_core::random::Stream;
use ocelli_core::{Batch, BatchSource, ClassNames, Image, SampleError, Targets};
use rand::RngCore;

use super::*;
use crate::testing::{Noise, Numbers, Same, tree};
use crate::{ImageFolder, Order};

const UNIT: Normalize = Normalize { mean: [0.0; 3], std: [1.0; 3] };

fn config(threads: usize) -> LoaderConfig {
    LoaderConfig { batch_size: 8, threads, seed: 3, ..Default::default() }
}

fn loader(dataset: impl Dataset + 'static, config: LoaderConfig) -> Loader {
    Loader::new(Arc::new(dataset), config, Arc::new(Same), UNIT, vec![]).unwrap()
}

fn with(
    dataset: impl Dataset + 'static,
    config: LoaderConfig,
    transform: impl Transform + 'static,
) -> Loader {
    Loader::new(Arc::new(dataset), config, Arc::new(transform), UNIT, vec![]).unwrap()
}

fn good(epoch: Epoch) -> Vec<Batch> {
    epoch.map(Result::unwrap).collect()
}

fn indices(epoch: Epoch) -> Vec<usize> {
    good(epoch).into_iter().flat_map(|batch| batch.indices).collect()
}

/// Adds one random number to all pixels of a batch.
struct Shift;

impl BatchTransform for Shift {
    fn apply(&self, batch: &mut Batch, random: &mut Stream) {
        let shift = random.next_u32() as f32;
        batch.images.iter_mut().for_each(|pixel| *pixel += shift);
    }
}

/// Counts how often an image is read.
struct Counted(Numbers, Arc<AtomicUsize>);

impl Dataset for Counted {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &ClassNames {
        self.0.classes()
    }

    fn target(&self, index: usize) -> usize {
        self.0.target(index)
    }

    fn image(&self, index: usize) -> Result<Image, SampleError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        assert_ne!(index, 1000, "the thousandth");
        self.0.image(index)
    }
}

/// A transform from a function.
struct By<F>(F);

impl<F: Fn(Image) -> Image + Send + Sync> Transform for By<F> {
    fn apply(&self, image: Image, _random: &mut Stream) -> Image {
        (self.0)(image)
    }
}

#[test]
fn a_batch_holds_what_it_says() {
    let mut config = config(2);
    config.order = Order::Sequential;
    let batches = good(loader(Numbers::new(11, 3), config).epoch(0));
    assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [8, 3]);
    let last = &batches[1];
    assert_eq!((last.shape, &last.indices), ([3, 3, 4, 3], &vec![8, 9, 10]));
    assert_eq!(last.targets, Targets::Classes(vec![2, 0, 1]));
    assert!((last.images[36] - 9.0 / 255.0).abs() < 1e-6);
}

#[test]
fn batches_do_not_depend_on_the_number_of_threads() {
    for order in [Order::Sequential, Order::Shuffled, Order::Balanced] {
        let epoch = |threads, prefetch| {
            let config = LoaderConfig { order, prefetch, ..config(threads) };
            let shifts: Vec<Arc<dyn BatchTransform>> = vec![Arc::new(Shift), Arc::new(Shift)];
            let dataset = Arc::new(Numbers::new(61, 3));
            good(Loader::new(dataset, config, Arc::new(Noise), UNIT, shifts).unwrap().epoch(2))
        };
        let one = epoch(1, 1);
        assert!(one == epoch(4, 3) && one == epoch(0, 0) && one == epoch(3, 20), "{order:?}");
    }
}

#[test]
fn epochs_differ_and_their_tails_can_be_had_alone() {
    let loader = with(Numbers::new(50, 2), config(3), Noise);
    assert_ne!(indices(loader.epoch(0)), indices(loader.epoch(1)));
    let whole = good(loader.epoch(1));
    assert_eq!((whole.len(), loader.batches()), (7, 7));
    for first in [0, 1, 6, 7, 8] {
        assert!(good(loader.epoch_from(1, first)) == whole[first.min(7)..], "from {first}");
    }
    let mut epoch = loader.epoch_from(1, 5);
    assert_eq!((epoch.batches(), epoch.next_batch(), epoch.size_hint()), (7, 5, (0, Some(2))));
    epoch.next().unwrap().unwrap();
    assert_eq!(epoch.next_batch(), 6);
}

#[test]
fn an_image_drawn_twice_is_augmented_twice() {
    let mut dataset = Numbers::new(30, 2);
    dataset.targets = (0..30).map(|index| usize::from(index == 0)).collect();
    let config = LoaderConfig { order: Order::Balanced, batch_size: 30, ..config(2) };
    let batch = good(with(dataset, config, Noise).epoch(0)).remove(0);
    let pictures: Vec<&[f32]> = batch.images.chunks_exact(36).collect();
    let of_first: Vec<_> =
        (0..30).filter(|&at| batch.indices[at] == 0).map(|at| pictures[at]).collect();
    assert!(of_first.len() > 5 && of_first.windows(2).all(|two| two[0] != two[1]));
}

#[test]
fn a_batch_is_made_by_all_threads_and_no_more_than_asked_for() {
    let (read, barrier) = (Arc::new(AtomicUsize::new(0)), Barrier::new(2));
    let dataset = Counted(Numbers::new(40, 2), read.clone());
    // Each pair of images waits for each other: one thread alone would never pass.
    let meet = By(move |image| {
        barrier.wait();
        image
    });
    let mut epoch = with(dataset, LoaderConfig { prefetch: 1, ..config(2) }, meet).epoch(0);
    epoch.next().unwrap().unwrap();
    assert!((8..=16).contains(&read.load(Ordering::SeqCst)));
    epoch.next().unwrap().unwrap();
    assert!((16..=24).contains(&read.load(Ordering::SeqCst)));
    assert_eq!(epoch.by_ref().count(), 3);
    assert!(epoch.waited() > Duration::ZERO);
}

#[test]
fn an_epoch_dropped_early_stops_its_threads() {
    let read = Arc::new(AtomicUsize::new(0));
    let slow = By(|image| {
        thread::sleep(Duration::from_millis(1));
        image
    });
    let loader = with(Counted(Numbers::new(10_000, 2), read.clone()), config(4), slow);
    let mut epoch = loader.epoch(0);
    epoch.next().unwrap().unwrap();
    drop(epoch);
    let count = read.load(Ordering::SeqCst);
    assert!(count <= 3 * 8, "{count}");
    drop(loader.epoch(1));
    drop(loader);
}

#[test]
fn bad_images_are_left_out_named_once_and_not_read_again() {
    let mut numbers = Numbers::new(200, 2);
    numbers.bad = vec![20, 150];
    let read = Arc::new(AtomicUsize::new(0));
    let all = indices(loader(Numbers::new(200, 2), config(2)).epoch(0));
    let loader = loader(Counted(numbers, read.clone()), config(2));
    for epoch in 0..3 {
        let found = indices(loader.epoch(epoch));
        assert_eq!(found.len(), 198);
        if epoch == 0 {
            assert_eq!(
                found,
                all.iter().copied().filter(|index| ![20, 150].contains(index)).collect::<Vec<_>>()
            );
        }
    }
    assert_eq!(read.load(Ordering::SeqCst), 3 * 198 + 2);
    let mut problems: Vec<_> =
        loader.problems().into_iter().map(|problem| (problem.index, problem.message)).collect();
    problems.sort();
    assert_eq!(
        problems,
        [(20, "sample 20 is bad".to_owned()), (150, "sample 150 is bad".to_owned())]
    );
}

#[test]
fn too_many_bad_images_are_an_error_in_each_epoch() {
    for threads in [0, 1, 4] {
        let mut numbers = Numbers::new(99, 2);
        numbers.bad = vec![40];
        let loader = loader(numbers, LoaderConfig { order: Order::Sequential, ..config(threads) });
        for epoch in 0..2 {
            let results: Vec<_> = loader.epoch(epoch).collect();
            assert_eq!(results.len(), 6, "five batches, then the error");
            let error = results.last().unwrap().as_ref().unwrap_err();
            assert!(matches!(error, DataError::TooManyBad { bad: 1, total: 99, .. }), "{error}");
            assert!(
                error.to_string().contains("--max-bad")
                    && error.to_string().contains("sample 40 is bad")
            );
        }
        assert_eq!(loader.problems().len(), 1);
    }
}

#[test]
fn the_limit_can_be_raised_or_lowered_to_nothing() {
    let bad = |bad_files| {
        let mut numbers = Numbers::new(20, 2);
        numbers.bad = vec![7];
        loader(numbers, LoaderConfig { bad_files, ..config(2) }).epoch(0).find_map(Result::err)
    };
    assert!(bad(BadFiles::Skip { max_fraction: 0.05 }).is_none());
    assert!(matches!(bad(BadFiles::Fail), Some(DataError::Sample { .. })));
}

#[test]
fn a_batch_without_a_readable_image_is_left_out() {
    let mut numbers = Numbers::new(6, 2);
    numbers.bad = vec![2, 3];
    let bad_files = BadFiles::Skip { max_fraction: 0.5 };
    let config = LoaderConfig { batch_size: 2, order: Order::Sequential, bad_files, ..config(2) };
    let mut epoch = loader(numbers, config).epoch(0);
    assert_eq!(epoch.next().unwrap().unwrap().indices, [0, 1]);
    assert_eq!(epoch.next().unwrap().unwrap().indices, [4, 5]);
    assert_eq!(epoch.next_batch(), 3);
    assert!(epoch.next().is_none());
}

#[test]
fn a_panic_in_others_code_is_an_error_and_not_a_hang() {
    for threads in [0, 1, 3] {
        let panics = By(|image: Image| {
            assert_ne!(image.pixel(0, 0), [33; 3], "thirty-three");
            image
        });
        let results: Vec<_> = with(Numbers::new(80, 2), config(threads), panics).epoch(0).collect();
        let error = results.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(error.contains("sample 33") && error.contains("thirty-three"), "{error}");
    }
    let dataset = Counted(Numbers::new(1001, 2), Arc::default());
    let loader = loader(dataset, config(2));
    assert_eq!(indices(loader.epoch(0)).len(), 1000);
    assert!(loader.problems()[0].message.contains("the thousandth"));

    struct Worse;
    impl BatchTransform for Worse {
        fn apply(&self, _: &mut Batch, _: &mut Stream) {
            panic!("{} wrong", "all");
        }
    }
    let dataset = Arc::new(Numbers::new(9, 2));
    let loader =
        Loader::new(dataset, config(2), Arc::new(Same), UNIT, vec![Arc::new(Worse)]).unwrap();
    let error = loader.epoch(4).next().unwrap().unwrap_err().to_string();
    assert_eq!(error, "the transform of batch 0 of epoch 4 panicked: all wrong");
}

#[test]
fn images_of_several_sizes_are_refused() {
    for (batch_size, odd) in [(8, 3), (8, 15), (1, 3)] {
        let crop =
            By(
                move |image: Image| {
                    if image.pixel(0, 0)[0] == odd { Image::filled(5, 3, [0; 3]) } else { image }
                },
            );
        let config = LoaderConfig { batch_size, order: Order::Sequential, ..config(2) };
        let error = with(Numbers::new(16, 2), config, crop)
            .epoch(0)
            .find_map(Result::err)
            .unwrap()
            .to_string();
        assert!(
            error.starts_with(&format!("sample {odd} is 5 x 3")) && error.contains("4 x 3"),
            "{error}"
        );
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let fault = |dataset: Numbers, config: LoaderConfig| {
        let made = Loader::new(Arc::new(dataset), config, Arc::new(Same), UNIT, vec![]);
        made.err().unwrap().to_string()
    };
    let numbers = || Numbers::new(5, 2);
    assert!(fault(numbers(), LoaderConfig { batch_size: 0, ..config(1) }).contains("batch_size"));
    assert!(fault(numbers(), LoaderConfig { prefetch: 0, ..config(1) }).contains("prefetch"));
    assert!(fault(numbers(), LoaderConfig { drop_last: true, ..config(1) }).contains("drop_last"));
    let bad_files = BadFiles::Skip { max_fraction: f64::NAN };
    assert!(fault(numbers(), LoaderConfig { bad_files, ..config(1) }).contains("max_fraction"));
    assert!(fault(Numbers::new(0, 2), config(1)).contains("no image"));
    let mut wrong = numbers();
    wrong.targets[3] = 2;
    assert_eq!(
        fault(wrong, config(1)),
        "sample 3 has the class index 2, and the dataset has 2 classes"
    );
}

#[test]
fn the_last_batch_can_be_dropped() {
    let drop_last = LoaderConfig { drop_last: true, ..config(2) };
    let loader = loader(Numbers::new(23, 2), drop_last);
    assert_eq!((loader.batches(), indices(loader.epoch(0)).len()), (2, 16));
    let source: &dyn BatchSource = &loader;
    assert_eq!((source.batches(), source.images(), source.epoch(0, 1).count()), (2, 16, 1));
}

#[test]
fn settings_survive_serialisation() {
    let config = LoaderConfig { order: Order::Balanced, ..config(5) };
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<LoaderConfig>(&text).unwrap(), config);
    assert!(toml::from_str::<LoaderConfig>("bad_files = 'fail'\norder = 'sequential'").is_ok());
}

/// The two most common faults of real folders.
#[test]
fn text_called_jpg_and_cut_jpegs_are_skipped_by_name() {
    let root = tree(&["a/1.png", "a/2.png", "b/1.png", "b/text.jpg"]);
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_fn(64, 64, |x, y| {
        image::Rgb([(x * y) as u8, x as u8, (y * 7) as u8])
    });
    picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    fs::write(root.path().join("a/cut.jpg"), &jpeg[..jpeg.len() / 2]).unwrap();
    let bad_files = BadFiles::Skip { max_fraction: 0.5 };
    let loader =
        loader(ImageFolder::open(root.path()).unwrap(), LoaderConfig { bad_files, ..config(2) });
    assert_eq!(indices(loader.epoch(0)).len(), 3);
    let mut named: Vec<_> = loader.problems().into_iter().map(|problem| problem.sample).collect();
    named.sort();
    assert!(named[0].ends_with("cut.jpg") && named[1].ends_with("text.jpg"), "{named:?}");
}

//! Looking at every image of a dataset: can it be read, how large is it, does it stand there twice?

mod text;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ocelli_core::Dataset;
use serde::{Deserialize, Serialize};

use crate::read::{describe, read};

/// What there is to know about a dataset's images. It prints as a page of text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Each part of the dataset.
    pub parts: Vec<InspectedPart>,
    /// Groups of images with the same pixels, two or more in each.
    pub duplicates: Vec<Vec<Place>>,
}

/// One part of a dataset, such as its training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InspectedPart {
    /// What the part is called.
    pub name: String,
    /// Number of images, those unreadable included.
    pub images: usize,
    /// Images of each class, those unreadable included.
    pub per_class: Vec<usize>,
    /// Images in the largest class over those in the smallest that has any.
    pub imbalance: f64,
    /// Widths in pixels, of the readable images.
    pub width: Option<Spread>,
    /// Heights in pixels, of the readable images.
    pub height: Option<Spread>,
    /// Readable images of each file format: by a file's first bytes, else by the name's extension.
    pub formats: BTreeMap<String, usize>,
    /// Images that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// The range of a number of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest.
    pub min: usize,
    /// The middle one, or the smaller of two.
    pub median: usize,
    /// The largest.
    pub max: usize,
}

/// An image that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// What the dataset calls it.
    pub sample: String,
    /// What is wrong with it.
    pub message: String,
}

/// Where an image stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The part's name.
    pub part: String,
    /// The class's name.
    pub class: String,
    /// What the dataset calls the image.
    pub sample: String,
}

impl Inspection {
    /// Number of images that cannot be read.
    pub fn unreadable(&self) -> usize {
        self.parts.iter().map(|part| part.unreadable.len()).sum()
    }

    /// Groups of duplicates that stand in more than one part: what was trained on is measured on.
    pub fn across_parts(&self) -> impl Iterator<Item = &[Place]> {
        self.differing(|place| &place.part)
    }

    /// Groups of duplicates that stand in more than one class: one label at least is wrong.
    pub fn across_classes(&self) -> impl Iterator<Item = &[Place]> {
        self.differing(|place| &place.class)
    }

    fn differing(&self, key: impl Fn(&Place) -> &String) -> impl Iterator<Item = &[Place]> {
        let differs =
            move |group: &&[Place]| group.iter().any(|place| key(place) != key(&group[0]));
        self.duplicates.iter().map(Vec::as_slice).filter(differs)
    }
}

/// Decodes every image of a dataset with `threads` threads, at least one.
pub fn inspect(dataset: &dyn Dataset, threads: usize) -> Inspection {
    inspect_parts(&[("all", dataset)], threads)
}

/// Decodes every image of the parts of a dataset, such as [`Splits::parts`](crate::Splits::parts), with
/// `threads` threads, at least one. Duplicates are found across parts.
pub fn inspect_parts(parts: &[(&str, &dyn Dataset)], threads: usize) -> Inspection {
    let classes = parts.first().map_or(Vec::new(), |(_, part)| part.classes().as_slice().to_vec());
    let mut same: HashMap<u64, Vec<Place>> = HashMap::new();
    let mut order = Vec::new();
    let mut inspected = Vec::new();
    for &(name, part) in parts {
        let findings = look(part, threads);
        for (index, found) in findings.iter().enumerate() {
            let Finding::Image { content, .. } = found else { continue };
            let class = part.classes().name(part.target(index)).to_owned();
            let place = Place { part: name.to_owned(), class, sample: describe(part, index) };
            let group = same.entry(*content).or_default();
            if group.is_empty() {
                order.push(*content);
            }
            group.push(place);
        }
        inspected.push(summary(name, part, findings));
    }
    let groups = order.iter().filter_map(|content| same.remove(content));
    Inspection {
        classes,
        parts: inspected,
        duplicates: groups.filter(|group| group.len() > 1).collect(),
    }
}

/// What was seen of an image.
enum Finding {
    Image {
        width: usize,
        height: usize,
        /// Hash of the size and the pixels.
        content: u64,
        format: String,
    },
    Unreadable(Unreadable),
}

/// Looks at all images, in any order; the findings are in the dataset's.
fn look(dataset: &dyn Dataset, threads: usize) -> Vec<Finding> {
    let next = AtomicUsize::new(0);
    let work = || {
        let claim =
            || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&index| index < dataset.len());
        std::iter::from_fn(claim).map(|index| (index, look_at(dataset, index))).collect::<Vec<_>>()
    };
    let mut findings = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        all.extend(others.into_iter().filter_map(|thread| thread.join().ok()).flatten());
        all
    });
    findings.sort_by_key(|&(index, _)| index);
    findings.into_iter().map(|(_, finding)| finding).collect()
}

fn look_at(dataset: &dyn Dataset, index: usize) -> Finding {
    let sample = describe(dataset, index);
    match read(dataset, index) {
        Ok(image) => {
            let mut hasher = DefaultHasher::new();
            (image.width(), image.height(), image.pixels()).hash(&mut hasher);
            let (width, height) = (image.width(), image.height());
            Finding::Image { width, height, content: hasher.finish(), format: format_of(&sample) }
        }
        Err(error) => Finding::Unreadable(Unreadable { sample, message: error.to_string() }),
    }
}

/// A file's format by its first bytes, which tell the truth more often than its name.
fn format_of(sample: &str) -> String {
    let mut head = Vec::new();
    let read = File::open(sample).and_then(|file| file.take(64).read_to_end(&mut head));
    if let (Ok(_), Ok(format)) = (read, image::guess_format(&head)) {
        return format!("{format:?}").to_lowercase();
    }
    let extension = Path::new(sample).extension().and_then(|extension| extension.to_str());
    extension.map_or_else(|| "memory".to_owned(), str::to_lowercase)
}

fn summary(name: &str, part: &dyn Dataset, findings: Vec<Finding>) -> InspectedPart {
    let mut per_class = vec![0; part.classes().len()];
    (0..part.len()).for_each(|index| per_class[part.target(index)] += 1);
    let (mut widths, mut heights) = (Vec::new(), Vec::new());
    let mut formats = BTreeMap::new();
    let mut unreadable = Vec::new();
    for finding in findings {
        match finding {
            Finding::Image { width, height, format, .. } => {
                widths.push(width);
                heights.push(height);
                *formats.entry(format).or_default() += 1;
            }
            Finding::Unreadable(image) => unreadable.push(image),
        }
    }
    let largest = per_class.iter().max().copied().unwrap_or(0);
    let smallest = per_class.iter().filter(|&&count| count > 0).min().copied().unwrap_or(1);
    InspectedPart {
        name: name.to_owned(),
        images: part.len(),
        imbalance: largest as f64 / smallest as f64,
        per_class,
        width: spread(widths),
        height: spread(heights),
        formats,
        unreadable,
    }
}

fn spread(mut values: Vec<usize>) -> Option<Spread> {
    values.sort_unstable();
    let (min, max) = (*values.first()?, *values.last()?);
    Some(Spread { min, median: values[(values.len() - 1) / 2], max })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::{Numbers, png, tree};
    use crate::{FolderOptions, find_splits};

    #[test]
    fn every_image_is_looked_at() {
        let root = tree(&[
            "train/a/1.png",
            "train/a/2.png",
            "train/a/x.jpg",
            "train/b/3.png",
            "test/b/4.png",
        ]);
        let at = |file: &str| root.path().join(file);
        png(&at("test/b/4.png"), 0); // as train/a/1.png
        png(&at("train/b/3.png"), 0);
        image::RgbImage::new(20, 10).save(at("train/a/5.bmp")).unwrap();
        fs::rename(at("train/a/5.bmp"), at("train/a/5.png")).unwrap();

        let splits = find_splits(root.path(), &FolderOptions::default()).unwrap();
        for threads in [0, 1, 3] {
            let found = inspect_parts(&splits.parts(), threads);
            let [train, test] = found.parts.as_slice() else { panic!("two parts") };
            assert_eq!(
                (train.images, train.per_class.as_slice(), train.imbalance),
                (5, [4, 1].as_slice(), 4.0)
            );
            assert_eq!(
                (test.images, test.per_class.as_slice(), test.imbalance),
                (1, [0, 1].as_slice(), 1.0)
            );
            assert_eq!(train.width, Some(Spread { min: 4, median: 4, max: 20 }));
            assert_eq!(train.height.unwrap().max, 10);
            assert_eq!(train.formats, BTreeMap::from([("bmp".into(), 1), ("png".into(), 3)]));
            assert_eq!(found.unreadable(), 1);
            assert!(train.unreadable[0].sample.ends_with("x.jpg"));
            assert_eq!(found.duplicates.len(), 1);
            let group: Vec<_> = found.duplicates[0]
                .iter()
                .map(|place| (&place.part[..], &place.class[..]))
                .collect();
            assert_eq!(group, [("train", "a"), ("train", "b"), ("test", "b")]);
            assert_eq!((found.across_parts().count(), found.across_classes().count()), (1, 1));
            let text = serde_json::to_string(&found).unwrap();
            assert_eq!(serde_json::from_str::<Inspection>(&text).unwrap(), found);
        }
    }

    #[test]
    fn a_dataset_in_memory_can_be_inspected() {
        let mut numbers = Numbers::new(10, 2);
        numbers.bad = vec![4];
        let found = inspect(&numbers, 2);
        assert_eq!(found.parts[0].formats, BTreeMap::from([("memory".into(), 9)]));
        assert_eq!(found.parts[0].unreadable[0].sample, "sample 4");
        assert!(found.duplicates.is_empty());
    }
}

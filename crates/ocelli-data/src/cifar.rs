//! The binary versions of CIFAR-10 and CIFAR-100.
//!
//! Reference: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::fs;
use std::path::{Path, PathBuf};

use ocelli_core::{ClassNames, Dataset, Image, SampleError};

use crate::{DataError, walk};

/// Height and width of an image, in pixels.
const SIDE: usize = 32;
/// Pixels of an image, and so the bytes of one of its three colour planes.
const PLANE: usize = SIDE * SIDE;

/// Which of CIFAR's two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CifarPart {
    /// 50,000 images.
    Train,
    /// 10,000 images.
    Test,
}

/// CIFAR-10 or CIFAR-100 (fine labels) in memory, from the files of the binary version.
#[derive(Clone, Debug)]
pub struct CifarBinary {
    classes: ClassNames,
    /// Records of `labels` label bytes and three planes: red, green, blue.
    records: Vec<u8>,
    labels: usize,
    part: CifarPart,
}

impl CifarBinary {
    /// Whether `root` holds the binary files, by their names.
    pub fn is_at(root: impl AsRef<Path>) -> bool {
        let has = |name: &str| root.as_ref().join(name).is_file();
        has("data_batch_1.bin") || has("test_batch.bin") || has("train.bin") && has("test.bin")
    }

    /// Reads one part. CIFAR-10 is `data_batch_1.bin` to `data_batch_5.bin`, `test_batch.bin` and
    /// `batches.meta.txt`; CIFAR-100 is `train.bin`, `test.bin` and `fine_label_names.txt`.
    ///
    /// # Errors
    /// Where a file is missing, its length is not a multiple of a record's, or a label has no name.
    pub fn open(root: impl AsRef<Path>, part: CifarPart) -> Result<Self, DataError> {
        let root = root.as_ref();
        let ten = !root.join("train.bin").is_file() && !root.join("fine_label_names.txt").is_file();
        let (files, names, labels) = match (ten, part) {
            (true, CifarPart::Train) => {
                ((1..=5).map(|n| format!("data_batch_{n}.bin")).collect(), "batches.meta.txt", 1)
            }
            (true, CifarPart::Test) => (vec!["test_batch.bin".to_owned()], "batches.meta.txt", 1),
            (false, CifarPart::Train) => (vec!["train.bin".to_owned()], "fine_label_names.txt", 2),
            (false, CifarPart::Test) => (vec!["test.bin".to_owned()], "fine_label_names.txt", 2),
        };
        let classes = read_names(&root.join(names))?;
        let mut records = Vec::new();
        for file in files {
            let path = root.join(file);
            let bytes = fs::read(&path).map_err(|cause| walk::fault(&path, cause))?;
            check(&bytes, labels, &classes).map_err(|reason| DataError::Cifar { path, reason })?;
            records.extend_from_slice(&bytes);
        }
        Ok(Self { classes, records, labels, part })
    }

    fn record(&self, index: usize) -> &[u8] {
        let length = self.labels + 3 * PLANE;
        &self.records[index * length..][..length]
    }
}

/// Class names, one a line.
fn read_names(path: &PathBuf) -> Result<ClassNames, DataError> {
    let text = fs::read_to_string(path).map_err(|cause| walk::fault(path, cause))?;
    let names =
        text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(ClassNames::new(names)?)
}

fn check(bytes: &[u8], labels: usize, classes: &ClassNames) -> Result<(), String> {
    let length = labels + 3 * PLANE;
    if bytes.is_empty() || !bytes.len().is_multiple_of(length) {
        let found = bytes.len();
        return Err(format!(
            "{found} bytes are not a whole number of {length}-byte records; download the file again"
        ));
    }
    // With two labels, the coarse one comes first.
    let fine = bytes.chunks_exact(length).map(|record| record[labels - 1] as usize);
    match fine.enumerate().find(|&(_, label)| label >= classes.len()) {
        Some((index, label)) => Err(format!(
            "record {index} has the label {label}, and there are {} classes",
            classes.len()
        )),
        None => Ok(()),
    }
}

impl Dataset for CifarBinary {
    fn len(&self) -> usize {
        self.records.len() / (self.labels + 3 * PLANE)
    }

    fn classes(&self) -> &ClassNames {
        &self.classes
    }

    fn target(&self, index: usize) -> usize {
        self.record(index)[self.labels - 1] as usize
    }

    fn image(&self, index: usize) -> Result<Image, SampleError> {
        let planes = &self.record(index)[self.labels..];
        let color =
            |x: usize, y: usize| [0, 1, 2].map(|plane| planes[plane * PLANE + y * SIDE + x]);
        Ok(Image::from_fn(SIDE, SIDE, color))
    }

    fn describe(&self, index: usize) -> String {
        let part = if self.part == CifarPart::Train { "training" } else { "test" };
        format!("CIFAR-{} {part} image {index}", self.classes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels, then planes whose first two bytes differ.
    fn record(labels: &[u8]) -> Vec<u8> {
        let plane = |color: u8| [vec![color, color + 1], vec![0; PLANE - 2]].concat();
        [labels.to_vec(), plane(10), plane(20), plane(30)].concat()
    }

    fn cifar10() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for batch in 1..=5 {
            fs::write(root.path().join(format!("data_batch_{batch}.bin")), record(&[batch]))
                .unwrap();
        }
        fs::write(root.path().join("test_batch.bin"), [record(&[9]), record(&[0])].concat())
            .unwrap();
        let names: Vec<String> = (0..10).map(|class| format!("name{class}")).collect();
        fs::write(root.path().join("batches.meta.txt"), names.join("\n") + "\n\n").unwrap();
        root
    }

    #[test]
    fn cifar_10_has_one_label_and_planes() {
        let root = cifar10();
        assert!(CifarBinary::is_at(root.path()));
        let train = CifarBinary::open(root.path(), CifarPart::Train).unwrap();
        assert_eq!((train.len(), train.target(4), train.classes().name(5)), (5, 5, "name5"));
        let image = train.image(3).unwrap();
        assert_eq!(
            [image.pixel(0, 0), image.pixel(1, 0), image.pixel(0, 1)],
            [[10, 20, 30], [11, 21, 31], [0; 3]]
        );
        let test = CifarBinary::open(root.path(), CifarPart::Test).unwrap();
        assert_eq!(
            (test.len(), test.target(0), test.describe(1)),
            (2, 9, "CIFAR-10 test image 1".to_owned())
        );
    }

    #[test]
    fn cifar_100_has_two_labels_and_the_fine_one_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("train.bin"), record(&[1, 2])).unwrap();
        fs::write(root.path().join("test.bin"), record(&[0, 1])).unwrap();
        fs::write(root.path().join("fine_label_names.txt"), "apple\nbee\ncan\n").unwrap();
        let train = CifarBinary::open(root.path(), CifarPart::Train).unwrap();
        assert_eq!((train.len(), train.target(0)), (1, 2));
        assert_eq!(train.image(0).unwrap().pixel(0, 0), [10, 20, 30]);
        let splits = crate::find_splits(root.path(), &Default::default()).unwrap();
        assert_eq!((splits.train.len(), splits.test.unwrap().target(0)), (1, 1));
    }

    #[test]
    fn damaged_files_are_named() {
        let root = cifar10();
        fs::write(root.path().join("data_batch_3.bin"), &record(&[1])[1..]).unwrap();
        let error = CifarBinary::open(root.path(), CifarPart::Train).unwrap_err().to_string();
        assert!(error.contains("data_batch_3.bin: 3072 bytes"), "{error}");
        fs::write(root.path().join("test_batch.bin"), record(&[10])).unwrap();
        let error = CifarBinary::open(root.path(), CifarPart::Test).unwrap_err().to_string();
        assert!(error.contains("record 0 has the label 10"), "{error}");
        fs::remove_file(root.path().join("data_batch_2.bin")).unwrap();
        let error = CifarBinary::open(root.path(), CifarPart::Train).unwrap_err();
        assert!(matches!(error, DataError::Missing { path } if path.ends_with("data_batch_2.bin")));
    }
}

#![doc = include_str!("../README.md")]

pub mod catalogue;
mod cifar;
mod error;
mod folder;
pub mod inspect;
mod loader;
mod order;
mod read;
pub mod solids;
mod source;
mod split;
mod splits;
mod subset;
#[cfg(test)]
mod testing;
mod walk;

pub use cifar::{CifarBinary, CifarPart};
pub use error::DataError;
pub use folder::{EmptyClasses, FolderOptions, ImageFolder};
pub use inspect::{Inspection, inspect, inspect_parts};
pub use loader::{BadFiles, Epoch, Loader, LoaderConfig, Problem};
pub use order::Order;
pub use split::{Fractions, Parts, split};
pub use splits::{SplitFolders, Splits, find_splits};
pub use subset::Subset;
pub use walk::{Ignored, find_images};

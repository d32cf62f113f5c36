//! Finding, splitting and loading image datasets.

mod cifar;
mod error;
mod folder;
mod loader;
mod order;
pub mod solids;
mod split;
mod splits;
mod subset;
#[cfg(test)]
mod testing;
mod walk;

pub use cifar::{CifarBinary, CifarPart};
pub use error::DataError;
pub use folder::{EmptyClasses, FolderOptions, ImageFolder};
pub use loader::{BadFiles, Epoch, Loader, LoaderConfig, Problem};
pub use order::Order;
pub use split::{Fractions, Parts, split};
pub use splits::{SplitFolders, Splits, find_splits};
pub use subset::Subset;
pub use walk::Ignored;

//! Files of `torch.save`, read by an interpreter that cannot run code.
//!
//! 1. [`machine`] executes the opcodes of a [`stream`] on [`object`]s: numbers, strings, containers.
//! 2. [`globals`] is the whitelist: the only Python names that may appear, and what becomes of each.
//! 3. [`rebuild`] makes tensor descriptions of the calls that PyTorch pickles.
//! 4. [`archive`] and [`legacy`] are the two containers; they know where the storages lie.
//! 5. [`state`] finds the state dict and [`tensors`] copies its tensors out of the storages.
//!
//! A pickle's claims cost nothing until they are checked: every list, string and tuple takes at least
//! its bytes in the file, the number of objects is limited, tensors are made last, from storages
//! that exist, and their sum is limited by the length of the file.

mod archive;
mod fault;
mod globals;
mod legacy;
mod literal;
mod machine;
mod object;
mod rebuild;
mod state;
mod stream;
mod tensors;

#[cfg(test)]
mod tests;

pub(super) use archive::read as read_archive;
pub(super) use legacy::read as read_legacy;

//! Bytes from front to back, each read checked.

use super::fault::{Fault, Result};

pub(super) struct Stream<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..length) else {
            return Fault::damaged(format!(
                "truncated: {length} bytes wanted, {} left",
                rest.len()
            ));
        };
        self.position += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The only big-endian number of a pickle.
    pub(super) fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// Bytes whose length comes first, in 1, 4 or 8 bytes.
    pub(super) fn counted(&mut self, width: Width) -> Result<&'a [u8]> {
        let length = match width {
            Width::One => u64::from(self.u8()?),
            Width::Four => u64::from(self.u32()?),
            Width::Eight => self.u64()?,
        };
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Up to the next line feed, which is consumed.
    pub(super) fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Fault::damaged("truncated inside a line");
        };
        self.position += length + 1;
        Ok(&rest[..length])
    }
}

/// How many bytes a length takes.
#[derive(Clone, Copy)]
pub(super) enum Width {
    One,
    Four,
    Eight,
}

//! Reading an image from a path, with the path in every message.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{DecodeError, DecodeLimits, decode};
use crate::{Image, SampleError};

/// Reads and decodes a file.
///
/// # Errors
/// Where the path is missing, a folder or anything else that is no file, or cannot be read; where the
/// file is larger than the limit, which is checked before it is read; and as [`decode`]. The error names
/// the path.
pub fn open(path: &Path, limits: &DecodeLimits) -> Result<Image, SampleError> {
    let read_error = |source| SampleError::Read { path: path.to_path_buf(), source };
    let decode_error = |source| SampleError::Decode { path: path.to_path_buf(), source };
    let bytes = read(path, limits).map_err(read_error)?.map_err(decode_error)?;
    decode(&bytes, limits).map_err(decode_error)
}

fn read(path: &Path, limits: &DecodeLimits) -> io::Result<Result<Vec<u8>, DecodeError>> {
    // Asked before opening, because opening a named pipe would wait for its writer.
    let about = std::fs::metadata(path)?;
    if about.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, not an image file"));
    }
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    if let Err(error) = limits.check_bytes(about.len()) {
        return Ok(Err(error));
    }
    let mut bytes = Vec::with_capacity(about.len() as usize);
    // A file that grows meanwhile must not take more than the limit either.
    File::open(path)?.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

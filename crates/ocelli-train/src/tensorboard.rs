//! Event files that TensorBoard reads.
//!
//! Such a file is a row of records, each framed by its length and checksums (TFRecord); a record is an `Event`
//! message of protocol buffers. Scalars are the only kind written here, so the few fields are encoded by hand.

mod crc;
mod proto;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ocelli_core::files::WriteError;

use crate::report::EpochRecord;

/// Appends scalars to an event file of its own; TensorBoard shows all files of a folder as one run.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Writer {
    /// Begins a new file, `events.out.tfevents.SECONDS.ocelli`, in an existing folder.
    ///
    /// # Errors
    /// Where it cannot be created or written.
    pub fn create(folder: &Path) -> Result<Self, WriteError> {
        let (path, file) = open_new(folder, now() as u64)?;
        let mut writer = Self { path, file: BufWriter::new(file) };
        writer.record(&proto::version(now()))?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one value under a tag such as `loss/train`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<(), WriteError> {
        self.record(&proto::scalar(now(), step, tag, value as f32))
    }

    /// Appends the figures of an epoch, at the epoch's number, and writes them through.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn epoch(&mut self, record: &EpochRecord) -> Result<(), WriteError> {
        let scalars = [
            ("loss/train", Some(record.train_loss)),
            ("loss/validation", record.val_loss),
            ("top1/train", Some(record.train_top1)),
            ("top1/validation", record.val_top1),
            ("learning_rate", Some(record.rate)),
            ("speed/images_per_second", Some(record.images_per_second)),
            ("speed/waiting_for_data", Some(record.waiting)),
        ];
        for (tag, value) in scalars {
            if let Some(value) = value {
                self.scalar(tag, record.epoch, value)?;
            }
        }
        self.flush()
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn record(&mut self, data: &[u8]) -> Result<(), WriteError> {
        frame(&mut self.file, data).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> WriteError {
        WriteError { path: self.path.clone(), source }
    }
}

/// Creates a file that was not there: two runs may begin in one second.
fn open_new(folder: &Path, seconds: u64) -> Result<(PathBuf, File), WriteError> {
    let mut attempt = 0;
    loop {
        let again = if attempt == 0 { String::new() } else { format!(".{attempt}") };
        let path = folder.join(format!("events.out.tfevents.{seconds}.ocelli{again}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
            Err(source) => return Err(WriteError { path, source }),
        }
    }
}

/// A record is its length (8 bytes), the length's checksum, the data, and the data's checksum.
fn frame(file: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    file.write_all(&length)?;
    file.write_all(&crc::masked(&length).to_le_bytes())?;
    file.write_all(data)?;
    file.write_all(&crc::masked(data).to_le_bytes())
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a file, their checksums verified.
    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert_eq!(bytes[8..12], crc::masked(&bytes[..8]).to_le_bytes());
            let (data, rest) = bytes[12..].split_at(length);
            assert_eq!(rest[..4], crc::masked(data).to_le_bytes());
            out.push(data.to_vec());
            bytes = &rest[4..];
        }
        out
    }

    #[test]
    fn an_epoch_is_seven_records_after_the_version() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(folder.path()).unwrap();
        let record = EpochRecord {
            epoch: 3,
            rate: 0.1,
            train_loss: 1.5,
            train_top1: 0.5,
            val_loss: Some(1.25),
            val_top1: Some(0.625),
            images_per_second: 100.0,
            waiting: 0.01,
            seconds: 2.0,
        };
        writer.epoch(&record).unwrap();
        let written = records(&std::fs::read(writer.path()).unwrap());
        assert_eq!(written.len(), 8);
        assert!(written[0].ends_with(b"brain.Event:2"));
        assert!(
            written[1].ends_with(&[b"loss/train\x15".as_slice(), &1.5f32.to_le_bytes()].concat())
        );
        writer.epoch(&EpochRecord { val_loss: None, val_top1: None, ..record }).unwrap();
        assert_eq!(records(&std::fs::read(writer.path()).unwrap()).len(), 8 + 5);
    }

    #[test]
    fn runs_of_one_second_do_not_overwrite_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let writers: Vec<Writer> = (0..3).map(|_| Writer::create(folder.path()).unwrap()).collect();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
        assert!(writers[0].path().to_string_lossy().ends_with(".ocelli"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Writer::create(&folder.path().join("missing")).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

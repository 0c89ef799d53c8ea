//! A file that was written, read again: every page of every column, as a reader would have it.

use crate::files::ReadFile;
use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// A file as the parquet crate reads it.
pub(super) struct Chunks {
    file: Arc<Mutex<Box<dyn ReadFile>>>,
    length: u64,
}

impl Chunks {
    pub(super) fn new(file: Box<dyn ReadFile>) -> io::Result<Self> {
        let length = file.identify()?.bytes;
        Ok(Self { file: Arc::new(Mutex::new(file)), length })
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = At;

    fn get_read(&self, start: u64) -> Result<At> {
        Ok(At { file: self.file.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// A place in a file, which others read too.
pub(super) struct At {
    file: Arc<Mutex<Box<dyn ReadFile>>>,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The footer of a file.
///
/// # Errors
/// It cannot be read, or is damaged.
pub(super) fn footer(file: Box<dyn ReadFile>) -> Result<ParquetMetaData> {
    let reader = SerializedFileReader::new(Chunks::new(file)?)?;
    Ok(reader.metadata().clone())
}

/// Reads a file to its last page, and counts: rows and values have to be those that were written.
///
/// # Errors
/// It cannot be read, is damaged, or holds something else.
pub(super) fn count(file: Box<dyn ReadFile>, written: &ParquetMetaData) -> Result<()> {
    let reader = SerializedFileReader::new(Chunks::new(file)?)?;
    let differs = |what: &str| Err(ParquetError::General(format!("it was read back with other {what}")));
    if reader.metadata().file_metadata().num_rows() != written.file_metadata().num_rows() {
        return differs("rows");
    }
    if reader.num_row_groups() != written.num_row_groups() {
        return differs("row groups");
    }
    for (place, group) in written.row_groups().iter().enumerate() {
        let found = reader.get_row_group(place)?;
        for (number, column) in group.columns().iter().enumerate() {
            let mut pages = found.get_column_page_reader(number)?;
            let mut values = 0;
            while let Some(page) = pages.get_next_page()? {
                if page.is_data_page() {
                    values += i64::from(page.num_values());
                }
            }
            if values != column.num_values() {
                return differs("values");
            }
        }
    }
    Ok(())
}

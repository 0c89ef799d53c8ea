//! A file of the lake in the making: in a directory of its own, synced, read back and counted, then renamed. Whoever reads
//! sees all of it, or what was there before.

use super::columns::Column;
use super::metadata::{self, LeftOut};
use super::place::LakePlace;
use super::read_back;
use super::schema::{Form, Leaf, Nesting, leaves, schema};
use crate::files::disk::Disk;
use crate::files::{AppendFile, Files, IoError};
use crate::tape::reader::TapeError;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The zstd level of pages. What a page holds is encoded already: 3 saves 2 % for a third more time.
const ZSTD_LEVEL: i32 = 1;

/// Why a file is not written. The one that was there before stays.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// A part of the tape cannot be read.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// The disk.
    #[error(transparent)]
    Io(#[from] IoError),
    /// What was written is no such file.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The file, below the lake.
        path: PathBuf,
        /// What is wrong.
        source: ParquetError,
    },
    /// It has rows whose sources are deleted, and is without some whose sources are there.
    #[error(
        "{} is without sealed files that are on the tape, and has rows of others that were deleted: move it away, and what \
         is on the tape is exported",
        path.display()
    )]
    Apart {
        /// The file, below the lake.
        path: PathBuf,
    },
    /// It is damaged, and cannot be made again.
    #[error(
        "{} is damaged, and some of its sources were deleted: move it away, and what is on the tape is exported: {source}",
        path.display()
    )]
    Damaged {
        /// The file, below the lake.
        path: PathBuf,
        /// What is wrong.
        source: ParquetError,
    },
    /// A sealed file went while it was read.
    #[error("a sealed file of {stream} was taken away while it was read")]
    Gone {
        /// The stream.
        stream: String,
    },
    /// It was told to stop.
    #[error("stopped before it was done")]
    Stopped,
}

/// A file that is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// Lines that have no row.
    pub left_out: LeftOut,
}

/// See the module.
pub(super) struct LakeFile<'a> {
    disk: &'a Disk,
    place: &'a LakePlace,
    file: Arc<dyn AppendFile>,
    writer: SerializedFileWriter<Sink>,
    rows: u64,
}

impl<'a> LakeFile<'a> {
    /// Begins one that says `known` of itself.
    pub(super) fn begin(disk: &'a Disk, place: &'a LakePlace, known: Vec<KeyValue>) -> Result<Self, LakeError> {
        let path = place.unfinished();
        for directory in [&*place.directory(), path.parent().unwrap_or(Path::new(""))] {
            disk.make_directory(directory).map_err(IoError::at("make", directory))?;
        }
        match disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(IoError::at("remove", &path)(error).into());
            }
            _ => {}
        }
        let file = disk.create(&path).map_err(IoError::at("create", &path))?;
        let leaves = leaves(place.table);
        let schema = schema(&leaves).map_err(failed(&path))?;
        let properties = properties(&leaves, known);
        let writer = SerializedFileWriter::new(Sink(file.clone()), schema, properties).map_err(failed(&path))?;
        Ok(Self { disk, place, file, writer, rows: 0 })
    }

    /// Writes a row group, and empties the columns.
    pub(super) fn write(&mut self, columns: &mut [Column], rows: usize) -> Result<(), LakeError> {
        if rows == 0 {
            return Ok(());
        }
        self.rows += rows as u64;
        self.write_group(columns).map_err(failed(&self.place.unfinished()))
    }

    fn write_group(&mut self, columns: &mut [Column]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in columns {
            let Some(mut writer) = group.next_column()? else { break };
            column.write(writer.untyped())?;
            writer.close()?;
        }
        group.close().map(drop)
    }

    /// Makes it what readers see.
    pub(super) fn finish(mut self, left_out: LeftOut) -> Result<Written, LakeError> {
        let (unfinished, path) = (self.place.unfinished(), self.place.path());
        self.writer.append_key_value_metadata(metadata::counted(left_out));
        let written = self.writer.finish().map_err(failed(&unfinished))?;
        self.file.sync().map_err(IoError::at("sync", &unfinished))?;
        let bytes = self.file.identify().map_err(IoError::at("look at", &unfinished))?.bytes;
        let again = self.disk.read(&unfinished).map_err(IoError::at("read back", &unfinished))?;
        read_back::count(again, &written).map_err(failed(&unfinished))?;
        self.disk.replace(&unfinished, &path).map_err(IoError::at("rename", &unfinished))?;
        Ok(Written { rows: self.rows, bytes, left_out })
    }
}

/// What an append-only file takes.
struct Sink(Arc<dyn AppendFile>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(path: &Path) -> impl FnOnce(ParquetError) -> LakeError + use<> {
    let path = path.to_owned();
    move |source| LakeError::Parquet { path, source }
}

/// How columns are kept. No time and no version of this program: the same input gives the same bytes.
fn properties(leaves: &[Leaf], known: Vec<KeyValue>) -> WriterPropertiesPtr {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let sorted = |name: &str| {
        let place = leaves.iter().position(|leaf| leaf.name == name)?;
        Some(SortingColumn { column_idx: i32::try_from(place).ok()?, descending: false, nulls_first: false })
    };
    let stamp = sorted("ts_recv").or_else(|| sorted("local_timestamp"));
    let sorting = sorted("epoch").into_iter().chain(stamp).collect();
    let mut builder = WriterProperties::builder()
        // Spark believes no statistics of a writer whose version it cannot parse.
        .set_created_by("upbit-recorder version 1".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_key_value_metadata(Some(known))
        .set_sorting_columns(Some(sorting));
    for leaf in leaves.iter().filter(|leaf| leaf.nesting != Nesting::List && is_increasing(leaf)) {
        // Times and ids hardly repeat, and differ by little from the one before.
        let path = ColumnPath::from(leaf.name.clone());
        builder = builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    Arc::new(builder.build())
}

fn is_increasing(leaf: &Leaf) -> bool {
    matches!(leaf.form, Form::Micros | Form::Millis) || leaf.name == "sequential_id"
}

impl std::fmt::Debug for LakeFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LakeFile").field("place", &self.place).field("rows", &self.rows).finish_non_exhaustive()
    }
}

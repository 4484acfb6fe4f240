//! Reading and replacing the file: whole or not at all, and never by two at once.
//!
//! Blocking calls; `file.rs` keeps them off the runtime's threads. It knows nothing of the content.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// What tells one version of the file from another: every replacement is another inode at another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    /// The stamp of the file at `path`; of no file where there is none.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Self::new(&meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(None)),
            Err(error) => Err(failed("read", path, &error)),
        }
    }

    fn new(meta: &fs::Metadata) -> Self {
        Self(Some((meta.dev(), meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec())))
    }
}

/// The file's content with its stamp; none where there is no file.
pub(super) fn read(path: &Path) -> Result<(Stamp, Option<Vec<u8>>), StoreError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Stamp(None), None)),
        Err(error) => return Err(failed("read", path, &error)),
    };
    let content = |file: &mut File| {
        let stamp = Stamp::new(&file.metadata()?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((stamp, Some(bytes)))
    };
    content(&mut file).map_err(|error| failed("read", path, &error))
}

/// Writes the file anew beside itself, makes it durable, and renames it into place. Only under the lock.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), StoreError> {
    // A link stays a link: what it points to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = with_suffix(&path, ".new");
    let work = || {
        let file = File::create(&beside)?;
        if let Ok(meta) = fs::metadata(&path) {
            file.set_permissions(meta.permissions())?;
        }
        let mut buffer = BufWriter::with_capacity(1 << 16, file);
        write(&mut buffer)?;
        buffer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&beside, &path)?;
        // The rename itself is durable only once its folder is.
        File::open(folder(&path))?.sync_all()
    };
    work().map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed("write", &path, &error)
    })
}

/// The lock file beside the file, held until dropped. The system gives it back when the process ends, however.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Waits for the lock and takes it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let lock = with_suffix(&path, ".lock");
        let take = || {
            let file = File::options().create(true).append(true).open(&lock)?;
            file.lock()?;
            Ok(Self(file))
        };
        take().map_err(|error| failed("lock", &lock, &error))
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> StoreError {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "; make its folder, or name another path (--store file:PATH)",
        io::ErrorKind::PermissionDenied => {
            "; give this user the right to it, or name another path (--store file:PATH)"
        }
        io::ErrorKind::StorageFull => "; make room on its disk",
        _ => "",
    };
    StoreError::Invalid(format!("cannot {what} {}: {error}{remedy}", path.display()))
}

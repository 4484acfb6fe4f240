//! Reading and replacing the file: whole or not at all, and never by two at once.
//!
//! Blocking calls; `file.rs` keeps them off the runtime's threads. It knows nothing of the content.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// How long somebody may hold the lock without writing the file: the longest commit is a tenth of it, and `apply`
/// takes a store that says nothing for 60 s for dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How soon the lock is tried again: less than lies between two commits of a process that has nothing else to do.
const AGAIN: Duration = Duration::from_millis(2);

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
    /// Waits for the lock and takes it; an error if the file stays as it is for `patience` meanwhile. Who holds the
    /// lock and does write is waited for.
    pub(super) fn take(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let lock = with_suffix(&path, ".lock");
        let options = File::options().create(true).append(true).open(&lock);
        let file = options.map_err(|error| failed("lock", &lock, &error))?;
        let mut standstill = Standstill { stamp: Stamp::of(&path)?, since: Instant::now() };
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(failed("lock", &lock, &error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if standstill.lasts(Stamp::of(&path)?, Instant::now()) >= patience {
                return Err(held(&path, &lock));
            }
            pause();
        }
    }
}

/// Since when the file has been as it is.
struct Standstill {
    stamp: Stamp,
    since: Instant,
}

impl Standstill {
    fn lasts(&mut self, stamp: Stamp, now: Instant) -> Duration {
        if stamp != self.stamp {
            *self = Self { stamp, since: now };
        }
        now.duration_since(self.since)
    }
}

fn held(path: &Path, lock: &Path) -> StoreError {
    StoreError::Unavailable(format!(
        "{} is locked by another process ({}): wait for it, or end it",
        path.display(),
        lock.display()
    ))
}

#[expect(clippy::disallowed_methods, reason = "a lock of files tells nobody when it is given back")]
fn pause() {
    std::thread::sleep(AGAIN);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_lock_that_another_process_holds_is_told_and_waited_for_no_longer_than_it_is_worth() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.json");
        let other = Lock::take(&path, LONG).unwrap();
        let error = Lock::take(&path, Duration::from_millis(20)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(
            text.contains("inventory.json is locked by another process")
                && text.contains("inventory.json.lock"),
            "{text}"
        );
        drop(other);
        Lock::take(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_lock_that_is_given_back_is_taken_by_who_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.json");
        let other = Lock::take(&path, LONG).unwrap();
        let taken = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::take(&path, LONG));
            drop(other);
            waiting.join().unwrap()
        });
        taken.unwrap();
    }

    #[test]
    fn who_holds_the_lock_and_writes_is_given_all_the_time_anew() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let stamp = |inode| Stamp(Some((1, inode, 1, 1, 1)));
        let mut standstill = Standstill { stamp: Stamp(None), since: begin };
        assert_eq!(standstill.lasts(Stamp(None), at(19)), Duration::from_secs(19));
        assert_eq!(standstill.lasts(stamp(1), at(21)), Duration::ZERO);
        assert_eq!(standstill.lasts(stamp(1), at(40)), Duration::from_secs(19));
        assert_eq!(standstill.lasts(stamp(2), at(41)), Duration::ZERO);
        assert_eq!(standstill.lasts(stamp(2), at(61)), Duration::from_secs(20));
    }
}

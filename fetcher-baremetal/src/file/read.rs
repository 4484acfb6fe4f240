//! A file read whole, and parsed only when its bytes have changed.
//!
//! Not the understanding of it: that is [`parse`](super::parse). A file that is written while it is read is
//! noticed by its size and time before and after.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use fetcher_core::machine::Machine;
use fetcher_core::provider::FetchError;
use sha2::{Digest, Sha256};

use super::Format;
use super::parse::parse;

/// The largest file: some 500,000 machines.
const MAX_BYTES: u64 = 256 << 20;
/// How often a file that changes under our eyes is read anew before the round gives up.
const ATTEMPTS: usize = 3;

/// What a file was parsed to, and the hash of the bytes it was parsed from.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    hash: [u8; 32],
    pub(super) machines: Arc<Vec<Machine>>,
}

/// The machines of the file at `path`: those of `last` when its bytes are still the same.
///
/// # Errors
/// A file that cannot be read, is being written, or is not what its format says.
pub(super) fn load(
    path: &Path,
    format: Format,
    last: Option<Parsed>,
) -> Result<Parsed, FetchError> {
    let bytes = read(path)?;
    let hash = Sha256::digest(&bytes).into();
    if let Some(last) = last.filter(|last| last.hash == hash) {
        return Ok(last);
    }
    let machines = parse(format, &bytes)
        .map_err(|error| FetchError::invalid(format!("{}: {error}", path.display())))?;
    Ok(Parsed { hash, machines: Arc::new(machines) })
}

fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    let named = path.display();
    for _ in 0..ATTEMPTS {
        match read_once(path) {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => {}
            Err(error) => return Err(explain(path, &error)),
        }
    }
    Err(FetchError::unavailable(format!(
        "{named} is being written while it is read: let its writer make a new file beside it and rename that over it"
    )))
}

/// The bytes of the file, none when it changed while it was read.
fn read_once(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Asked before opening: to open a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    let mut file = fs::File::open(path)?;
    let before = file.metadata()?;
    if before.len() > MAX_BYTES {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default() + 1);
    Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let after = file.metadata()?;
    let whole = before.len() == bytes.len() as u64
        && after.len() == before.len()
        && after.modified()? == before.modified()?;
    Ok(whole.then_some(bytes))
}

fn explain(path: &Path, error: &io::Error) -> FetchError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => FetchError::invalid(format!(
            "{path} is not there: put it back, or take its source out of the configuration"
        )),
        io::ErrorKind::PermissionDenied => FetchError::invalid(format!(
            "{path} may not be read: give the user of this process the right to read it"
        )),
        io::ErrorKind::InvalidInput => FetchError::invalid(format!("{path} is not a regular file")),
        io::ErrorKind::FileTooLarge => FetchError::invalid(format!(
            "{path} is larger than 256 MiB: split it into several files"
        )),
        _ => FetchError::unavailable(format!("{path} could not be read: {error}")),
    }
}

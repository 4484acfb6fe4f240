//! Secrets: a text that never shows itself, and where it comes from.
//!
//! Not a vault: a secret lives in a file or in an environment variable that somebody else fills, and is read
//! when it is used, so that a rotated one is taken up without a restart. It never stands in the configuration.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::printable::printable;
use crate::provider::FetchError;

/// No secret is longer; a path that points at a disk or a log is noticed instead of read.
const MAX_BYTES: u64 = 64 * 1024;

/// A text that `Debug` and `Display` never show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the place that sends it, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Where a secret comes from: `{file: PATH}` or `{env: NAME}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecretRef {
    /// A file that holds nothing else (a mounted secret, a systemd credential); one newline at its end is not part of it.
    File(PathBuf),
    /// The name of an environment variable.
    Env(String),
}

impl SecretRef {
    /// The secret as it is now.
    ///
    /// # Errors
    /// [`FetchError::Denied`] when it is missing, empty or no text. The message names the file or variable and
    /// the remedy, never the content.
    pub fn read(&self) -> Result<Secret, FetchError> {
        let text = match self {
            Self::File(path) => read_file(path).map_err(|why| {
                FetchError::denied(format!(
                    "{self}: {why}; put the secret there, readable for this process"
                ))
            })?,
            Self::Env(name) => read_env(name).map_err(|why| {
                FetchError::denied(format!("{self} {why}; set it for this process"))
            })?,
        };
        Ok(Secret(text))
    }
}

/// Names the place: `the secret file /run/token` or `the environment variable TOKEN`.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => {
                write!(f, "the secret file {}", printable(&path.to_string_lossy(), 300))
            }
            Self::Env(name) => write!(f, "the environment variable {}", printable(name, 100)),
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<String, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("larger than {MAX_BYTES} bytes, which no secret is"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not a text in UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    checked(text.strip_suffix('\r').unwrap_or(text)).map_err(ToOwned::to_owned)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the configuration names the variable, so clap cannot"
)]
fn read_env(name: &str) -> Result<String, &'static str> {
    match std::env::var(name) {
        Ok(text) => checked(&text),
        Err(std::env::VarError::NotPresent) => Err("is not set"),
        Err(std::env::VarError::NotUnicode(_)) => Err("is not a text in UTF-8"),
    }
}

fn checked(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    // It would break the header it is sent in, with an error far from here.
    if text.contains(['\n', '\r', '\0']) {
        return Err("holds more than one line");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::SecretRef;

    fn in_file(content: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let secret = SecretRef::File(file.path().to_owned()).read();
        secret.map(|s| s.expose().to_owned()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_newline_at_the_end_is_not_part_of_a_secret() {
        assert_eq!(in_file(b"hunter2\n").unwrap(), "hunter2");
        assert_eq!(in_file(b"hunter2\r\n").unwrap(), "hunter2");
        assert_eq!(in_file(b" hunter2 ").unwrap(), " hunter2 ");
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_without_being_shown() {
        for (content, why) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"hunter2\nhunter3\n", "more than one line"),
            (b"hunter2\xff", "not a text"),
            (&[b'h'; 70_000], "larger than"),
        ] {
            let error = in_file(content).unwrap_err();
            assert!(error.contains(why) && error.contains("secret file"), "{error}");
            assert!(!error.contains("hunter") && !error.contains("hhh"), "{error}");
        }
    }

    #[test]
    fn a_secret_that_is_missing_is_named_with_the_remedy() {
        let error = SecretRef::File("/no/such/token".into()).read().unwrap_err();
        assert_eq!(error.reason(), "denied");
        assert!(error.to_string().contains("/no/such/token: No such file"), "{error}");
        let error = SecretRef::Env("NO_SUCH_VARIABLE_HERE".to_owned()).read().unwrap_err();
        assert!(error.to_string().contains("NO_SUCH_VARIABLE_HERE is not set; set it"), "{error}");
    }

    #[test]
    fn a_rotated_secret_is_taken_up() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = SecretRef::File(file.path().to_owned());
        for now in ["one", "two"] {
            std::fs::write(file.path(), now).unwrap();
            assert_eq!(secret.read().unwrap().expose(), now);
        }
    }

    #[test]
    fn the_configuration_names_a_file_or_a_variable_and_never_the_secret() {
        let read = |yaml: &str| serde_saphyr::from_str::<SecretRef>(yaml);
        assert_eq!(read("file: /run/token").unwrap(), SecretRef::File("/run/token".into()));
        assert_eq!(read("env: TOKEN").unwrap(), SecretRef::Env("TOKEN".to_owned()));
        for wrong in ["hunter2", "value: hunter2", "{file: a, env: b}", "{}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

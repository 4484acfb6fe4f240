//! Names that Kubernetes accepts, made from texts that it may not.
//!
//! Not a general slug maker: every name made here is injective in the text it stands for, because two
//! machines must never meet in one object. (RFC 1123 labels; at most 63 characters, so that a name can
//! be a label value too.)

use sha2::{Digest, Sha256};

/// The longest name: what a label value may hold.
pub(crate) const MAX: usize = 63;

/// Hexadecimal digits of the hash in a name: 40 bits, one collision expected in a million names.
const HASH: usize = 10;

/// Whether `text` is a DNS-1123 label as it stands: lower-case letters, digits and inner `-`.
pub(crate) fn is_label(text: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(&a), Some(&z)) if edge(a) && edge(z))
        && bytes.iter().all(|&b| edge(b) || b == b'-')
}

/// A readable name for `text`, made one of its own by a hash of `identity`.
pub(crate) fn with_hash(text: &str, identity: &str) -> String {
    let mut slug = slug(text);
    slug.truncate(MAX - 1 - HASH);
    let hash = hex(&Sha256::digest(identity.as_bytes()), HASH);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { hash } else { format!("{slug}-{hash}") }
}

/// The first `digits` hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8], digits: usize) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(digits);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}

/// Lower case, every run of other characters one `-`.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    slug
}

/// Whether `text` may be a label's value: at most 63 letters, digits, `-`, `_`, `.`, beginning and ending with a
/// letter or digit; or empty.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_label_name(text)
}

/// Whether `text` may be the name part of a label's key.
pub(crate) fn is_label_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX
        && matches!((bytes.first(), bytes.last()), (Some(a), Some(z)) if a.is_ascii_alphanumeric() && z.is_ascii_alphanumeric())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

//! Kubeconfig files, with certificate and key as paths, so that a test can put other files there (rotation).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::pki::Identity;

/// The name of the context in every kubeconfig that the test bed writes.
pub const CONTEXT: &str = "fleet";

/// Writes a kubeconfig to `path` (as JSON, which is YAML).
///
/// # Errors
/// The file cannot be written.
pub fn write(
    path: PathBuf,
    server: &str,
    ca: &Path,
    user: &Identity,
    namespace: &str,
) -> Result<PathBuf> {
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": server, "certificate-authority": ca}}],
        "users": [{"name": CONTEXT, "user": {"client-certificate": user.certificate, "client-key": user.key}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT, "namespace": namespace}}],
        "current-context": CONTEXT,
    });
    fs::write(&path, serde_json::to_vec_pretty(&content)?)
        .with_context(|| path.display().to_string())?;
    Ok(path)
}

//! Trust: which certificates an endpoint may show, and what is wrong with one in words.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::{CertificateError, Error as TlsError};
use url::{Host, Url};

use super::options::{HttpOptions, ProxyChoice};
use super::pin;
use crate::app::InvalidConfig;

/// The client for an endpoint.
pub(super) fn client(options: &HttpOptions) -> Result<reqwest::Client, InvalidConfig> {
    let mut builder = reqwest::Client::builder()
        .user_agent(&options.user_agent)
        // Redirects and retries are ours: reqwest would carry headers like X-Auth-Token to another host.
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(Duration::from_secs(10).min(options.timeout))
        .pool_idle_timeout(Duration::from_secs(60));
    if options.proxy == ProxyChoice::None || is_loopback(&options.base) {
        builder = builder.no_proxy();
    }
    if let Some(path) = &options.ca_file {
        builder = builder.tls_certs_only(ca_bundle(path)?);
    }
    if let Some(fingerprint) = options.fingerprint {
        let config = pin::config(fingerprint).map_err(|e| InvalidConfig(format!("no TLS: {e}")))?;
        builder = builder.tls_backend_preconfigured(config);
    }
    builder.build().map_err(|e| {
        let mut why = e.to_string();
        let mut next = e.source();
        while let Some(cause) = next {
            why = format!("{why}: {cause}");
            next = cause.source();
        }
        InvalidConfig(format!(
            "no TLS for {}: {why}; install the system's CA certificates or set caFile",
            options.base
        ))
    })
}

fn ca_bundle(path: &std::path::Path) -> Result<Vec<reqwest::Certificate>, InvalidConfig> {
    let wrong = |why: String| InvalidConfig(format!("caFile {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let certs = reqwest::Certificate::from_pem_bundle(&pem)
        .map_err(|_| wrong("holds a certificate that is damaged".to_owned()))?;
    // Junk gives no certificate, and no error either.
    if certs.is_empty() {
        return Err(wrong("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(certs)
}

/// `AB:CD:…` or plain hex, 32 bytes.
pub(super) fn fingerprint(text: &str) -> Result<[u8; 32], InvalidConfig> {
    let wrong = || {
        InvalidConfig(
            "certificateFingerprint must be a SHA-256, 64 hexadecimal digits, colons allowed: \
             openssl x509 -noout -fingerprint -sha256 prints it"
                .to_owned(),
        )
    };
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, d| sum << 4 | d)).collect();
    <[u8; 32]>::try_from(bytes).ok().filter(|_| digits.len() == 64).ok_or_else(wrong)
}

/// What went wrong with TLS and how to put it right; `None` if it was not TLS.
pub(super) fn words(error: &(dyn Error + 'static), options: &HttpOptions) -> Option<String> {
    let words = match tls_cause(error)? {
        TlsError::InvalidCertificate(cause) => certificate_words(cause, options),
        TlsError::InvalidMessage(_) => {
            "the server does not speak TLS there; check the port, or write http:// if that is meant"
                .to_owned()
        }
        other => format!("TLS failed: {other}"),
    };
    Some(words)
}

fn certificate_words(cause: &CertificateError, options: &HttpOptions) -> String {
    match cause {
        // A bad signature is a CA of the same name with another key: one that was made anew.
        CertificateError::UnknownIssuer | CertificateError::BadSignature
            if options.ca_file.is_some() => {
            "the certificate is signed by none of the CAs in caFile; put the CA that signed it there".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the certificate is signed by no CA that this machine trusts; set caFile to the CA that signed it"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired ({cause}); renew it there, or check this machine's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the server's certificate is not valid yet ({cause}); check the clocks of both machines")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the server's certificate is for another name ({cause}); use a name it is for in the url")
        }
        CertificateError::Other(other) if other.0.is::<pin::OtherCertificate>() => other.0.to_string(),
        other => format!("the server's certificate is not accepted: {other}"),
    }
}

fn tls_cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<TlsError>() {
            return Some(found);
        }
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            // An io::Error's source is that of what it wraps, which would skip it.
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    None
}

/// Whether no proxy is ever asked for it.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

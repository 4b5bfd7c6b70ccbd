//! Digests of what the results of a service depend on.

use std::fs;

use sha2::{Digest, Sha256};

use crate::config::Service;
use crate::queue::digest::{digest, hexadecimal};

/// SHA-256 of the manifest of a service's bundle, which fixes the rest of it; `None` where it cannot be read.
pub fn manifest_digest(service: &Service) -> Option<String> {
    let manifest = fs::read(service.bundle.join("manifest.json")).ok()?;
    Some(hexadecimal(&Sha256::digest(manifest)))
}

/// Digest of what the results of a service depend on besides the images.
pub fn settings_digest(service: &Service, bundle: Option<&str>) -> String {
    let rules = service
        .dicom_rules
        .as_ref()
        .and_then(|path| fs::read(path).ok())
        .unwrap_or_default();
    let texts = [&service.formats, &service.series, &service.options];
    let lists = texts.map(|list| list.join("\n"));
    let bundle = bundle.unwrap_or_default().as_bytes();
    digest(
        [bundle, &rules, service.geometry.as_bytes()]
            .into_iter()
            .chain(lists.iter().map(String::as_bytes)),
    )
}

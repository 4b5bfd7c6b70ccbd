//! The kind of an executable file, detected before loading because the messages of dynamic loaders do not state it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A kind of executable file and the processor that it is for, as in `an ELF library for x86_64`.
pub(super) fn describe(path: &Path) -> io::Result<String> {
    let mut head = Vec::new();
    File::open(path)?.take(4096).read_to_end(&mut head)?;
    Ok(describe_head(&head))
}

/// The kind that this program can load.
pub(super) fn expected() -> String {
    let kind = if cfg!(windows) {
        "a PE"
    } else if cfg!(target_os = "macos") {
        "a Mach-O"
    } else {
        "an ELF"
    };
    format!("{kind} library for {}", std::env::consts::ARCH)
}

fn describe_head(head: &[u8]) -> String {
    let half = |at: usize| Some(u16::from_le_bytes([*head.get(at)?, *head.get(at + 1)?]));
    let word = |at: usize| {
        Some(u32::from_le_bytes([
            *head.get(at)?,
            *head.get(at + 1)?,
            *head.get(at + 2)?,
            *head.get(at + 3)?,
        ]))
    };
    let processor = |name: Option<&str>| name.unwrap_or("another processor").to_owned();
    if head.starts_with(b"\x7fELF") {
        let name = match (head.get(4), head.get(5), half(18)) {
            (Some(2), Some(1), Some(62)) => Some("x86_64"),
            (Some(2), Some(1), Some(183)) => Some("aarch64"),
            (Some(1), Some(1), Some(3)) => Some("x86"),
            (Some(1), Some(1), Some(40)) => Some("arm"),
            (Some(2), Some(1), Some(243)) => Some("riscv64"),
            _ => None,
        };
        return format!("an ELF library for {}", processor(name));
    }
    if let Some(0xfeed_facf) = word(0) {
        let name = match word(4) {
            Some(0x0100_0007) => Some("x86_64"),
            Some(0x0100_000c) => Some("aarch64"),
            _ => None,
        };
        return format!("a Mach-O library for {}", processor(name));
    }
    let pe = word(0x3c).and_then(|at| usize::try_from(at).ok());
    if head.starts_with(b"MZ")
        && let Some(at) = pe
        && head
            .get(at..)
            .is_some_and(|rest| rest.starts_with(b"PE\0\0"))
    {
        let name = match half(at + 4) {
            Some(0x8664) => Some("x86_64"),
            Some(0xaa64) => Some("aarch64"),
            Some(0x14c) => Some("x86"),
            _ => None,
        };
        return format!("a PE library for {}", processor(name));
    }
    "no library of any system".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_libraries_are_told_apart() {
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 183;
        assert_eq!(describe_head(&elf), "an ELF library for aarch64");
        elf[18] = 62;
        assert_eq!(describe_head(&elf), "an ELF library for x86_64");
        assert_eq!(
            describe_head(&elf[..10]),
            "an ELF library for another processor"
        );
        let mach = [0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1];
        assert_eq!(describe_head(&mach), "a Mach-O library for aarch64");
        let mut pe = vec![0; 0x90];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c] = 0x80;
        pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
        assert_eq!(describe_head(&pe), "a PE library for x86_64");
        pe[0x3c..0x40].fill(0xff);
        assert_eq!(describe_head(&pe), "no library of any system");
        assert_eq!(describe_head(b"#!/bin/sh"), "no library of any system");
        assert_eq!(describe_head(b""), "no library of any system");
    }

    #[test]
    fn this_very_program_is_what_is_expected() {
        let program = std::env::current_exe().expect("known");
        assert_eq!(describe(&program).expect("readable"), expected());
    }
}

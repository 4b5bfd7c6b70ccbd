//! Event files of a training, by another decoder than the trainer's.

use std::path::Path;

use vesal_trainer::fit::EVENTS_PREFIX;

use super::train_in_parts;
use crate::work_dir::WorkDir;

/// Step and tag of every scalar in the event files of a run.
fn scalars(run_dir: &Path) -> Vec<(u64, String, f32)> {
    let mut files: Vec<_> = std::fs::read_dir(run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(EVENTS_PREFIX)
        })
        .collect();
    files.sort();
    let mut scalars = Vec::new();
    for bytes in files.into_iter().map(|path| std::fs::read(path).unwrap()) {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let event = fields(&rest[12..12 + length]);
            rest = &rest[16 + length..];
            let number = |wanted: u64| match event.iter().find(|(field, _)| *field == wanted) {
                Some((_, Field::Number(number))) => *number,
                _ => 0,
            };
            for (field, value) in &event {
                let (5, Field::Bytes(summary)) = (field, value) else {
                    continue;
                };
                for (_, value) in fields(summary) {
                    let Field::Bytes(value) = value else {
                        panic!("a value is a message")
                    };
                    match fields(value).as_slice() {
                        [(1, Field::Bytes(tag)), (2, Field::Float(scalar))] => {
                            let tag = String::from_utf8(tag.to_vec()).unwrap();
                            scalars.push((number(2), tag, *scalar));
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
    }
    scalars
}

#[derive(Debug)]
enum Field<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
}

/// Fields of a protobuf message.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let (value, length) = match key & 7 {
            0 => (Field::Number(varint(&mut bytes)), 0),
            1 => (Field::Number(0), 8),
            2 => {
                let length = varint(&mut bytes) as usize;
                (Field::Bytes(&bytes[..length]), length)
            }
            5 => (
                Field::Float(f32::from_le_bytes(bytes[..4].try_into().unwrap())),
                4,
            ),
            kind => panic!("kind {kind}"),
        };
        bytes = &bytes[length..];
        fields.push((key >> 3, value));
    }
    fields
}

#[test]
fn event_files_tell_what_the_tables_tell_also_after_a_break() {
    let work = WorkDir::new(6, 12, 8);
    let request = work.request("run");
    train_in_parts(&request, 4);
    let scalars = scalars(&request.run_dir);
    let of = |tag: &str| -> Vec<(u64, f32)> {
        let own = scalars.iter().filter(|(_, own, _)| own == tag);
        own.map(|(step, _, value)| (*step, *value)).collect()
    };
    let column = |table: &str, column: usize| -> Vec<f32> {
        let table = work.read(&format!("run/{table}"));
        let rows = table.lines().skip(1);
        rows.map(|row| row.split(',').nth(column).unwrap().parse().unwrap())
            .collect()
    };
    let steps = |every: u64| (1..).map(move |k| k * every);
    let expected = |every, values: Vec<f32>| steps(every).zip(values).collect::<Vec<_>>();
    assert_eq!(of("train/loss"), expected(1, column("metrics.csv", 2)));
    assert_eq!(
        of("train/learning_rate"),
        expected(1, column("metrics.csv", 3))
    );
    assert_eq!(of("train/seconds_per_step").len(), 9);
    for (tag, index) in [
        ("val/acc", 1),
        ("val_class/bright", 2),
        ("val_class/brighter", 3),
    ] {
        let (found, rows) = (of(tag), expected(3, column("validation.csv", index)));
        assert_eq!(found.len(), 3);
        for ((step, value), (row, dice)) in found.into_iter().zip(rows) {
            assert!(
                step == row && (value - dice).abs() < 1e-6,
                "{tag}: {value} at {step}"
            );
        }
    }
}

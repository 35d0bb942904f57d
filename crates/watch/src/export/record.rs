//! TensorBoard's event files: records with checksums around protobuf messages.
//!
//! A record (TFRecord, `tensorflow/core/lib/io/record_writer.h`):
//!
//! ```text
//! u64 length │ u32 check(length) │ the message │ u32 check(message)        all little-endian
//! check(bytes) = rotate right by 15 (CRC-32C(bytes)) + 0xa282ead8
//! ```
//!
//! A message (`tensorflow/core/util/event.proto` and `tensorflow/core/framework/summary.proto`; field numbers before
//! the names):
//!
//! ```text
//! Event      1 wall_time double · 2 step int64 · 3 file_version string | 5 summary Summary | 7 session_log SessionLog
//! Summary    1 value Value, repeated          Value  1 tag string · 2 simple_value float
//! SessionLog 1 status enum, 1: START
//! ```
//!
//! Four fields of wire types 0 (varint), 1 (8 bytes), 2 (length and bytes) and 5 (4 bytes) need no protobuf library.

/// The version in the first record of a file, see [`Record::Version`].
pub const VERSION: &str = "brain.Event:2";

/// The content of a record.
#[derive(Clone, Debug)]
pub enum Record<'a> {
    /// The version of the file format.
    Version,
    /// A run starts: data of earlier runs at this step and later is void.
    Start,
    /// Numbers by their tags, stored as 32-bit floats.
    Scalars(&'a [(&'a str, f64)]),
}

/// Appends a record of an event: its time in seconds since 1970-01-01 UTC, its step.
pub fn write(out: &mut Vec<u8>, time: f64, step: u64, content: &Record<'_>) {
    let mut event = Vec::new();
    key(&mut event, 1, 1);
    event.extend(time.to_le_bytes());
    if step > 0 {
        key(&mut event, 2, 0);
        varint(&mut event, step);
    }
    match content {
        Record::Version => bytes(&mut event, 3, VERSION.as_bytes()),
        Record::Start => bytes(&mut event, 7, &[8, 1]),
        Record::Scalars(scalars) => {
            let mut summary = Vec::new();
            for (tag, number) in *scalars {
                let mut value = Vec::new();
                bytes(&mut value, 1, tag.as_bytes());
                key(&mut value, 2, 5);
                value.extend((*number as f32).to_le_bytes());
                bytes(&mut summary, 1, &value);
            }
            bytes(&mut event, 5, &summary);
        }
    }
    record(out, &event);
}

/// A message between its checksums.
fn record(out: &mut Vec<u8>, message: &[u8]) {
    let length = (message.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(check(&length).to_le_bytes());
    out.extend(message);
    out.extend(check(message).to_le_bytes());
}

fn check(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn key(out: &mut Vec<u8>, field: u8, wire: u8) {
    out.push(field << 3 | wire);
}

fn bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    key(out, field, 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records written by `RecordWriter` and the messages of tensorboard 2.21.0.
    #[test]
    fn records_are_byte_for_byte_those_of_tensorboard() {
        let time = 1_795_435_385.25;
        let scalars = [("train/loss", 1.25), ("train/lr", 3e-4)];
        for (time, step, what, wanted) in [
            (
                time,
                0,
                Record::Version,
                "1800000000000000a37f4b2209000050de0ac1da411a0d627261696e2e4576656e743a320e526d65",
            ),
            (
                time,
                0,
                Record::Start,
                "0d000000000000003c37b83409000050de0ac1da413a0208019e4c072a",
            ),
            (
                1_795_435_386.5,
                300,
                Record::Scalars(&scalars),
                "3200000000000000241956ec090000a0de0ac1da4110ac022a240a110a0a747261696e2f6c6f7373\
                 150000a03f0a0f0a08747261696e2f6c721552499d396b864a5d",
            ),
        ] {
            let mut bytes = Vec::new();
            write(&mut bytes, time, step, &what);
            let hex = verdict_common::hash::hex(&bytes);
            assert_eq!(hex, wanted, "{what:?}");
        }
    }

    #[test]
    fn long_numbers_take_more_bytes() {
        let encoded = |number| {
            let mut bytes = Vec::new();
            varint(&mut bytes, number);
            bytes
        };
        assert_eq!(encoded(127), [0x7f]);
        assert_eq!(encoded(128), [0x80, 1]);
        assert_eq!(encoded(u64::MAX), [[0xff; 9].as_slice(), &[1]].concat());
    }
}

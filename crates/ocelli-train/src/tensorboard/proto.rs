//! The two protocol buffer messages of a scalar event, encoded by hand.
//!
//! ```text
//! Event   { 1: double wall_time, 2: int64 step, 3: string file_version, 5: Summary summary }
//! Summary { 1: repeated Value { 1: string tag, 2: float simple_value } }
//! ```

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// The event that a file begins with.
pub(super) fn version(wall_time: f64) -> Vec<u8> {
    let mut event = at(wall_time);
    bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// One value of one tag at one step. `wall_time` counts seconds since 1970.
pub(super) fn scalar(wall_time: f64, step: u64, tag: &str, value: f32) -> Vec<u8> {
    let mut entry = Vec::new();
    bytes(&mut entry, 1, tag.as_bytes());
    entry.push(key(2, FIXED32));
    entry.extend(value.to_le_bytes());
    let mut summary = Vec::new();
    bytes(&mut summary, 1, &entry);
    let mut event = at(wall_time);
    event.push(key(2, VARINT));
    varint(&mut event, step);
    bytes(&mut event, 5, &summary);
    event
}

fn at(wall_time: f64) -> Vec<u8> {
    let mut event = vec![key(1, FIXED64)];
    event.extend(wall_time.to_le_bytes());
    event
}

fn key(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(key(field, BYTES));
    varint(out, value.len() as u64);
    out.extend(value);
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_byte_by_byte() {
        let wanted = [
            &[0x09][..],
            &1.0f64.to_le_bytes(),
            &[0x10, 0xac, 0x02], // step 300
            &[0x2a, 10, 0x0a, 8],
            &[0x0a, 1, b'x', 0x15],
            &0.5f32.to_le_bytes(),
        ];
        assert_eq!(scalar(1.0, 300, "x", 0.5), wanted.concat());
    }
}

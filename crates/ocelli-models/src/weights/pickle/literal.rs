//! The spellings of numbers and strings in a pickle.

use super::fault::{Fault, Result};

/// Two's complement of any length up to 16 bytes; torch's magic number has 10.
pub(super) fn little_endian(bytes: &[u8]) -> Result<i128> {
    if bytes.len() > 16 {
        return Fault::damaged(format!("an integer of {} bytes", bytes.len()));
    }
    let negative = bytes.last().is_some_and(|byte| byte >> 7 == 1);
    let mut padded = [if negative { 0xff } else { 0 }; 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    Ok(i128::from_le_bytes(padded))
}

/// An integer in decimal, with Python 2's `L` at its end or without.
pub(super) fn decimal(line: &[u8]) -> Result<i128> {
    let digits = line.strip_suffix(b"L").unwrap_or(line);
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.trim().parse().ok());
    number.ok_or_else(|| Fault::Damaged("an integer that is no number".to_owned()))
}

/// The text between a pair of quotes; Python 2's escapes stay as they are: names have none.
pub(super) fn unquoted(line: &[u8]) -> Result<&[u8]> {
    match line {
        [b'\'', text @ .., b'\''] | [b'"', text @ .., b'"'] => Ok(text),
        _ => Fault::damaged("a string without its quotes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_twos_complement() {
        for (bytes, value) in [
            (&[][..], 0),
            (&[0xff], -1),
            (&[0xff, 0x00], 255),
            (&[0x00, 0x80], -32768),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 1], 1 << 64),
            (&[0xff; 16], -1),
        ] {
            assert_eq!(little_endian(bytes).unwrap(), value);
        }
        assert!(little_endian(&[0; 17]).is_err());
    }

    #[test]
    fn text_of_protocol_0() {
        assert_eq!(decimal(b"-12").unwrap(), -12);
        assert_eq!(decimal(b"119547037146038801333356L").unwrap(), 0x1950_a86a_20f9_469c_fc6c);
        for bad in [&b""[..], b"L", b"1.5", b"\xff"] {
            assert!(decimal(bad).is_err(), "{bad:?}");
        }
        assert_eq!(unquoted(b"'a'").unwrap(), b"a");
        assert_eq!(unquoted(b"\"\"").unwrap(), b"");
        assert!(unquoted(b"'").is_err() && unquoted(b"'a\"").is_err());
    }
}

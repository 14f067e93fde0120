//! Recursive Length Prefix, as far as hashing needs it: encoding into a buffer, strict reading of flat items.

use crate::Refused;

pub fn put_string(out: &mut Vec<u8>, data: &[u8]) {
    if let [byte] = data
        && *byte < 0x80
    {
        out.push(*byte);
        return;
    }
    put_header(out, 0x80, data.len());
    out.extend_from_slice(data);
}

pub fn put_list_header(out: &mut Vec<u8>, size: usize) {
    put_header(out, 0xC0, size);
}

/// Bytes that `put_string` will write.
pub fn string_size(data: &[u8]) -> usize {
    match data {
        [byte] if *byte < 0x80 => 1,
        _ => header_size(data.len()) + data.len(),
    }
}

fn header_size(size: usize) -> usize {
    if size < 56 { 1 } else { 1 + width(size) }
}

fn width(size: usize) -> usize {
    (usize::BITS - size.leading_zeros()).div_ceil(8) as usize
}

fn put_header(out: &mut Vec<u8>, base: u8, size: usize) {
    if size < 56 {
        out.push(base + size as u8);
    } else {
        let width = width(size);
        out.push(base + 55 + width as u8);
        out.extend_from_slice(&size.to_be_bytes()[8 - width..]);
    }
}

/// Takes one string of at most 55 bytes off the front, in its shortest form only.
pub fn take_string<'a>(data: &mut &'a [u8]) -> Result<&'a [u8], Refused> {
    const SLOPPY: Refused = Refused("an RLP string is not in its shortest form");
    let (&head, rest) = data.split_first().ok_or(SLOPPY)?;
    if head < 0x80 {
        let (item, rest) = data.split_at(1);
        *data = rest;
        return Ok(item);
    }
    let size = (head - 0x80) as usize;
    if size > 55 || size > rest.len() {
        return Err(SLOPPY);
    }
    let (item, rest) = rest.split_at(size);
    if size == 1 && item[0] < 0x80 {
        return Err(SLOPPY);
    }
    *data = rest;
    Ok(item)
}

//! Bytes that are no message, or not quite.

use crate::Dice;

/// Does something bad to an encoded message.
#[must_use]
pub fn damaged(mut bytes: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => {
                let noise = dice.below(24);
                bytes.splice(at..at, dice.bytes(noise));
            }
            // Groups: begun and never ended, ended and never begun, nested deeper than any reader goes.
            3 => bytes.extend([0x0b].repeat(1 + dice.below(200))),
            4 => bytes.push(0x0c),
            // A varint of more than ten bytes; one that never ends; field number 0; a length beyond the end.
            5 => bytes.extend([&[0x08][..], &[0xff; 10], &[0x01]].concat()),
            6 => bytes.extend([0x08, 0xff, 0xff]),
            7 => bytes.extend(*dice.pick(&[[0x00, 0x00], [0x0a, 0x7f], [0x0e, 0x00], [0x0f, 0x01]])),
            // Unknown fields, which are no fault, and known ones of another wire type.
            _ => bytes
                .extend([0xfa, 0xff, 0x07, 0x03, 1, 2, 3, 0x0d, 1, 2, 3, 4, 0x10, 0x01, 0x1a, 0x01, 0xff]),
        }
    }
    bytes
}

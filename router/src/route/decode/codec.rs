//! How the bytes of an object are stored, told by their beginning.

/// How the bytes of an object are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
    Bzip2,
    Plain,
}

/// A byte of a beginning: from, to.
type Bytes = (u8, u8);

const fn only(byte: u8) -> Bytes {
    (byte, byte)
}

/// What each codec's streams begin with. No JSON text starts like any of them.
const BEGINNINGS: [(Codec, &[Bytes]); 5] = [
    // RFC 1952, 2.3.1.
    (Codec::Gzip, &[only(0x1f), only(0x8b)]),
    // RFC 8878, 3.1: a frame, or a skippable one.
    (Codec::Zstd, &[only(0x28), only(0xb5), only(0x2f), only(0xfd)]),
    (Codec::Zstd, &[(0x50, 0x5f), only(0x2a), only(0x4d), only(0x18)]),
    // A stream's header, then its first block (pi) or its end (square root of pi).
    (Codec::Bzip2, &bzip2([0x31, 0x41, 0x59, 0x26, 0x53, 0x59])),
    (Codec::Bzip2, &bzip2([0x17, 0x72, 0x45, 0x38, 0x50, 0x90])),
];

const fn bzip2([a, b, c, d, e, f]: [u8; 6]) -> [Bytes; 10] {
    let (a, b, c, d, e, f) = (only(a), only(b), only(c), only(d), only(e), only(f));
    [only(b'B'), only(b'Z'), only(b'h'), (b'1', b'9'), a, b, c, d, e, f]
}

/// How far some bytes look like the beginning of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Whole,
    /// They end inside such a beginning.
    Partly,
    None,
}

impl Codec {
    /// Bytes that tell every codec.
    pub(super) const BEGINNING_BYTES: usize = 10;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let all = [Self::Gzip, Self::Zstd, Self::Bzip2];
        all.into_iter().find(|codec| codec.likeness(bytes) == Likeness::Whole).unwrap_or(Self::Plain)
    }

    /// Whether a stream of this codec begins with these bytes.
    pub(super) fn likeness(self, bytes: &[u8]) -> Likeness {
        let own = BEGINNINGS.iter().filter(|(codec, _)| *codec == self);
        let mut fitting = own
            .filter(|(_, beginning)| beginning.iter().zip(bytes).all(|((from, to), byte)| (from..=to).contains(&byte)));
        match fitting.next() {
            Some((_, beginning)) if beginning.len() <= bytes.len() => Likeness::Whole,
            Some(_) => Likeness::Partly,
            None => Likeness::None,
        }
    }
}

//! The raw records of all streams, in small pages: streams of any size share one memory, and what one gives back
//! another takes, without a call to the allocator.

/// Small, so that thousands of streams with a record each fit the budget.
const PAGE_BYTES: usize = 2 << 10;

/// Pages allocated at a time.
const CHUNK_PAGES: usize = 512;

#[derive(Default)]
pub(super) struct Arena {
    chunks: Vec<Box<[u8]>>,
    free: Vec<u32>,
    /// Pages ever taken, and those in use.
    pages: usize,
    used: usize,
}

/// The raw bytes of one stream.
#[derive(Default)]
pub(super) struct Raw {
    pages: Vec<u32>,
    length: usize,
}

impl Raw {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// What it takes of the arena.
    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }
}

impl Arena {
    /// Bytes of the pages in use.
    pub(super) fn used_bytes(&self) -> usize {
        self.used * PAGE_BYTES
    }

    pub(super) fn append(&mut self, raw: &mut Raw, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = raw.length % PAGE_BYTES;
            if within == 0 {
                raw.pages.push(self.take());
            }
            let page = *raw.pages.last().expect("a page was taken for the first byte") as usize;
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_BYTES - within));
            let at = page % CHUNK_PAGES * PAGE_BYTES + within;
            self.chunks[page / CHUNK_PAGES][at..at + now.len()].copy_from_slice(now);
            raw.length += now.len();
            bytes = later;
        }
    }

    /// Moves all bytes to `out`, which is overwritten, and takes the pages back.
    pub(super) fn drain(&mut self, raw: &mut Raw, out: &mut Vec<u8>) {
        out.clear();
        let mut left = std::mem::take(&mut raw.length);
        self.used -= raw.pages.len();
        for page in raw.pages.drain(..) {
            let at = page as usize % CHUNK_PAGES * PAGE_BYTES;
            let length = left.min(PAGE_BYTES);
            out.extend_from_slice(&self.chunks[page as usize / CHUNK_PAGES][at..at + length]);
            left -= length;
            self.free.push(page);
        }
    }

    fn take(&mut self) -> u32 {
        self.used += 1;
        self.free.pop().unwrap_or_else(|| {
            let page = self.pages;
            self.pages += 1;
            if page == self.chunks.len() * CHUNK_PAGES {
                self.chunks.push(vec![0; CHUNK_PAGES * PAGE_BYTES].into_boxed_slice());
            }
            page as u32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_share_pages_and_keep_their_bytes() {
        let mut arena = Arena::default();
        let mut raws: Vec<Raw> = (0..3).map(|_| Raw::default()).collect();
        let mut expected = vec![Vec::new(); 3];
        let mut out = Vec::new();
        for n in 0..3_000usize {
            let bytes = vec![n as u8; n * 7 % (2 * PAGE_BYTES)];
            arena.append(&mut raws[n % 3], &bytes);
            expected[n % 3].extend(bytes);
            if n % 50 == 49 {
                let stream = n / 50 % 3;
                arena.drain(&mut raws[stream], &mut out);
                assert_eq!(out, std::mem::take(&mut expected[stream]));
                assert_eq!((raws[stream].len(), raws[stream].pages()), (0, 0));
            }
        }
        let bytes: usize = expected.iter().map(Vec::len).sum();
        assert!(arena.used_bytes() >= bytes && arena.used_bytes() < bytes + 3 * PAGE_BYTES);
        assert!(arena.chunks.len() < 4, "pages are taken again");
    }
}

//! Lines of a run of blocks; only a line that crosses blocks is copied.

use memchr::memchr;
use std::error::Error;

#[derive(Default)]
pub struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    /// Hands each line that ends in `block` to `sink`, its newline included.
    pub fn feed(
        &mut self,
        mut block: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        while let Some(end) = memchr(b'\n', block) {
            let (line, rest) = block.split_at(end + 1);
            if self.unfinished.is_empty() {
                sink(line)?;
            } else {
                self.unfinished.extend_from_slice(line);
                sink(&self.unfinished)?;
                self.unfinished.clear();
            }
            block = rest;
        }
        self.unfinished.extend_from_slice(block);
        Ok(())
    }

    /// A last line without newline, given one.
    pub fn rest(mut self) -> Option<Vec<u8>> {
        if self.unfinished.is_empty() {
            return None;
        }
        self.unfinished.push(b'\n');
        Some(self.unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_any_length_give_the_same_lines() {
        let text = b"one\n\ntwo and a half\nthree";
        for length in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for block in text.chunks(length) {
                lines
                    .feed(block, |line| {
                        found.push(line.to_vec());
                        Ok(())
                    })
                    .unwrap();
            }
            found.extend(lines.rest());
            assert_eq!(found, [&b"one\n"[..], b"\n", b"two and a half\n", b"three\n"], "blocks of {length}");
        }
    }
}

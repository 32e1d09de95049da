//! The spool: one unlinked file per worker that holds compressed pieces until their object is read.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// A run of bytes in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it starts.
    pub at: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// The file. It has no name, so a crash leaves nothing behind.
#[derive(Debug)]
pub struct Spool {
    file: Arc<File>,
    length: u64,
}

impl Spool {
    /// An empty spool in `dir`.
    pub fn create(dir: &Path) -> io::Result<Self> {
        Ok(Self { file: Arc::new(tempfile::tempfile_in(dir)?), length: 0 })
    }

    /// Forgets everything, for the next object, and takes no disk space until then.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        (&*self.file).seek(SeekFrom::Start(0))?;
        self.length = 0;
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8], extents: &mut Vec<Extent>) -> io::Result<()> {
        (&*self.file).write_all(bytes)?;
        let length = bytes.len() as u64;
        match extents.last_mut() {
            Some(last) if last.at + last.length == self.length => last.length += length,
            _ => extents.push(Extent { at: self.length, length }),
        }
        self.length += length;
        Ok(())
    }

    /// A reader over a piece's extents. It stays readable until the next object restarts the spool.
    pub fn reader(&self, extents: Vec<Extent>) -> ExtentReader {
        ExtentReader { file: self.file.clone(), extents, next: 0, done: 0 }
    }
}

/// Reads a list of extents as one run of bytes.
#[derive(Clone, Debug)]
pub struct ExtentReader {
    file: Arc<File>,
    extents: Vec<Extent>,
    next: usize,
    done: u64,
}

impl ExtentReader {
    /// Bytes still to be read.
    pub fn remaining(&self) -> u64 {
        self.extents[self.next..].iter().map(|e| e.length).sum::<u64>() - self.done
    }
}

impl io::Read for ExtentReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(extent) = self.extents.get(self.next) else { return Ok(0) };
        let left = extent.length - self.done;
        let wanted = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut out[..wanted], extent.at + self.done)?;
        if read == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the spool ends inside a piece"));
        }
        self.done += read as u64;
        if self.done == extent.length {
            (self.next, self.done) = (self.next + 1, 0);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_that_waits_for_its_next_object_takes_no_space() {
        let mut spool = Spool::create(&std::env::temp_dir()).expect("created");
        spool.append(&[7; 1000], &mut Vec::new()).expect("written");
        spool.restart().expect("restarted");
        assert_eq!(spool.file.metadata().expect("read").len(), 0);
    }
}

//! gzip of any number of members. Zeros behind a member are padding (tapes and block stores write them), not damage.

#[cfg(feature = "isal")]
mod isal;

#[cfg(feature = "isal")]
use isal::{Member, next};
use std::io::{self, BufRead, Read};

#[cfg(not(feature = "isal"))]
type Member<B> = flate2::bufread::GzDecoder<B>;

/// The member behind one that was read to its end.
#[cfg(not(feature = "isal"))]
fn next<B: BufRead>(member: Member<B>) -> Member<B> {
    Member::new(member.into_inner())
}

pub(super) struct Members<B> {
    /// None once the last member was read, or failed.
    member: Option<Member<B>>,
}

impl<B: BufRead> Members<B> {
    pub(super) fn new(stored: B) -> Self {
        Self { member: Some(Member::new(stored)) }
    }
}

impl<B: BufRead> Read for Members<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            let is_last = !skip_zeros(member.get_mut())?;
            self.member = self.member.take().filter(|_| !is_last).map(next);
        }
        Ok(0)
    }
}

/// Moves behind padding; whether anything follows.
fn skip_zeros(stored: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let here = stored.fill_buf()?;
        if here.is_empty() {
            return Ok(false);
        }
        let zeros = here.iter().take_while(|b| **b == 0).count();
        let done = zeros < here.len();
        stored.consume(zeros);
        if done {
            return Ok(true);
        }
    }
}

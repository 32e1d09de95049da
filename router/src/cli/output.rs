//! Standard output, which may be closed while we write (`| head`): then nobody wants to read on, and that is all.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Standard output until it is closed.
pub(super) struct Output<W> {
    writer: Option<W>,
}

/// That of the process.
pub(super) fn stdout() -> Output<io::Stdout> {
    Output { writer: Some(io::stdout()) }
}

impl<W: Write> Output<W> {
    /// Writes a text; what it has left to say is said to nobody once the reader is gone.
    pub(super) fn say(&mut self, text: impl Display) -> io::Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        match write!(writer, "{text}").and_then(|()| writer.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.writer = None;
                Ok(())
            }
            written => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_gone_is_no_failure_and_a_full_disk_is_one() {
        struct Failing(ErrorKind);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut output = Output { writer: Some(Failing(ErrorKind::BrokenPipe)) };
        assert!(output.say("one").is_ok() && output.writer.is_none() && output.say("two").is_ok());
        assert!(Output { writer: Some(Failing(ErrorKind::StorageFull)) }.say("one").is_err());
    }
}

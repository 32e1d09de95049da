//! JSON lines: LF or CRLF, blank lines, a byte order mark, no final newline. One record per line.

use super::BYTE_ORDER_MARK;
use super::window::{Cut, Window, is_space};
use memchr::memchr;
use std::io::{self, Read};

/// The next record; `line` counts physical lines.
pub(super) fn next<R: Read>(window: &mut Window<R>, line: &mut u64) -> io::Result<Option<Cut>> {
    loop {
        let Some(length) = line_length(window)? else { return Ok(None) };
        if length > window.record_max() {
            pass_over(window)?;
            *line += 1;
            return Ok(Some(window.cut(*line, None)));
        }
        *line += 1;
        let bytes = &window.ahead()[..length];
        if bytes[0] == b'{' {
            return Ok(Some(window.take(length, *line)));
        }
        let mark = if window.offset() == 0 && bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let before = mark + bytes[mark..].iter().take_while(|b| is_space(**b)).count();
        window.advance(before);
        window.begin();
        if before < length {
            return Ok(Some(window.take(length - before, *line)));
        }
    }
}

/// Length of the next line with its newline; some length over the limit when it is longer.
fn line_length<R: Read>(window: &mut Window<R>) -> io::Result<Option<usize>> {
    let mut looked = 0;
    loop {
        let ahead = window.ahead();
        if let Some(at) = memchr(b'\n', &ahead[looked..]) {
            return Ok(Some(looked + at + 1));
        }
        looked = ahead.len();
        if looked > window.record_max() {
            return Ok(Some(looked));
        }
        if !window.fill()? {
            return Ok((looked > 0).then_some(looked));
        }
    }
}

/// Moves behind a line over the limit.
fn pass_over<R: Read>(window: &mut Window<R>) -> io::Result<()> {
    loop {
        let ahead = window.ahead();
        let newline = memchr(b'\n', ahead);
        let length = newline.map_or(ahead.len(), |at| at + 1);
        window.advance(length);
        if newline.is_some() || !window.fill()? {
            return Ok(());
        }
    }
}

//! Size and depth: what is too large costs its own record only, and no more memory than the limit.

use super::*;

const MAX: usize = 300_000;

/// A text made while it is read: a beginning, so many bytes of a pattern, an end.
struct Made {
    beginning: Vec<u8>,
    pattern: &'static [u8],
    size: usize,
    made: usize,
    end: Vec<u8>,
}

impl Read for Made {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.beginning.is_empty() && self.made < self.size {
            let n = (self.size - self.made).min(out.len());
            match self.pattern {
                [byte] => out[..n].fill(*byte),
                pattern => {
                    let pattern = pattern.iter().cycle().skip(self.made % pattern.len());
                    out[..n].iter_mut().zip(pattern).for_each(|(to, from)| *to = *from);
                }
            }
            self.made += n;
            return Ok(n);
        }
        let part = if self.beginning.is_empty() { &mut self.end } else { &mut self.beginning };
        let n = part.len().min(out.len());
        out[..n].copy_from_slice(&part[..n]);
        part.drain(..n);
        Ok(n)
    }
}

fn made(beginning: &str, pattern: &'static [u8], size: usize, end: &str) -> Made {
    Made { beginning: beginning.into(), pattern, size, made: 0, end: end.into() }
}

fn sizes(reader: impl Read, unwrap: Option<&str>) -> Vec<(u64, usize, Option<u64>)> {
    let mut frames = Frames::new(reader, MAX, unwrap);
    let mut found = Vec::new();
    while let Some(framed) = frames.next_record().expect("no error") {
        found.push((framed.line, framed.bytes.len(), framed.oversize));
    }
    assert!(frames.window.capacity() <= 3 * MAX + (1 << 20), "{} bytes held", frames.window.capacity());
    found
}

#[test]
fn a_hundred_megabytes_without_a_newline_are_one_record_in_every_framing() {
    const SIZE: usize = 100 << 20;
    let kept = OVERSIZE_KEPT_BYTES;
    let line = made("{\"a\":1}\n", b"x", SIZE, "\n{\"c\":3}");
    assert_eq!(sizes(line, None), [(1, 7, None), (2, kept, Some(SIZE as u64 + 1)), (3, 7, None)]);
    let string = |before, after| made(before, b"x", SIZE, after);
    let expected = [(1, 7, None), (2, kept, Some(SIZE as u64 + 8)), (3, 7, None)];
    assert_eq!(sizes(string("{\"a\":1}{\"b\":\"", "\"}{\"c\":3}"), None), expected);
    assert_eq!(sizes(string("[{\"a\":1},{\"b\":\"", "\"},{\"c\":3}]"), None), expected);
    assert_eq!(sizes(string("{\"R\":[{\"a\":1},{\"b\":\"", "\"},{\"c\":3}]}"), Some("/R")), expected);
    let beside = sizes(string("{\"x\":\"", "\",\"R\":[{\"c\":3}],\"y\":0}"), Some("/R"));
    assert_eq!(beside, [(1, 7, None)], "what stands beside the array costs nothing");
}

#[test]
fn a_large_array_or_envelope_is_streamed() {
    let pattern = b"{\"event\":\"a\",\"n\":12345},";
    let bytes = pattern.len() * 1_000_000;
    for (before, unwrap) in [("[", None), ("{\"R\":[", Some("/R"))] {
        let end = if unwrap.is_some() { "{\"z\":1}]}" } else { "{\"z\":1}]" };
        let found = sizes(made(before, pattern, bytes, end), unwrap);
        assert_eq!((found.len(), found.last()), (1_000_001, Some(&(1_000_001, 7, None))));
    }
}

#[test]
fn what_is_broken_and_large_is_passed_over_in_bounded_memory() {
    let bytes = 50 << 20;
    let found = sizes(made("[{\"a\":1},{\"b\":1{", b"{\"x\":1},", bytes, "{\"c\":3}]"), None);
    assert_eq!(found, [(1, 7, None), (2, OVERSIZE_KEPT_BYTES, Some(bytes as u64 + 15))]);
    let found = sizes(made("{\"a\":1}{\"b\":1 \"", b"{\"x\":1},", bytes, "{\"c\":3}{\"d\":4}"), None);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[2], (3, 7, None));
}

#[test]
fn depth_costs_neither_stack_nor_time() {
    let depth = 100_000;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(depth), close.repeat(depth));
    for value in [deep("{\"a\":[", "]}"), deep("[", "]"), deep("{\"a\":", "}").replace(":}", ":1}")] {
        let record = format!("{{\"d\":{value}}}");
        for (text, unwrap) in [
            (format!("{{\"a\":1}}\n{record}\n{{\"z\":1}}"), None),
            (format!("{{\"a\":1}}{record}{{\"z\":1}}"), None),
            (format!("{{\n\"a\":1}}\n{record}\n{{\"z\":1}}"), None),
            (format!("[{{\"a\":1}},{record},{{\"z\":1}}]"), None),
            (format!("{{\"R\":[{{\"a\":1}},{record},{{\"z\":1}}],\"x\":{record}}}"), Some("/R")),
        ] {
            let (found, _) = frames_of(text.as_bytes(), 10_000_000, unwrap);
            assert_eq!(found.len(), 3, "{}", &text[..20]);
            assert_eq!((found[1].text.len(), &*found[2].text), (record.len(), "{\"z\":1}"));
        }
    }
    for hostile in ["[", "{\"a\":", "{", "{\n", "{\"a\":[\n", "[{", "{\"a\":[{}", "}{", "{\"a\":1{"] {
        let started = std::time::Instant::now();
        frames_of(hostile.repeat(depth).as_bytes(), MAX, None);
        frames_of(hostile.repeat(depth).as_bytes(), MAX, Some("/a"));
        assert!(started.elapsed().as_secs() < 20, "{hostile:?} took {:?}", started.elapsed());
    }
}

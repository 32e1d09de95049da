//! JSON as bytes with places in it: strict checking, walking and unescaping without building a tree, so that numbers
//! keep every digit and COPY reads a record in one pass.

use std::borrow::Cow;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {at}")]
pub(crate) struct JsonError {
    pub(crate) at: usize,
    pub(crate) reason: &'static str,
}

type JsonResult<T> = Result<T, JsonError>;

/// SUPER's nesting limit (database developer guide, limitations-super).
const MAX_DEPTH: usize = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// What a (valid) value is, told by its first byte.
pub(crate) fn kind(value: &[u8]) -> Kind {
    match value.first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't') => Kind::True,
        Some(b'f') => Kind::False,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

pub(crate) fn skip_space(json: &[u8], mut at: usize) -> usize {
    while at < json.len() && matches!(json[at], b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// The end of the value that starts at `at`, which is checked on the way.
pub(crate) fn skip_value(json: &[u8], at: usize) -> JsonResult<usize> {
    skip_nested(json, at, 0)
}

fn skip_nested(json: &[u8], at: usize, depth: usize) -> JsonResult<usize> {
    if depth > MAX_DEPTH {
        return Err(JsonError { at, reason: "nested too deeply" });
    }
    match json.get(at) {
        Some(b'"') => skip_string(json, at),
        Some(b'{') => walk_members(json, at, depth, |_, _| Ok(())),
        Some(b'[') => walk_elements(json, at, depth, |_, _| Ok(())),
        Some(b't') => skip_word(json, at, b"true"),
        Some(b'f') => skip_word(json, at, b"false"),
        Some(b'n') => skip_word(json, at, b"null"),
        Some(b'-' | b'0'..=b'9') => skip_number(json, at),
        Some(_) => Err(JsonError { at, reason: "not a JSON value" }),
        None => Err(JsonError { at, reason: "unexpected end" }),
    }
}

fn skip_word(json: &[u8], at: usize, word: &[u8]) -> JsonResult<usize> {
    if json[at..].starts_with(word) { Ok(at + word.len()) } else { Err(JsonError { at, reason: "not a JSON value" }) }
}

fn skip_number(json: &[u8], start: usize) -> JsonResult<usize> {
    let wrong = |at| JsonError { at, reason: "not a JSON number" };
    let digits = |mut at: usize| {
        let first = at;
        while at < json.len() && json[at].is_ascii_digit() {
            at += 1;
        }
        if at == first { Err(wrong(at)) } else { Ok(at) }
    };
    let whole = start + usize::from(json[start] == b'-');
    let mut at = digits(whole)?;
    if json[whole] == b'0' && at > whole + 1 {
        return Err(wrong(whole));
    }
    if json.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(json.get(at), Some(b'e' | b'E')) {
        at += 1;
        at = digits(at + usize::from(matches!(json.get(at), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}

/// The end of a string, quotes included. Escapes are checked for shape; what they mean is `unescape`'s matter.
pub(crate) fn skip_string(json: &[u8], start: usize) -> JsonResult<usize> {
    let mut at = start + 1;
    loop {
        let Some(found) = memchr::memchr2(b'"', b'\\', &json[at.min(json.len())..]) else {
            return Err(JsonError { at: json.len(), reason: "unterminated string" });
        };
        at += found;
        if json[at] == b'"' {
            return Ok(at + 1);
        }
        at += match json.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if json.len() >= at + 6 && json[at + 2..at + 6].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(JsonError { at, reason: "invalid escape" }),
        };
    }
}

/// Calls back with each member's key (between its quotes, still escaped) and value; returns the end of the object.
pub(crate) fn members<'a>(
    json: &'a [u8],
    at: usize,
    member: impl FnMut(&'a [u8], &'a [u8]) -> JsonResult<()>,
) -> JsonResult<usize> {
    walk_members(json, at, 0, member)
}

fn walk_members<'a>(
    json: &'a [u8],
    start: usize,
    depth: usize,
    mut member: impl FnMut(&'a [u8], &'a [u8]) -> JsonResult<()>,
) -> JsonResult<usize> {
    let mut at = skip_space(json, start + 1);
    if json.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        if json.get(at) != Some(&b'"') {
            return Err(JsonError { at, reason: "expected a key" });
        }
        let key_end = skip_string(json, at)?;
        let key = &json[at + 1..key_end - 1];
        at = skip_space(json, key_end);
        if json.get(at) != Some(&b':') {
            return Err(JsonError { at, reason: "expected ':'" });
        }
        at = skip_space(json, at + 1);
        let value_end = skip_nested(json, at, depth + 1)?;
        member(key, &json[at..value_end])?;
        at = skip_space(json, value_end);
        match json.get(at) {
            Some(b',') => at = skip_space(json, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return Err(JsonError { at, reason: "expected ',' or '}'" }),
        }
    }
}

pub(crate) fn elements<'a>(
    json: &'a [u8],
    at: usize,
    element: impl FnMut(usize, &'a [u8]) -> JsonResult<()>,
) -> JsonResult<usize> {
    walk_elements(json, at, 0, element)
}

fn walk_elements<'a>(
    json: &'a [u8],
    start: usize,
    depth: usize,
    mut element: impl FnMut(usize, &'a [u8]) -> JsonResult<()>,
) -> JsonResult<usize> {
    let mut at = skip_space(json, start + 1);
    if json.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    let mut index = 0;
    loop {
        let value_end = skip_nested(json, at, depth + 1)?;
        element(index, &json[at..value_end])?;
        index += 1;
        at = skip_space(json, value_end);
        match json.get(at) {
            Some(b',') => at = skip_space(json, at + 1),
            Some(b']') => return Ok(at + 1),
            _ => return Err(JsonError { at, reason: "expected ',' or ']'" }),
        }
    }
}

/// The one value a text holds, without the white space around it.
pub(crate) fn whole(json: &[u8]) -> JsonResult<&[u8]> {
    let start = skip_space(json, 0);
    let end = skip_value(json, start)?;
    let after = skip_space(json, end);
    if after == json.len() {
        Ok(&json[start..end])
    } else {
        Err(JsonError { at: after, reason: "more than one value" })
    }
}

/// The last member of that (plain) name; of a valid object only.
pub(crate) fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    if kind(object) != Kind::Object {
        return None;
    }
    let mut found = None;
    members(object, 0, |key, value| {
        if unescape(key).is_ok_and(|key| *key == *name.as_bytes()) {
            found = Some(value);
        }
        Ok(())
    })
    .ok()?;
    found
}

pub(crate) fn element(array: &[u8], index: usize) -> Option<&[u8]> {
    if kind(array) != Kind::Array {
        return None;
    }
    let mut found = None;
    elements(array, 0, |at, value| {
        if at == index {
            found = Some(value);
        }
        Ok(())
    })
    .ok()?;
    found
}

/// The text between a string's quotes with its escapes resolved. Unpaired surrogates have no UTF-8 and are refused.
pub(crate) fn unescape(raw: &[u8]) -> JsonResult<Cow<'_, [u8]>> {
    let Some(first) = memchr::memchr(b'\\', raw) else { return Ok(Cow::Borrowed(raw)) };
    let mut text = raw[..first].to_vec();
    let mut at = first;
    while at < raw.len() {
        if raw[at] != b'\\' {
            let next = memchr::memchr(b'\\', &raw[at..]).map_or(raw.len(), |found| at + found);
            text.extend_from_slice(&raw[at..next]);
            at = next;
            continue;
        }
        let simple = match raw.get(at + 1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => {
                let (character, length) = unicode_escape(raw, at)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at += length;
                continue;
            }
            Some(other) => *other,
            None => return Err(JsonError { at, reason: "invalid escape" }),
        };
        text.push(simple);
        at += 2;
    }
    Ok(Cow::Owned(text))
}

fn unicode_escape(raw: &[u8], at: usize) -> JsonResult<(char, usize)> {
    let unpaired = JsonError { at, reason: "unpaired surrogate" };
    let unit = |at: usize| {
        let digits = std::str::from_utf8(raw.get(at + 2..at + 6)?).ok()?;
        (raw.get(at..at + 2)? == b"\\u").then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let first = unit(at).ok_or(JsonError { at, reason: "invalid escape" })?;
    if !(0xd800..0xe000).contains(&first) {
        return char::from_u32(first).map(|c| (c, 6)).ok_or(unpaired);
    }
    let second = unit(at + 6).filter(|low| (0xdc00..0xe000).contains(low) && first < 0xdc00).ok_or(unpaired)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).map(|c| (c, 12)).ok_or(unpaired)
}

/// A valid value without the white space between its tokens: the form SUPER is stored and shown in.
pub(crate) fn minified(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    let mut at = 0;
    while at < value.len() {
        match value[at] {
            b'"' => {
                let end = skip_string(value, at).unwrap_or(value.len());
                text.extend_from_slice(&value[at..end]);
                at = end;
            }
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            other => {
                text.push(other);
                at += 1;
            }
        }
    }
    text
}

/// A JSON string of the text.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_json_is_accepted_and_nothing_else() {
        for right in
            ["{}", "[]", "0", "-1.5e+10", "\"\\u00e9\\n\"", "{\"a\":[1,{\"b\":null}],\"c\":true}", " [ 1 , 2 ] "]
        {
            assert!(whole(right.as_bytes()).is_ok(), "{right}");
        }
        for wrong in
            ["", "{", "01", "1.", "+1", ".5", "{a:1}", "[1,]", "{\"a\":1,}", "tru", "\"\\x\"", "1 2", "'a'", "\"a"]
        {
            assert!(whole(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(whole("[".repeat(600).as_bytes()).is_err());
    }

    #[test]
    fn the_last_of_equal_keys_is_found_and_escaped_keys_match() {
        assert_eq!(member(br#"{"a":1,"a":2}"#, "a"), Some(&b"2"[..]));
        assert_eq!(member(br#"{"\u0061":1}"#, "a"), Some(&b"1"[..]));
        assert_eq!(member(b"[1]", "a"), None);
        assert_eq!(element(b"[1,[2],3]", 1), Some(&b"[2]"[..]));
        assert_eq!(element(b"[1]", 1), None);
    }

    #[test]
    fn escapes_become_text() {
        assert_eq!(unescape(br#"a\n\t\\\"\u00e9\ud83d\ude00"#).unwrap().as_ref(), "a\n\t\\\"é😀".as_bytes());
        assert!(unescape(br"\ud83d").is_err());
        assert!(unescape(br"\ude00").is_err());
    }

    #[test]
    fn minifying_touches_nothing_inside_strings() {
        assert_eq!(minified(b"{ \"a b\" : [ 1.50 ,\n 2 ] }"), b"{\"a b\":[1.50,2]}");
    }
}

//! Message attributes and the MD5 that SDKs compute over them to check what was stored.
//!
//! The digest is documented on "Calculating the MD5 message digest for message attributes" of the SQS developer guide: attributes by
//! name, each as length-prefixed name, type, a transport byte (1 text, 2 binary) and value.

use std::collections::BTreeMap;

use aws_smithy_types::base64;
use serde::{Deserialize, Serialize};

use super::error::SqsError;
use crate::digest::md5_hex;

pub(crate) type MessageAttributes = BTreeMap<String, AttributeValue>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributeValue {
    pub(crate) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) string_value: Option<String>,
    /// Base64, as it travels in JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) binary_value: Option<String>,
}

impl AttributeValue {
    fn bytes(&self) -> Option<(u8, Vec<u8>)> {
        match (&self.string_value, &self.binary_value) {
            (Some(text), None) => Some((1, text.clone().into_bytes())),
            (None, Some(encoded)) => base64::decode(encoded).ok().map(|bytes| (2, bytes)),
            _ => None,
        }
    }
}

/// The attributes' share of the message's size, once they are known to be well formed.
pub(crate) fn validated_size(attributes: &MessageAttributes) -> Result<usize, SqsError> {
    let invalid = |name: &str, reason: &str| SqsError::InvalidParameterValue {
        name: "MessageAttributes",
        value: name.to_owned(),
        reason: reason.to_owned(),
    };
    if attributes.len() > 10 {
        return Err(invalid("(all)", "Number of message attributes [more than 10] exceeds the allowed maximum [10]."));
    }
    let mut size = 0;
    for (name, value) in attributes {
        let base = value.data_type.split('.').next().unwrap_or_default();
        let fits = match base {
            "String" | "Number" => value.string_value.as_deref().is_some_and(|text| !text.is_empty()),
            "Binary" => value.binary_value.as_deref().is_some_and(|text| !text.is_empty()),
            _ => {
                return Err(invalid(name, "The type of a message attribute must start with String, Number or Binary."));
            }
        };
        let Some((_, bytes)) = value.bytes().filter(|_| fits) else {
            return Err(invalid(name, "A message attribute must contain one non-empty value of its type."));
        };
        if base == "Number" && value.string_value.as_deref().is_some_and(|text| text.parse::<f64>().is_err()) {
            return Err(invalid(name, "Can't cast the value of the message attribute to a number."));
        }
        size += name.len() + value.data_type.len() + bytes.len();
    }
    Ok(size)
}

/// Nothing when there are no attributes, as in SQS's answers.
pub(crate) fn md5(attributes: &MessageAttributes) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut input = Vec::new();
    for (name, value) in attributes {
        let (transport, bytes) = value.bytes().unwrap_or((1, Vec::new()));
        push_with_length(&mut input, name.as_bytes());
        push_with_length(&mut input, value.data_type.as_bytes());
        input.push(transport);
        push_with_length(&mut input, &bytes);
    }
    Some(md5_hex(&input))
}

fn push_with_length(input: &mut Vec<u8>, bytes: &[u8]) {
    // A message is at most 1 MiB, so the length always fits.
    input.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    input.extend_from_slice(bytes);
}

/// The attributes a receiver asked for: `All` or `.*`, an exact name, or `prefix.*`.
pub(crate) fn chosen(attributes: MessageAttributes, wanted: &[String]) -> MessageAttributes {
    let matches = |name: &str| {
        wanted.iter().any(|w| {
            w == "All" || w == ".*" || w == name || w.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
        })
    };
    attributes.into_iter().filter(|(name, _)| matches(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> AttributeValue {
        AttributeValue { data_type: "String".to_owned(), string_value: Some(value.to_owned()), binary_value: None }
    }

    #[test]
    fn the_md5_covers_name_type_transport_and_value() {
        let attributes = MessageAttributes::from([("a".to_owned(), text("b"))]);
        let mut input = vec![0, 0, 0, 1, b'a', 0, 0, 0, 6];
        input.extend_from_slice(b"String");
        input.extend_from_slice(&[1, 0, 0, 0, 1, b'b']);
        assert_eq!(md5(&attributes), Some(md5_hex(&input)));
        assert_eq!(md5(&MessageAttributes::new()), None);
    }

    #[test]
    fn receivers_choose_by_name_by_prefix_or_all() {
        let all = MessageAttributes::from([("trace.id".to_owned(), text("1")), ("lane".to_owned(), text("live"))]);
        let names = |wanted: &[&str]| -> Vec<String> {
            let wanted: Vec<String> = wanted.iter().map(|&w| w.to_owned()).collect();
            chosen(all.clone(), &wanted).into_keys().collect()
        };
        assert_eq!(names(&["trace.*"]), ["trace.id"]);
        assert_eq!(names(&["lane"]), ["lane"]);
        assert_eq!(names(&["All"]), ["lane", "trace.id"]);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn an_attribute_without_a_value_of_its_type_is_refused() {
        let number = AttributeValue { data_type: "Number".to_owned(), ..text("twelve") };
        assert!(validated_size(&MessageAttributes::from([("n".to_owned(), number)])).is_err());
        let binary = AttributeValue { data_type: "Binary".to_owned(), ..text("x") };
        assert!(validated_size(&MessageAttributes::from([("n".to_owned(), binary)])).is_err());
        assert_eq!(validated_size(&MessageAttributes::from([("n".to_owned(), text("xy"))])).unwrap(), 9);
    }
}

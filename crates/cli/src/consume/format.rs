//! How a consumed record is written.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use levada_client::ConsumedRecord;
use serde::{Serialize, Serializer};

use crate::CliError;

/// What is written of each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RecordFormat {
    /// The value and a line end.
    Value,
    /// Key, separator, value and a line end.
    KeyValue,
    /// The value alone, byte for byte.
    Raw,
    /// Everything, as one JSON object a line. Keys and values that are not UTF-8 are `{"base64": …}`.
    Json,
}

/// Writes records in one format.
#[derive(Debug)]
pub(super) struct RecordWriter<'a> {
    format: RecordFormat,
    key_separator: &'a str,
}

/// A record as JSON.
#[derive(Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<JsonBytes<'a>>,
    value: Option<JsonBytes<'a>>,
    headers: Vec<JsonHeader<'a>>,
}

/// A header as JSON: an array of these, since names may repeat.
#[derive(Serialize)]
struct JsonHeader<'a> {
    key: JsonBytes<'a>,
    value: Option<JsonBytes<'a>>,
}

/// Text if it is UTF-8, an object with base64 if it is not.
struct JsonBytes<'a>(&'a [u8]);

impl Serialize for JsonBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_map([("base64", STANDARD.encode(self.0))]),
        }
    }
}

impl<'a> RecordWriter<'a> {
    pub(super) const fn new(format: RecordFormat, key_separator: &'a str) -> Self {
        Self { format, key_separator }
    }

    /// Writes one record. A missing key or value is written as nothing where the format has no word for it.
    pub(super) fn write(&self, record: &ConsumedRecord, output: &mut impl Write) -> Result<(), CliError> {
        let value = record.value.as_deref().unwrap_or_default();
        let written = match self.format {
            RecordFormat::Raw => output.write_all(value),
            RecordFormat::Value => output.write_all(value).and_then(|()| output.write_all(b"\n")),
            RecordFormat::KeyValue => output
                .write_all(record.key.as_deref().unwrap_or_default())
                .and_then(|()| output.write_all(self.key_separator.as_bytes()))
                .and_then(|()| output.write_all(value))
                .and_then(|()| output.write_all(b"\n")),
            RecordFormat::Json => {
                let bytes = |bytes| JsonBytes(bytes);
                let json = JsonRecord {
                    topic: &record.topic,
                    partition: record.partition,
                    offset: record.offset,
                    timestamp_ms: record.timestamp_ms,
                    key: record.key.as_deref().map(bytes),
                    value: record.value.as_deref().map(bytes),
                    headers: record
                        .headers
                        .iter()
                        .map(|header| JsonHeader {
                            key: JsonBytes(&header.key),
                            value: header.value.as_deref().map(bytes),
                        })
                        .collect(),
                };
                serde_json::to_writer(&mut *output, &json).map_err(Into::into).and_then(|()| output.write_all(b"\n"))
            }
        };
        written.map_err(CliError::io("standard output"))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use levada_client::ConsumedHeader;

    use super::*;

    fn written(format: RecordFormat, key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> String {
        let record = ConsumedRecord {
            topic: "t".into(),
            partition: 1,
            offset: 2,
            timestamp_ms: 3,
            key: key.map(Bytes::from_static),
            value: value.map(Bytes::from_static),
            headers: vec![ConsumedHeader { key: Bytes::from_static(b"h"), value: None }],
        };
        let mut output = Vec::new();
        RecordWriter::new(format, ": ").write(&record, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn each_format_writes_what_it_says() {
        assert_eq!(written(RecordFormat::Raw, Some(b"k"), Some(b"v")), "v");
        assert_eq!(written(RecordFormat::Value, Some(b"k"), Some(b"v")), "v\n");
        assert_eq!(written(RecordFormat::KeyValue, Some(b"k"), Some(b"v")), "k: v\n");
        assert_eq!(written(RecordFormat::KeyValue, None, None), ": \n");
    }

    #[test]
    fn json_tells_text_bytes_and_nothing_apart() {
        let expected = concat!(
            r#"{"topic":"t","partition":1,"offset":2,"timestamp_ms":3,"key":{"base64":"/w=="},"value":null,"#,
            r#""headers":[{"key":"h","value":null}]}"#,
            "\n"
        );
        assert_eq!(written(RecordFormat::Json, Some(b"\xff"), None), expected);
        assert!(written(RecordFormat::Json, None, Some(b"a\"b")).contains(r#""value":"a\"b""#));
    }
}

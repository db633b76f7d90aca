//! `partition.metadata`: which topic a log's directory belongs to (KIP-516).

use levada_types::TopicId;

/// Its name.
pub(crate) const PARTITION_METADATA_FILE: &str = "partition.metadata";

/// The file for a topic's id.
pub(crate) fn partition_metadata_text(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}\n")
}

/// The topic's id in the file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_partition_metadata(text: &str) -> Result<TopicId, String> {
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix("version:")).map(str::trim);
    if version != Some("0") {
        return Err("its first line is not 'version: 0'".to_owned());
    }
    let id = lines.next().and_then(|line| line.strip_prefix("topic_id:")).map(str::trim);
    let id = id.and_then(TopicId::parse).ok_or("its second line has no topic id")?;
    if id == TopicId::ZERO { Err("the topic id is zero".to_owned()) } else { Ok(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_kafkas() {
        let text = "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n";
        assert_eq!(partition_metadata_text(parse_partition_metadata(text).unwrap()), text);
        for damaged in ["", "version: 1\ntopic_id: AAECAwQFBgcICQoLDA0ODw", "version: 0", "version: 0\ntopic_id: x"] {
            assert!(parse_partition_metadata(damaged).is_err(), "{damaged:?}");
        }
        assert!(parse_partition_metadata("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA").is_err());
    }
}

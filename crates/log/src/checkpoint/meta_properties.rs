//! `meta.properties`: whose data directory this is (KIP-631, KIP-858).

use levada_types::{BrokerId, ClusterId, DirectoryId};

/// Its name.
pub(crate) const META_PROPERTIES_FILE: &str = "meta.properties";

/// Whose data directory this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetaProperties {
    /// The cluster; `None` before the node has joined one.
    pub(crate) cluster_id: Option<ClusterId>,
    /// The node.
    pub(crate) node_id: Option<BrokerId>,
    /// The directory itself; `None` in a file that Kafka wrote before 3.7.
    pub(crate) directory_id: Option<DirectoryId>,
}

impl MetaProperties {
    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = "#\n".to_owned();
        let cluster = self.cluster_id.map(|id| ("cluster.id", id.to_string()));
        let directory = self.directory_id.map(|id| ("directory.id", id.to_string()));
        let node = self.node_id.map(|id| ("node.id", id.to_string()));
        for (key, value) in [cluster, directory, node].into_iter().flatten() {
            text.push_str(&format!("{key}={value}\n"));
        }
        text + "version=1\n"
    }

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value = |key: &str| {
            text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim())
            })
        };
        match value("version") {
            Some("1") => {}
            version => return Err(format!("its version is '{}', 1 is supported", version.unwrap_or("missing"))),
        }
        let node_id = match value("node.id") {
            Some(id) => Some(BrokerId(id.parse().map_err(|_| format!("node.id={id} is no number"))?)),
            None => None,
        };
        let cluster_id = match value("cluster.id") {
            Some(id) => Some(ClusterId::parse(id).ok_or_else(|| format!("cluster.id={id} is no id"))?),
            None => None,
        };
        let directory_id = match value("directory.id") {
            Some(id) => Some(DirectoryId::parse(id).ok_or_else(|| format!("directory.id={id} is no id"))?),
            None => None,
        };
        Ok(Self { cluster_id, node_id, directory_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kafkas_file_and_its_own() {
        let kafkas = "#\n#Sat Nov 21 22:00:00 UTC 2026\ncluster.id=AAECAwQFBgcICQoLDA0ODw\n\
                      directory.id=BAECAwQFBgcICQoLDA0ODw\nnode.id=3\nversion=1\n";
        let properties = MetaProperties::parse(kafkas).unwrap();
        assert_eq!(properties.node_id, Some(BrokerId(3)));
        assert_eq!(properties.cluster_id, ClusterId::parse("AAECAwQFBgcICQoLDA0ODw"));
        assert_eq!(properties.directory_id, DirectoryId::parse("BAECAwQFBgcICQoLDA0ODw"));
        assert_eq!(MetaProperties::parse(&properties.text()), Ok(properties));

        let young = MetaProperties { cluster_id: None, directory_id: None, ..properties };
        assert_eq!(MetaProperties::parse(&young.text()), Ok(young));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for text in ["", "version=0\nbroker.id=1\n", "version=1\nnode.id=x\n", "version=1\ndirectory.id=x\n"] {
            assert!(MetaProperties::parse(text).is_err(), "{text}");
        }
    }
}

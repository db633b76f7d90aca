//! Precedence, types and unknown names of options.

use levada_service::options::{CommaList, OptionsError, OptionsLoader};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LogOptions {
    #[serde(rename = "log.dirs")]
    dirs: CommaList,
    #[serde(rename = "log.flush.interval.ms")]
    flush_ms: Option<u64>,
    #[serde(rename = "broker.rack")]
    rack: Option<String>,
    #[serde(rename = "num.io.threads")]
    threads: usize,
    #[serde(rename = "auto.create.topics.enable")]
    auto_create: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        let dirs = ["/var/lib/levada"].into_iter().collect();
        Self { dirs, flush_ms: None, rack: None, threads: 2, auto_create: true }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdOptions {
    #[serde(rename = "broker.id")]
    id: u32,
    #[serde(rename = "broker.id.generation.enable")]
    generate: bool,
}

fn variables(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("levada.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

#[test]
fn without_sources_everything_has_its_default() {
    let mut loader = OptionsLoader::new();
    assert_eq!(loader.take::<LogOptions>().unwrap(), LogOptions::default());
    loader.finish().unwrap();
}

#[test]
fn later_sources_win_option_by_option() {
    let (_directory, path) = file("num.io.threads = 3\n[log]\ndirs = [\"/a\", \"/b\"]\nflush.interval.ms = 10\n");
    let mut loader = OptionsLoader::new()
        .presets([("num.io.threads", "1".to_owned()), ("auto.create.topics.enable", "false".to_owned())])
        .file(&path)
        .unwrap()
        .environment(variables(&[
            ("LEVADA_LOG__FLUSH__INTERVAL__MS", "20"),
            ("HOME", "/root"),
            ("LEVADA_BROKER__RACK", "7"),
        ]))
        .set(&["log.dirs = /c,/d".to_owned(), "log.dirs=/e,/f".to_owned()])
        .unwrap();
    let options: LogOptions = loader.take().unwrap();
    loader.finish().unwrap();
    assert_eq!(options.threads, 3, "the file stands above presets");
    assert!(!options.auto_create, "a preset stands above the default");
    assert_eq!(options.flush_ms, Some(20), "the environment stands above the file");
    assert_eq!(options.rack.as_deref(), Some("7"), "a text that looks like a number may be a text");
    assert_eq!(options.dirs.iter().collect::<Vec<_>>(), ["/e", "/f"], "--set stands above all, and the last one wins");
}

#[test]
fn one_name_may_be_the_beginning_of_another() {
    let (_directory, path) = file("\"broker.id\" = 4\n\"broker.id.generation.enable\" = true\n");
    let mut loader = OptionsLoader::new().file(&path).unwrap().set(&["broker.id=5".to_owned()]).unwrap();
    assert_eq!(loader.take::<IdOptions>().unwrap(), IdOptions { id: 5, generate: true });
    loader.finish().unwrap();
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_known_one() {
    let mut loader = OptionsLoader::new().environment(variables(&[("LEVADA_LOG_DIRS", "/data")]));
    loader.take::<LogOptions>().unwrap();
    loader.take::<IdOptions>().unwrap();
    let refused = loader.finish().unwrap_err();
    assert_eq!(refused.to_string(), "unknown option \"log_dirs\" in the environment; did you mean \"log.dirs\"?");

    let mut loader = OptionsLoader::new().set(&["zzz=1".to_owned()]).unwrap();
    loader.take::<LogOptions>().unwrap();
    let refused = loader.finish().unwrap_err();
    assert_eq!(refused.to_string(), "unknown option \"zzz\" in --set");
}

#[test]
fn a_value_of_the_wrong_type_says_which_and_where() {
    let (_directory, path) = file("num.io.threads = \"many\"\n");
    let refused = OptionsLoader::new().file(&path).unwrap().take::<LogOptions>().unwrap_err().to_string();
    assert!(refused.starts_with("option \"num.io.threads\" in the file "), "{refused}");
    let refused =
        OptionsLoader::new().set(&["num.io.threads=-1".to_owned()]).unwrap().take::<LogOptions>().unwrap_err();
    assert!(
        matches!(&refused, OptionsError::Invalid { name, origin, .. } if name == "num.io.threads" && origin == "--set"),
        "{refused}"
    );
}

#[test]
fn settings_come_as_texts_and_only_what_was_given() {
    let (_directory, path) =
        file("log.retention.ms = 1000\nlog.preallocate = true\nlog.cleanup.policy = [\"delete\", \"compact\"]\n");
    let mut loader = OptionsLoader::new().file(&path).unwrap();
    let names = ["log.retention.ms", "log.preallocate", "log.cleanup.policy", "log.segment.bytes"];
    let settings = loader.take_settings(names);
    loader.finish().unwrap();
    let expected =
        [("log.cleanup.policy", "delete,compact"), ("log.preallocate", "true"), ("log.retention.ms", "1000")];
    assert_eq!(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let missing = OptionsLoader::new().file(std::path::Path::new("/nonexistent/levada.toml"));
    assert!(matches!(missing.err(), Some(OptionsError::Unreadable { .. })));
    let (_directory, path) = file("log.dirs = \n");
    assert!(matches!(OptionsLoader::new().file(&path).err(), Some(OptionsError::Malformed { .. })));
    for argument in ["log.dirs", "=x"] {
        let refused = OptionsLoader::new().set(&[argument.to_owned()]).err();
        assert!(matches!(refused, Some(OptionsError::NotAnAssignment { .. })), "{argument}");
    }
}

//! ApiVersions: which APIs this broker has, in which versions, and the levels of the cluster's features.

use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use levada_metadata::{GROUP_FEATURE, GROUP_LEVEL, Image, LevelRange, METADATA_FEATURE, MetadataLevel};
use levada_types::ErrorCode;

use super::{Handlers, code_of};
use crate::wire::api::APIS;
use crate::wire::request::Head;
use crate::wire::text::text;

/// Answers tell features from this version on (KIP-584).
const FEATURES_SINCE: i16 = 3;

/// Tells the version table; with `UnsupportedVersion` too, so that the client can choose a version that exists.
///
/// Beside this platform's own there is `group.version`, by which Kafka's tools see that the consumer group protocol is there.
/// Others of Kafka's that a client looks for (`metadata.version`, `transaction.version`) are not among them, which a client
/// takes for level 0: not there.
pub(super) fn handle(handlers: &Handlers, head: Head, code: ErrorCode) -> ApiVersionsResponse {
    let keys = APIS.iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.advertised_min)
            .with_max_version(api.versions.max)
    });
    let response = ApiVersionsResponse::default().with_error_code(code_of(head, code)).with_api_keys(keys.collect());
    if head.version >= FEATURES_SINCE { with_features(response, &handlers.broker.image()) } else { response }
}

fn with_features(response: ApiVersionsResponse, image: &Image) -> ApiVersionsResponse {
    let LevelRange { min, max } = LevelRange::SUPPORTED;
    // From 1 on, not from 0: a client that asks in version 3 cannot read a least level of 0 (KAFKA-17011).
    let supported =
        [(METADATA_FEATURE, (number(min), number(max))), (GROUP_FEATURE, (level(GROUP_LEVEL), level(GROUP_LEVEL)))];
    let supported = supported.map(|(name, (min, max))| {
        SupportedFeatureKey::default().with_name(text(name)).with_min_version(min).with_max_version(max)
    });
    let group = image.level().and_then(MetadataLevel::group_level).map(level);
    let finalized = [(METADATA_FEATURE, image.level().map(number)), (GROUP_FEATURE, group)];
    let finalized = finalized.into_iter().filter_map(|(name, level)| {
        let key = FinalizedFeatureKey::default().with_name(text(name));
        level.map(|level| key.with_min_version_level(level).with_max_version_level(level))
    });
    response
        .with_supported_features(supported.to_vec())
        .with_finalized_features_epoch(i64::try_from(image.offset().0).unwrap_or(i64::MAX))
        .with_finalized_features(finalized.collect())
}

fn number(metadata: MetadataLevel) -> i16 {
    level(metadata.0)
}

fn level(level: u16) -> i16 {
    i16::try_from(level).unwrap_or(i16::MAX)
}

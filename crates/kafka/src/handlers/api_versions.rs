//! ApiVersions: which APIs this broker has, in which versions, and the levels of the cluster's features.

use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use levada_metadata::{Image, LevelRange, METADATA_FEATURE, MetadataLevel};
use levada_types::ErrorCode;

use super::{Handlers, code_of};
use crate::wire::api::APIS;
use crate::wire::request::Head;
use crate::wire::text::text;

/// Answers tell features from this version on (KIP-584).
const FEATURES_SINCE: i16 = 3;

/// Tells the version table; with `UnsupportedVersion` too, so that the client can choose a version that exists.
///
/// The features are this platform's own. Those of Kafka that a client looks for (`metadata.version`,
/// `transaction.version`, `group.version`) are not among them, which a client takes for level 0: not there.
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
    let supported = SupportedFeatureKey::default()
        .with_name(text(METADATA_FEATURE))
        .with_min_version(number(min))
        .with_max_version(number(max));
    let finalized = image.level().map(|level| {
        FinalizedFeatureKey::default()
            .with_name(text(METADATA_FEATURE))
            .with_min_version_level(number(level))
            .with_max_version_level(number(level))
    });
    response
        .with_supported_features(vec![supported])
        .with_finalized_features_epoch(i64::try_from(image.offset().0).unwrap_or(i64::MAX))
        .with_finalized_features(finalized.into_iter().collect())
}

fn number(level: MetadataLevel) -> i16 {
    i16::try_from(level.0).unwrap_or(i16::MAX)
}

//! ApiVersions: which APIs this broker has, in which versions.

use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use levada_types::ErrorCode;

use super::code_of;
use crate::wire::api::APIS;
use crate::wire::request::Head;

/// Tells the version table; with `UnsupportedVersion` too, so that the client can choose a version that exists.
pub(super) fn handle(head: Head, code: ErrorCode) -> ApiVersionsResponse {
    let keys = APIS.iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.advertised_min)
            .with_max_version(api.versions.max)
    });
    ApiVersionsResponse::default().with_error_code(code_of(head, code)).with_api_keys(keys.collect())
}

//! UpdateFeatures (KIP-584, KIP-778): the cluster's features go to other levels, all of them or none.

use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::update_features_response::UpdatableFeatureResult;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use levada_broker::api::PartitionError;
use levada_metadata::{Command, FeatureChange, FeatureUpdate, Response, UpdatedFeature};
use levada_types::ErrorCode;

use super::{Handlers, millis, told};
use crate::wire::request::Head;
use crate::wire::text::text;

/// Requests say which way a feature may go from this version on; before it, only whether it may go down.
const TYPES_SINCE: i16 = 1;

/// Answers tell of the request as a whole from this version on, no more of each feature.
const WHOLE_SINCE: i16 = 2;

pub(super) async fn handle(handlers: &Handlers, head: Head, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let response = UpdateFeaturesResponse::default().with_error_message(None);
    let updated = match update(handlers, head, request).await {
        Ok(updated) => updated,
        Err(error) => {
            let (code, message) = told(head, Err(error));
            return response.with_error_code(code).with_error_message(message);
        }
    };
    if head.version >= WHOLE_SINCE {
        let (code, message) = told(head, whole(updated));
        return response.with_error_code(code).with_error_message(message);
    }
    let results = updated.into_iter().map(|UpdatedFeature { name, result }| {
        let (code, message) = told(head, result.map_err(|error| PartitionError::new(error.code, error.message)));
        UpdatableFeatureResult::default().with_feature(text(name)).with_error_code(code).with_error_message(message)
    });
    response.with_results(results.collect())
}

async fn update(
    handlers: &Handlers,
    head: Head,
    request: UpdateFeaturesRequest,
) -> Result<Vec<UpdatedFeature>, PartitionError> {
    let updates: Vec<FeatureUpdate> =
        request.feature_updates.iter().map(|key| update_of(head, key)).collect::<Result<_, _>>()?;
    let command = Command::UpdateFeatures { updates, validate_only: request.validate_only };
    match handlers.broker.submit(command, millis(request.timeout_ms)).await? {
        Response::UpdateFeatures(updated) => Ok(updated),
        _ => Err(ErrorCode::UnknownServerError.into()),
    }
}

fn update_of(head: Head, key: &FeatureUpdateKey) -> Result<FeatureUpdate, PartitionError> {
    let change = match (head.version >= TYPES_SINCE, key.upgrade_type) {
        (true, 1) => FeatureChange::Upgrade,
        (true, 2) => FeatureChange::SafeDowngrade,
        (true, 3) => FeatureChange::UnsafeDowngrade,
        (true, other) => {
            let message = format!("{}: there is no upgrade of type {other}", &*key.feature);
            return Err(PartitionError::new(ErrorCode::InvalidRequest, message));
        }
        (false, _) if key.allow_downgrade => FeatureChange::SafeDowngrade,
        (false, _) => FeatureChange::Upgrade,
    };
    Ok(FeatureUpdate { name: key.feature.to_string(), level: key.max_version_level, change })
}

/// What became of the request: the first feature that was refused for a reason of its own tells for all.
fn whole(updated: Vec<UpdatedFeature>) -> Result<(), PartitionError> {
    let refused = updated.into_iter().filter_map(|UpdatedFeature { name, result }| Some((name, result.err()?)));
    match refused.min_by_key(|(_, error)| error.code == ErrorCode::FeatureUpdateFailed) {
        None => Ok(()),
        Some((name, error)) => {
            Err(PartitionError::new(error.code, format!("nothing was changed, for {name:?}: {}", error.message)))
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ApiKey;
    use levada_metadata::ItemError;

    use super::*;
    use crate::wire::api;

    #[test]
    fn the_way_a_feature_may_go_is_told_twofold() {
        let change = |version, upgrade_type, allow_downgrade| {
            let api = api::find(ApiKey::UpdateFeatures as i16).expect("listed");
            let key = FeatureUpdateKey::default().with_upgrade_type(upgrade_type).with_allow_downgrade(allow_downgrade);
            update_of(Head { api, version, correlation_id: 1 }, &key).map(|update| update.change).map_err(|e| e.code)
        };
        assert_eq!(change(0, 1, false), Ok(FeatureChange::Upgrade));
        assert_eq!(change(0, 1, true), Ok(FeatureChange::SafeDowngrade));
        assert_eq!(change(1, 1, false), Ok(FeatureChange::Upgrade));
        assert_eq!(change(1, 2, false), Ok(FeatureChange::SafeDowngrade));
        assert_eq!(change(2, 3, false), Ok(FeatureChange::UnsafeDowngrade));
        assert_eq!(change(2, 0, false), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn the_feature_that_was_refused_tells_for_all() {
        let updated = |name: &str, code| UpdatedFeature { name: name.to_owned(), result: Err(ItemError::of(code)) };
        let done = UpdatedFeature { name: "a".to_owned(), result: Ok(()) };
        assert_eq!(whole(vec![done]), Ok(()));
        let refused = [
            updated("a", ErrorCode::FeatureUpdateFailed),
            updated("b", ErrorCode::InvalidUpdateVersion),
            updated("c", ErrorCode::FeatureUpdateFailed),
        ];
        let error = whole(refused.to_vec()).expect_err("refused");
        assert_eq!(error.code, ErrorCode::InvalidUpdateVersion);
        assert!(error.message.is_some_and(|message| message.contains("\"b\"")));
    }
}

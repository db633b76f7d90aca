//! The cluster's features (KIP-584): the metadata level, and what comes with it.

use levada_broker::api::PartitionError;
use levada_metadata::{
    Command, FeatureChange, FeatureUpdate, GROUP_FEATURE, GROUP_LEVEL, Image, LevelRange, METADATA_FEATURE,
    MetadataLevel, Response,
};
use levada_proto::v1;
use levada_types::ErrorCode;

use super::{AdminService, unexpected};
use crate::refusal::of_item;

pub(super) fn describe(image: &Image) -> v1::DescribeFeaturesResponse {
    let brokers = image.brokers().map(|broker| (format!("broker {}", broker.id), broker.levels));
    let controllers = image.controllers().map(|node| (format!("controller {}", node.id), node.levels));
    let mut common = LevelRange::SUPPORTED;
    let mut limited_by = Vec::new();
    let coordinators =
        image.all_coordinators().map(|node| (format!("{} coordinator {}", node.kind, node.name), node.levels));
    for (node, levels) in brokers.chain(controllers).chain(coordinators) {
        common.min = common.min.max(levels.min);
        common.max = common.max.min(levels.max);
        if levels.min > LevelRange::SUPPORTED.min || levels.max < LevelRange::SUPPORTED.max {
            let (min_level, max_level) = (level(levels.min), level(levels.max));
            limited_by.push(v1::NodeLevels { node, min_level, max_level });
        }
    }
    let metadata = v1::Feature {
        name: METADATA_FEATURE.to_owned(),
        finalized_level: image.level().map(level),
        min_supported_level: level(common.min),
        max_supported_level: level(common.max),
        limited_by,
    };
    let group = v1::Feature {
        name: GROUP_FEATURE.to_owned(),
        finalized_level: image.level().and_then(MetadataLevel::group_level).map(u32::from),
        min_supported_level: GROUP_LEVEL.into(),
        max_supported_level: GROUP_LEVEL.into(),
        limited_by: Vec::new(),
    };
    v1::DescribeFeaturesResponse { features: vec![metadata, group] }
}

fn level(level: MetadataLevel) -> u32 {
    level.0.into()
}

pub(super) async fn update(
    admin: &AdminService,
    request: v1::UpdateFeaturesRequest,
) -> Result<v1::UpdateFeaturesResponse, PartitionError> {
    let updates = request.updates.into_iter().map(update_of).collect::<Result<Vec<_>, _>>()?;
    let command = Command::UpdateFeatures { updates, validate_only: request.validate_only };
    let Response::UpdateFeatures(updated) = admin.decide(command).await? else { return Err(unexpected()) };
    // Of those that were refused the first one's own reason: "another was refused" says nothing.
    let refused = updated.into_iter().filter_map(|feature| feature.result.err());
    let refused = refused.min_by_key(|error| error.code == ErrorCode::FeatureUpdateFailed);
    refused.map_or(Ok(v1::UpdateFeaturesResponse {}), |error| Err(of_item(error)))
}

fn update_of(update: v1::FeatureUpdate) -> Result<FeatureUpdate, PartitionError> {
    let level = i16::try_from(update.level).map_err(|_| {
        let text = format!("{} is no level of {}", update.level, update.name);
        PartitionError::new(ErrorCode::InvalidUpdateVersion, text)
    })?;
    let change = if update.allow_downgrade { FeatureChange::SafeDowngrade } else { FeatureChange::Upgrade };
    Ok(FeatureUpdate { name: update.name, level, change })
}

//! Says which requests are answered, in which versions.

use std::rc::Rc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::{Context, SERVED, text};
use crate::node::Node;

/// Everything that is served.
pub(super) fn api_versions(node: &Rc<Node>, _: &Context, _: ApiVersionsRequest) -> ApiVersionsResponse {
    let keys = SERVED.iter().map(|(api, versions)| {
        let key = ApiVersion::default().with_api_key(*api as i16);
        key.with_min_version(versions.min).with_max_version(versions.max)
    });
    let version = node.config.transaction_version;
    let feature = text("transaction.version");
    let supported = SupportedFeatureKey::default().with_name(feature.clone());
    let finalized = FinalizedFeatureKey::default().with_name(feature);
    ApiVersionsResponse::default()
        .with_api_keys(keys.collect())
        .with_supported_features(vec![supported.with_min_version(1).with_max_version(2)])
        .with_finalized_features_epoch(0)
        .with_finalized_features(vec![
            finalized
                .with_min_version_level(version)
                .with_max_version_level(version),
        ])
}

/// The answer, in version 0, to a version that is not known here.
pub(super) fn unsupported() -> ApiVersionsResponse {
    let (api, versions) = SERVED
        .iter()
        .find(|(api, _)| *api as i16 == 18)
        .expect("ApiVersions is served");
    let key = ApiVersion::default().with_api_key(*api as i16);
    let key = key.with_min_version(versions.min).with_max_version(versions.max);
    let response = ApiVersionsResponse::default().with_api_keys(vec![key]);
    response.with_error_code(ResponseError::UnsupportedVersion.code())
}

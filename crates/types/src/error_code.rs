//! The one error-code table: Kafka's code, its name, whether a client may retry, and the gRPC status.
//!
//! Every face answers from this table, so that an error means the same over the Kafka protocol and over gRPC. The
//! numbers, names and retriability are those of Kafka's own `Errors` table; the texts are ours and say what to do.

use std::fmt;

/// The gRPC status that stands for an error. A copy of the standard list, since floor 0 knows no gRPC library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusCode {
    /// Success.
    Ok,
    /// The request is wrong whatever the state of the server.
    InvalidArgument,
    /// The time limit passed; the outcome is unknown.
    DeadlineExceeded,
    /// The thing named does not exist.
    NotFound,
    /// The thing to be created exists.
    AlreadyExists,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// A quota or a bound is used up.
    ResourceExhausted,
    /// The server is not in a state that allows this.
    FailedPrecondition,
    /// The operation was given up as a whole.
    Aborted,
    /// A position lies outside the valid range.
    OutOfRange,
    /// The server does not have this operation.
    Unimplemented,
    /// A defect in the server.
    Internal,
    /// Not now; try again.
    Unavailable,
    /// The caller is not known.
    Unauthenticated,
}

macro_rules! retriable {
    (retry) => {
        true
    };
    (final) => {
        false
    };
}

macro_rules! error_codes {
    ($($code:literal => $variant:ident, $name:literal, $retry:ident, $status:ident, $message:literal;)+) => {
        /// An error as Kafka's protocol names it. `ErrorCode::None` is success.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = $message] $variant = $code,)+
        }

        impl ErrorCode {
            /// Every code of the table, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code that bears this number, if the table has it.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Kafka's name for it, such as `UNKNOWN_TOPIC_OR_PARTITION`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happened and what to do about it, in one sentence.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }

            /// Whether the same request may succeed when it is sent again (after a refresh of the metadata, if need be).
            #[must_use]
            pub const fn is_retriable(self) -> bool {
                match self { $(Self::$variant => retriable!($retry),)+ }
            }

            /// The gRPC status that stands for it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }
        }
    };
}

error_codes! {
    -1 => UnknownServerError, "UNKNOWN_SERVER_ERROR", final, Internal, "The server met an unexpected condition; see the broker's log.";
    0 => None, "NONE", final, Ok, "No error.";
    1 => OffsetOutOfRange, "OFFSET_OUT_OF_RANGE", final, OutOfRange, "The requested offset is not within the range of offsets that the partition holds.";
    2 => CorruptMessage, "CORRUPT_MESSAGE", retry, InvalidArgument, "The records failed their checksum, exceed the valid size or are otherwise corrupt.";
    3 => UnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION", retry, NotFound, "This server does not host this topic-partition.";
    4 => InvalidFetchSize, "INVALID_FETCH_SIZE", final, InvalidArgument, "The requested fetch size is invalid.";
    5 => LeaderNotAvailable, "LEADER_NOT_AVAILABLE", retry, Unavailable, "There is no leader for this topic-partition right now.";
    6 => NotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER", retry, FailedPrecondition, "This broker is neither the leader nor a replica of the topic-partition; refresh the metadata.";
    7 => RequestTimedOut, "REQUEST_TIMED_OUT", retry, DeadlineExceeded, "The request timed out; whether it took effect is unknown.";
    8 => BrokerNotAvailable, "BROKER_NOT_AVAILABLE", final, Unavailable, "The broker is not available.";
    9 => ReplicaNotAvailable, "REPLICA_NOT_AVAILABLE", retry, Unavailable, "The replica is not available for the requested topic-partition.";
    10 => MessageTooLarge, "MESSAGE_TOO_LARGE", final, InvalidArgument, "The request holds a record batch larger than the topic accepts (max.message.bytes).";
    11 => StaleControllerEpoch, "STALE_CONTROLLER_EPOCH", final, FailedPrecondition, "The controller moved to another node.";
    12 => OffsetMetadataTooLarge, "OFFSET_METADATA_TOO_LARGE", final, InvalidArgument, "The metadata of the offset commit is too large (offset.metadata.max.bytes).";
    13 => NetworkException, "NETWORK_EXCEPTION", retry, Unavailable, "The connection was lost before an answer arrived.";
    14 => CoordinatorLoadInProgress, "COORDINATOR_LOAD_IN_PROGRESS", retry, Unavailable, "The coordinator is loading and cannot answer yet.";
    15 => CoordinatorNotAvailable, "COORDINATOR_NOT_AVAILABLE", retry, Unavailable, "The coordinator is not available.";
    16 => NotCoordinator, "NOT_COORDINATOR", retry, FailedPrecondition, "This is not the right coordinator; look it up again.";
    17 => InvalidTopicException, "INVALID_TOPIC_EXCEPTION", final, InvalidArgument, "The topic name is invalid, or clients may not do this to this topic.";
    18 => RecordListTooLarge, "RECORD_LIST_TOO_LARGE", final, InvalidArgument, "The request holds a record list larger than a segment of the partition.";
    19 => NotEnoughReplicas, "NOT_ENOUGH_REPLICAS", retry, Unavailable, "Fewer replicas are in sync than min.insync.replicas asks for; nothing was appended.";
    20 => NotEnoughReplicasAfterAppend, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retry, Unavailable, "The records were appended, but fewer replicas are in sync than min.insync.replicas asks for.";
    21 => InvalidRequiredAcks, "INVALID_REQUIRED_ACKS", final, InvalidArgument, "acks must be 0, 1 or -1 (all).";
    22 => IllegalGeneration, "ILLEGAL_GENERATION", final, FailedPrecondition, "The group generation is not the current one.";
    23 => InconsistentGroupProtocol, "INCONSISTENT_GROUP_PROTOCOL", final, FailedPrecondition, "The member's protocol type or protocols do not fit those of the group.";
    24 => InvalidGroupId, "INVALID_GROUP_ID", final, InvalidArgument, "The group id is invalid.";
    25 => UnknownMemberId, "UNKNOWN_MEMBER_ID", final, FailedPrecondition, "The coordinator does not know this member.";
    26 => InvalidSessionTimeout, "INVALID_SESSION_TIMEOUT", final, InvalidArgument, "The session timeout is outside the range that the broker allows.";
    27 => RebalanceInProgress, "REBALANCE_IN_PROGRESS", final, FailedPrecondition, "The group is rebalancing; join again.";
    28 => InvalidCommitOffsetSize, "INVALID_COMMIT_OFFSET_SIZE", final, InvalidArgument, "The offset commit is too large.";
    29 => TopicAuthorizationFailed, "TOPIC_AUTHORIZATION_FAILED", final, PermissionDenied, "Not authorized to access this topic.";
    30 => GroupAuthorizationFailed, "GROUP_AUTHORIZATION_FAILED", final, PermissionDenied, "Not authorized to access this group.";
    31 => ClusterAuthorizationFailed, "CLUSTER_AUTHORIZATION_FAILED", final, PermissionDenied, "Not authorized to act on the cluster.";
    32 => InvalidTimestamp, "INVALID_TIMESTAMP", final, InvalidArgument, "A record's timestamp is outside the range that the topic accepts.";
    33 => UnsupportedSaslMechanism, "UNSUPPORTED_SASL_MECHANISM", final, Unauthenticated, "The broker does not offer this SASL mechanism.";
    34 => IllegalSaslState, "ILLEGAL_SASL_STATE", final, Unauthenticated, "The request is not valid in the current SASL state.";
    35 => UnsupportedVersion, "UNSUPPORTED_VERSION", final, Unimplemented, "This version of the API is not supported.";
    36 => TopicAlreadyExists, "TOPIC_ALREADY_EXISTS", final, AlreadyExists, "A topic of this name exists.";
    37 => InvalidPartitions, "INVALID_PARTITIONS", final, InvalidArgument, "The number of partitions is invalid.";
    38 => InvalidReplicationFactor, "INVALID_REPLICATION_FACTOR", final, InvalidArgument, "The replication factor is below 1 or above the number of available brokers.";
    39 => InvalidReplicaAssignment, "INVALID_REPLICA_ASSIGNMENT", final, InvalidArgument, "The replica assignment is invalid.";
    40 => InvalidConfig, "INVALID_CONFIG", final, InvalidArgument, "The configuration is invalid.";
    41 => NotController, "NOT_CONTROLLER", retry, FailedPrecondition, "This is not the active controller.";
    42 => InvalidRequest, "INVALID_REQUEST", final, InvalidArgument, "The request is malformed or contradicts itself.";
    43 => UnsupportedForMessageFormat, "UNSUPPORTED_FOR_MESSAGE_FORMAT", final, InvalidArgument, "Only record batches of format v2 are accepted; message sets v0 and v1 are not.";
    44 => PolicyViolation, "POLICY_VIOLATION", final, FailedPrecondition, "The request violates a policy of the cluster.";
    45 => OutOfOrderSequenceNumber, "OUT_OF_ORDER_SEQUENCE_NUMBER", final, FailedPrecondition, "The sequence number does not follow the last one of this producer.";
    46 => DuplicateSequenceNumber, "DUPLICATE_SEQUENCE_NUMBER", final, AlreadyExists, "This sequence number was appended before.";
    47 => InvalidProducerEpoch, "INVALID_PRODUCER_EPOCH", final, FailedPrecondition, "The producer epoch is older than the newest one of this producer.";
    48 => InvalidTxnState, "INVALID_TXN_STATE", final, FailedPrecondition, "The transaction is not in a state that allows this.";
    49 => InvalidProducerIdMapping, "INVALID_PRODUCER_ID_MAPPING", final, FailedPrecondition, "The producer id does not belong to this transactional id.";
    50 => InvalidTransactionTimeout, "INVALID_TRANSACTION_TIMEOUT", final, InvalidArgument, "The transaction timeout is larger than transaction.max.timeout.ms.";
    51 => ConcurrentTransactions, "CONCURRENT_TRANSACTIONS", retry, Unavailable, "Another transaction of this producer is still being completed.";
    52 => TransactionCoordinatorFenced, "TRANSACTION_COORDINATOR_FENCED", final, FailedPrecondition, "The transaction coordinator that sent this was replaced.";
    53 => TransactionalIdAuthorizationFailed, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", final, PermissionDenied, "Not authorized to use this transactional id.";
    54 => SecurityDisabled, "SECURITY_DISABLED", final, FailedPrecondition, "No authorizer is configured.";
    55 => OperationNotAttempted, "OPERATION_NOT_ATTEMPTED", final, Aborted, "Not attempted, because another part of the request failed.";
    56 => KafkaStorageError, "KAFKA_STORAGE_ERROR", retry, Unavailable, "The data directory of the partition is offline or full.";
    57 => LogDirNotFound, "LOG_DIR_NOT_FOUND", final, NotFound, "The broker has no such data directory.";
    58 => SaslAuthenticationFailed, "SASL_AUTHENTICATION_FAILED", final, Unauthenticated, "The credentials were refused.";
    59 => UnknownProducerId, "UNKNOWN_PRODUCER_ID", final, FailedPrecondition, "The broker has no state of this producer id.";
    60 => ReassignmentInProgress, "REASSIGNMENT_IN_PROGRESS", final, FailedPrecondition, "A reassignment of this partition is in progress.";
    61 => DelegationTokenAuthDisabled, "DELEGATION_TOKEN_AUTH_DISABLED", final, FailedPrecondition, "Delegation tokens are not enabled.";
    62 => DelegationTokenNotFound, "DELEGATION_TOKEN_NOT_FOUND", final, NotFound, "There is no such delegation token.";
    63 => DelegationTokenOwnerMismatch, "DELEGATION_TOKEN_OWNER_MISMATCH", final, PermissionDenied, "The principal does not own this delegation token.";
    64 => DelegationTokenRequestNotAllowed, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", final, PermissionDenied, "Delegation token requests are not allowed on this connection.";
    65 => DelegationTokenAuthorizationFailed, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", final, PermissionDenied, "Not authorized to act on this delegation token.";
    66 => DelegationTokenExpired, "DELEGATION_TOKEN_EXPIRED", final, Unauthenticated, "The delegation token has expired.";
    67 => InvalidPrincipalType, "INVALID_PRINCIPAL_TYPE", final, InvalidArgument, "The principal type is not supported.";
    68 => NonEmptyGroup, "NON_EMPTY_GROUP", final, FailedPrecondition, "The group has members.";
    69 => GroupIdNotFound, "GROUP_ID_NOT_FOUND", final, NotFound, "There is no such group.";
    70 => FetchSessionIdNotFound, "FETCH_SESSION_ID_NOT_FOUND", retry, NotFound, "The broker has no such fetch session.";
    71 => InvalidFetchSessionEpoch, "INVALID_FETCH_SESSION_EPOCH", retry, FailedPrecondition, "The fetch session epoch does not follow the last one.";
    72 => ListenerNotFound, "LISTENER_NOT_FOUND", retry, Unavailable, "The leader has no listener of the name on which the request arrived.";
    73 => TopicDeletionDisabled, "TOPIC_DELETION_DISABLED", final, FailedPrecondition, "Topics may not be deleted (delete.topic.enable).";
    74 => FencedLeaderEpoch, "FENCED_LEADER_EPOCH", retry, FailedPrecondition, "The leader epoch of the request is older than the broker's.";
    75 => UnknownLeaderEpoch, "UNKNOWN_LEADER_EPOCH", retry, Unavailable, "The leader epoch of the request is newer than the broker's.";
    76 => UnsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE", final, InvalidArgument, "The compression type is not supported by this version of the API.";
    77 => StaleBrokerEpoch, "STALE_BROKER_EPOCH", final, FailedPrecondition, "The broker registered again since.";
    78 => OffsetNotAvailable, "OFFSET_NOT_AVAILABLE", retry, Unavailable, "The new leader's high watermark has not reached the start of its epoch yet.";
    79 => MemberIdRequired, "MEMBER_ID_REQUIRED", final, FailedPrecondition, "Join again with the member id of this answer.";
    80 => PreferredLeaderNotAvailable, "PREFERRED_LEADER_NOT_AVAILABLE", retry, Unavailable, "The preferred leader is not available.";
    81 => GroupMaxSizeReached, "GROUP_MAX_SIZE_REACHED", final, ResourceExhausted, "The group is full (group.max.size).";
    82 => FencedInstanceId, "FENCED_INSTANCE_ID", final, FailedPrecondition, "Another member with the same group.instance.id has joined.";
    83 => EligibleLeadersNotAvailable, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retry, Unavailable, "No eligible leader is available.";
    84 => ElectionNotNeeded, "ELECTION_NOT_NEEDED", retry, FailedPrecondition, "The partition has the leader that was asked for.";
    85 => NoReassignmentInProgress, "NO_REASSIGNMENT_IN_PROGRESS", final, NotFound, "No reassignment of this partition is in progress.";
    86 => GroupSubscribedToTopic, "GROUP_SUBSCRIBED_TO_TOPIC", final, FailedPrecondition, "The group is subscribed to the topic whose offsets were to be deleted.";
    87 => InvalidRecord, "INVALID_RECORD", final, InvalidArgument, "A record is invalid for this topic, for instance one without a key on a compacted topic.";
    88 => UnstableOffsetCommit, "UNSTABLE_OFFSET_COMMIT", retry, Unavailable, "A transaction that commits offsets of this partition is open.";
    89 => ThrottlingQuotaExceeded, "THROTTLING_QUOTA_EXCEEDED", retry, ResourceExhausted, "The quota is used up; try again after the throttle time.";
    90 => ProducerFenced, "PRODUCER_FENCED", final, FailedPrecondition, "A newer producer with the same transactional id has taken over.";
    91 => ResourceNotFound, "RESOURCE_NOT_FOUND", final, NotFound, "There is no such resource.";
    92 => DuplicateResource, "DUPLICATE_RESOURCE", final, AlreadyExists, "The resource exists.";
    93 => UnacceptableCredential, "UNACCEPTABLE_CREDENTIAL", final, InvalidArgument, "The credential does not meet the requirements.";
    94 => InconsistentVoterSet, "INCONSISTENT_VOTER_SET", final, FailedPrecondition, "The voter sets contradict each other.";
    95 => InvalidUpdateVersion, "INVALID_UPDATE_VERSION", final, InvalidArgument, "The version of the update is invalid.";
    96 => FeatureUpdateFailed, "FEATURE_UPDATE_FAILED", final, FailedPrecondition, "The features could not be updated.";
    97 => PrincipalDeserializationFailure, "PRINCIPAL_DESERIALIZATION_FAILURE", final, InvalidArgument, "The forwarded principal could not be read.";
    98 => SnapshotNotFound, "SNAPSHOT_NOT_FOUND", final, NotFound, "There is no such snapshot.";
    99 => PositionOutOfRange, "POSITION_OUT_OF_RANGE", final, OutOfRange, "The position is outside the snapshot.";
    100 => UnknownTopicId, "UNKNOWN_TOPIC_ID", retry, NotFound, "This server does not host a topic of this id.";
    101 => DuplicateBrokerRegistration, "DUPLICATE_BROKER_REGISTRATION", final, AlreadyExists, "Another live broker is registered under this id.";
    102 => BrokerIdNotRegistered, "BROKER_ID_NOT_REGISTERED", final, NotFound, "No broker is registered under this id.";
    103 => InconsistentTopicId, "INCONSISTENT_TOPIC_ID", retry, FailedPrecondition, "The topic id of the log is not that of the request.";
    104 => InconsistentClusterId, "INCONSISTENT_CLUSTER_ID", final, FailedPrecondition, "The cluster id of the request is not this cluster's.";
    105 => TransactionalIdNotFound, "TRANSACTIONAL_ID_NOT_FOUND", final, NotFound, "There is no such transactional id.";
    106 => FetchSessionTopicIdError, "FETCH_SESSION_TOPIC_ID_ERROR", retry, FailedPrecondition, "The fetch session mixes topic ids and topic names.";
    107 => IneligibleReplica, "INELIGIBLE_REPLICA", final, FailedPrecondition, "The new ISR holds a replica that may not join it.";
    108 => NewLeaderElected, "NEW_LEADER_ELECTED", final, FailedPrecondition, "The change elected another leader.";
    109 => OffsetMovedToTieredStorage, "OFFSET_MOVED_TO_TIERED_STORAGE", final, OutOfRange, "The offset was moved to tiered storage.";
    110 => FencedMemberEpoch, "FENCED_MEMBER_EPOCH", final, FailedPrecondition, "The member epoch is older than the coordinator's; join again.";
    111 => UnreleasedInstanceId, "UNRELEASED_INSTANCE_ID", final, FailedPrecondition, "The instance id is still used by another member.";
    112 => UnsupportedAssignor, "UNSUPPORTED_ASSIGNOR", final, InvalidArgument, "The assignor is not supported.";
    113 => StaleMemberEpoch, "STALE_MEMBER_EPOCH", final, FailedPrecondition, "The member epoch is stale; retry with the newest one.";
    114 => MismatchedEndpointType, "MISMATCHED_ENDPOINT_TYPE", final, InvalidArgument, "The request went to an endpoint of the wrong type.";
    115 => UnsupportedEndpointType, "UNSUPPORTED_ENDPOINT_TYPE", final, InvalidArgument, "This endpoint type is not supported.";
    116 => UnknownControllerId, "UNKNOWN_CONTROLLER_ID", final, NotFound, "There is no controller of this id.";
    117 => UnknownSubscriptionId, "UNKNOWN_SUBSCRIPTION_ID", final, NotFound, "The telemetry subscription is unknown or outdated.";
    118 => TelemetryTooLarge, "TELEMETRY_TOO_LARGE", final, InvalidArgument, "The telemetry is larger than the broker accepts.";
    119 => InvalidRegistration, "INVALID_REGISTRATION", final, InvalidArgument, "The controller does not accept this registration.";
    120 => TransactionAbortable, "TRANSACTION_ABORTABLE", final, Aborted, "The transaction failed and must be aborted.";
    121 => InvalidRecordState, "INVALID_RECORD_STATE", final, FailedPrecondition, "The record is not in a state that allows this.";
    122 => ShareSessionNotFound, "SHARE_SESSION_NOT_FOUND", retry, NotFound, "The broker has no such share session.";
    123 => InvalidShareSessionEpoch, "INVALID_SHARE_SESSION_EPOCH", retry, FailedPrecondition, "The share session epoch does not follow the last one.";
    124 => FencedStateEpoch, "FENCED_STATE_EPOCH", final, FailedPrecondition, "The share state epoch is older than the coordinator's.";
    125 => InvalidVoterKey, "INVALID_VOTER_KEY", final, InvalidArgument, "The voter key is not this node's.";
    126 => DuplicateVoter, "DUPLICATE_VOTER", final, AlreadyExists, "The node is a voter already.";
    127 => VoterNotFound, "VOTER_NOT_FOUND", final, NotFound, "The node is not a voter.";
    128 => InvalidRegularExpression, "INVALID_REGULAR_EXPRESSION", final, InvalidArgument, "The regular expression does not compile.";
    129 => RebootstrapRequired, "REBOOTSTRAP_REQUIRED", final, FailedPrecondition, "The client's metadata is stale; bootstrap again.";
    130 => StreamsInvalidTopology, "STREAMS_INVALID_TOPOLOGY", final, InvalidArgument, "The topology is invalid.";
    131 => StreamsInvalidTopologyEpoch, "STREAMS_INVALID_TOPOLOGY_EPOCH", final, FailedPrecondition, "The topology epoch is invalid.";
    132 => StreamsTopologyFenced, "STREAMS_TOPOLOGY_FENCED", final, FailedPrecondition, "The topology epoch is outdated.";
    133 => ShareSessionLimitReached, "SHARE_SESSION_LIMIT_REACHED", retry, ResourceExhausted, "The limit of share sessions is reached.";
}

impl ErrorCode {
    /// Kafka's number for it.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether this is success.
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// The code with Kafka's name `name`, if the table has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_number_and_by_name() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(code));
            assert_eq!(ErrorCode::from_name(code.name()), Some(code));
        }
        assert_eq!(ErrorCode::from_code(-2), None);
        assert_eq!(ErrorCode::from_name("NO_SUCH_ERROR"), None);
    }

    #[test]
    fn the_table_ascends_without_a_gap() {
        let codes: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        let expected: Vec<i16> = (-1..codes.len() as i16 - 1).collect();
        assert_eq!(codes, expected);
    }

    #[test]
    fn only_success_maps_to_ok() {
        for &code in ErrorCode::ALL {
            assert_eq!(code.status() == StatusCode::Ok, code.is_none(), "{code}");
        }
    }
}

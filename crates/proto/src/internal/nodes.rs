//! Conversions of nodes: brokers and controllers.

use levada_metadata::{
    BrokerRegistration, ControllerId, ControllerRegistration, Endpoint, EndpointProtocol, LevelRange, MetadataLevel,
    NewBroker, Voter,
};
use levada_types::{BrokerEpoch, ClusterId, DirectoryId};

use super as pb;
use super::ConversionError;
use super::field::{broker_id, directory_id, directory_ids, id_bytes, narrow, required, uuid};

impl From<LevelRange> for pb::LevelRange {
    fn from(range: LevelRange) -> Self {
        Self { min: range.min.0.into(), max: range.max.0.into() }
    }
}

impl TryFrom<pb::LevelRange> for LevelRange {
    type Error = ConversionError;

    fn try_from(range: pb::LevelRange) -> Result<Self, ConversionError> {
        Ok(Self {
            min: MetadataLevel(narrow(range.min, "a metadata level")?),
            max: MetadataLevel(narrow(range.max, "a metadata level")?),
        })
    }
}

impl From<EndpointProtocol> for pb::EndpointProtocol {
    fn from(protocol: EndpointProtocol) -> Self {
        match protocol {
            EndpointProtocol::Plaintext => Self::Plaintext,
            EndpointProtocol::Ssl => Self::Ssl,
            EndpointProtocol::SaslPlaintext => Self::SaslPlaintext,
            EndpointProtocol::SaslSsl => Self::SaslSsl,
            EndpointProtocol::Grpc => Self::Grpc,
            EndpointProtocol::GrpcTls => Self::GrpcTls,
        }
    }
}

impl From<&Endpoint> for pb::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            listener: endpoint.listener.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port.into(),
            protocol: pb::EndpointProtocol::from(endpoint.protocol).into(),
        }
    }
}

impl TryFrom<pb::Endpoint> for Endpoint {
    type Error = ConversionError;

    fn try_from(endpoint: pb::Endpoint) -> Result<Self, ConversionError> {
        let protocol = match endpoint.protocol() {
            pb::EndpointProtocol::Unspecified => return Err(ConversionError::UnknownKind("an endpoint's protocol")),
            pb::EndpointProtocol::Plaintext => EndpointProtocol::Plaintext,
            pb::EndpointProtocol::Ssl => EndpointProtocol::Ssl,
            pb::EndpointProtocol::SaslPlaintext => EndpointProtocol::SaslPlaintext,
            pb::EndpointProtocol::SaslSsl => EndpointProtocol::SaslSsl,
            pb::EndpointProtocol::Grpc => EndpointProtocol::Grpc,
            pb::EndpointProtocol::GrpcTls => EndpointProtocol::GrpcTls,
        };
        let port = narrow(endpoint.port, "a port")?;
        Ok(Self { listener: endpoint.listener, host: endpoint.host, port, protocol })
    }
}

fn endpoints(endpoints: Vec<pb::Endpoint>) -> Result<Vec<Endpoint>, ConversionError> {
    endpoints.into_iter().map(Endpoint::try_from).collect()
}

impl From<&BrokerRegistration> for pb::BrokerRegistration {
    fn from(broker: &BrokerRegistration) -> Self {
        Self {
            id: broker.id.0,
            epoch: broker.epoch.0,
            incarnation: id_bytes(broker.incarnation),
            boot_id: broker.boot_id.clone(),
            directories: broker.directories.iter().map(|d| id_bytes(d.0)).collect(),
            endpoints: broker.endpoints.iter().map(Into::into).collect(),
            internal_address: broker.internal_address.clone(),
            rack: broker.rack.clone(),
            levels: Some(broker.levels.into()),
            fenced: broker.fenced,
            stopping: broker.stopping,
            draining: broker.draining,
        }
    }
}

impl TryFrom<pb::BrokerRegistration> for BrokerRegistration {
    type Error = ConversionError;

    fn try_from(broker: pb::BrokerRegistration) -> Result<Self, ConversionError> {
        Ok(Self {
            id: broker_id(broker.id)?,
            epoch: BrokerEpoch(broker.epoch),
            incarnation: uuid(&broker.incarnation, "a broker's incarnation")?,
            boot_id: broker.boot_id,
            directories: directory_ids(&broker.directories)?,
            endpoints: endpoints(broker.endpoints)?,
            internal_address: broker.internal_address,
            rack: broker.rack,
            levels: required(broker.levels, "a broker's levels")?.try_into()?,
            fenced: broker.fenced,
            stopping: broker.stopping,
            draining: broker.draining,
        })
    }
}

impl From<&NewBroker> for pb::RegisterBroker {
    fn from(broker: &NewBroker) -> Self {
        Self {
            id: broker.id.0,
            incarnation: id_bytes(broker.incarnation),
            boot_id: broker.boot_id.clone(),
            clean_shutdown_epoch: broker.clean_shutdown_epoch.map(|e| e.0),
            closed_directories: broker.closed_directories.iter().map(|closed| closed_directory(*closed)).collect(),
            directories: broker.directories.iter().map(|d| id_bytes(d.0)).collect(),
            has_offline_directory: broker.has_offline_directory,
            has_lost_bytes: broker.has_lost_bytes,
            cluster_id: broker.cluster_id.map(|id| id_bytes(id.0)),
            endpoints: broker.endpoints.iter().map(Into::into).collect(),
            internal_address: broker.internal_address.clone(),
            rack: broker.rack.clone(),
            levels: Some(broker.levels.into()),
            replaces: broker.replaces.map(|epoch| epoch.0),
        }
    }
}

impl TryFrom<pb::RegisterBroker> for NewBroker {
    type Error = ConversionError;

    fn try_from(broker: pb::RegisterBroker) -> Result<Self, ConversionError> {
        Ok(Self {
            id: broker_id(broker.id)?,
            incarnation: uuid(&broker.incarnation, "a broker's incarnation")?,
            boot_id: broker.boot_id,
            clean_shutdown_epoch: broker.clean_shutdown_epoch.map(BrokerEpoch),
            closed_directories: broker
                .closed_directories
                .iter()
                .map(read_closed_directory)
                .collect::<Result<_, _>>()?,
            directories: directory_ids(&broker.directories)?,
            has_offline_directory: broker.has_offline_directory,
            has_lost_bytes: broker.has_lost_bytes,
            replaces: broker.replaces.map(BrokerEpoch),
            cluster_id: broker.cluster_id.map(|id| uuid(&id, "a cluster id").map(ClusterId)).transpose()?,
            endpoints: endpoints(broker.endpoints)?,
            internal_address: broker.internal_address,
            rack: broker.rack,
            levels: required(broker.levels, "a broker's levels")?.try_into()?,
        })
    }
}

fn closed_directory((directory, epoch): (DirectoryId, BrokerEpoch)) -> pb::ClosedDirectory {
    pb::ClosedDirectory { directory: id_bytes(directory.0), broker_epoch: epoch.0 }
}

fn read_closed_directory(closed: &pb::ClosedDirectory) -> Result<(DirectoryId, BrokerEpoch), ConversionError> {
    Ok((directory_id(&closed.directory)?, BrokerEpoch(closed.broker_epoch)))
}

impl From<Voter> for pb::Voter {
    fn from(voter: Voter) -> Self {
        Self { id: voter.id.0, directory: id_bytes(voter.directory.0) }
    }
}

impl TryFrom<pb::Voter> for Voter {
    type Error = ConversionError;

    fn try_from(voter: pb::Voter) -> Result<Self, ConversionError> {
        Ok(Self { id: ControllerId(voter.id), directory: directory_id(&voter.directory)? })
    }
}

impl From<&ControllerRegistration> for pb::ControllerRegistration {
    fn from(controller: &ControllerRegistration) -> Self {
        Self {
            id: controller.id.0,
            directory: id_bytes(controller.directory.0),
            internal_address: controller.internal_address.clone(),
            levels: Some(controller.levels.into()),
        }
    }
}

impl TryFrom<pb::ControllerRegistration> for ControllerRegistration {
    type Error = ConversionError;

    fn try_from(controller: pb::ControllerRegistration) -> Result<Self, ConversionError> {
        Ok(Self {
            id: ControllerId(controller.id),
            directory: directory_id(&controller.directory)?,
            internal_address: controller.internal_address,
            levels: required(controller.levels, "a controller's levels")?.try_into()?,
        })
    }
}

//! How a sandbox is to be started.

/// How a sandbox is to be started.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// How many controllers.
    pub controllers: u32,
    /// How many brokers.
    pub brokers: u32,
    /// How many group coordinators.
    pub group_coordinators: u32,
    /// Options of every controller, as `--controller-set KEY=VALUE` takes them.
    pub controller_settings: Vec<(String, String)>,
    /// Options of every broker, as `--broker-set KEY=VALUE` takes them.
    pub broker_settings: Vec<(String, String)>,
    /// Options of every group coordinator, as `--group-coordinator-set KEY=VALUE` takes them.
    pub group_coordinator_settings: Vec<(String, String)>,
}

impl SandboxOptions {
    /// So many controllers and brokers, two group coordinators, and nothing set.
    pub fn new(controllers: u32, brokers: u32) -> Self {
        Self {
            controllers,
            brokers,
            group_coordinators: 2,
            controller_settings: Vec::new(),
            broker_settings: Vec::new(),
            group_coordinator_settings: Vec::new(),
        }
    }

    /// So many group coordinators.
    #[must_use]
    pub fn group_coordinators(mut self, count: u32) -> Self {
        self.group_coordinators = count;
        self
    }

    /// Sets an option of every controller.
    #[must_use]
    pub fn set_controllers(mut self, key: &str, value: &str) -> Self {
        self.controller_settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets an option of every broker.
    #[must_use]
    pub fn set_brokers(mut self, key: &str, value: &str) -> Self {
        self.broker_settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets an option of every group coordinator.
    #[must_use]
    pub fn set_group_coordinators(mut self, key: &str, value: &str) -> Self {
        self.group_coordinator_settings.push((key.to_owned(), value.to_owned()));
        self
    }
}

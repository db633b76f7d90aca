//! How a sandbox is to be started.

/// How a sandbox is to be started.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// How many controllers.
    pub controllers: u32,
    /// How many brokers.
    pub brokers: u32,
    /// Options of every controller, as `--controller-set KEY=VALUE` takes them.
    pub controller_settings: Vec<(String, String)>,
    /// Options of every broker, as `--broker-set KEY=VALUE` takes them.
    pub broker_settings: Vec<(String, String)>,
}

impl SandboxOptions {
    /// So many processes, and nothing set.
    pub fn new(controllers: u32, brokers: u32) -> Self {
        Self { controllers, brokers, controller_settings: Vec::new(), broker_settings: Vec::new() }
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
}

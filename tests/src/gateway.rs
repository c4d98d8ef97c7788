//! The real gateway, built up by a test, started, looked at over HTTP.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::guests;
use crate::http::{Client, Response, Stream, post_json, request, request_to};
use crate::process::command;
pub use crate::process::{Exit, Process, binary, policies, run};
use crate::scrape::Metrics;
use crate::wait::until;
use crate::wire::Dialect;

/// Three simulated models that answer at once: `tinyllama` and `phi2` local, `claude-sonnet` cloud with its price.
const DEMO: &str = r#"
[backends.local-sim]
kind = "sim"
[backends.local-sim.sim]
latency_ms = 0
tokens_per_second = inf
output_tokens = 24
[backends.cloud-sim]
kind = "sim"
location = "cloud"
[backends.cloud-sim.sim]
latency_ms = 0
tokens_per_second = inf
output_tokens = 48
[models.tinyllama]
backend = "local-sim"
[models.phi2]
backend = "local-sim"
[models.claude-sonnet]
backend = "cloud-sim"
capabilities = ["tools", "images", "structured-output"]
[models.claude-sonnet.price]
input_usd_per_million_tokens = 3.0
output_usd_per_million_tokens = 15.0
"#;

/// Serves without a configuration file.
#[must_use]
pub fn serve_without_file() -> Gateway {
    Gateway::setup().without_file().start()
}

/// A gateway to be started. Where nothing is said of models, it has the three simulated ones.
#[derive(Debug)]
pub struct Setup {
    folder: TempDir,
    top: String,
    server: String,
    models: String,
    routing: String,
    routing_limits: String,
    routing_settings: String,
    cost: String,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    program: Option<(String, Vec<String>)>,
    whole: Option<String>,
    any_port: bool,
    any_admin_port: bool,
    by_environment: bool,
    without_file: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
            top: String::new(),
            server: String::new(),
            models: String::new(),
            routing: String::new(),
            // A loaded machine must not make a policy fail where no test asks for it.
            routing_limits: "call_time_ms = 5000\n".to_owned(),
            routing_settings: String::new(),
            cost: String::new(),
            environment: Vec::new(),
            arguments: Vec::new(),
            program: None,
            whole: None,
            any_port: true,
            any_admin_port: true,
            by_environment: false,
            without_file: false,
        }
    }
}

impl Setup {
    /// Lines at the top of the file.
    #[must_use]
    pub fn top(mut self, lines: &str) -> Self {
        self.top += &format!("{lines}\n");
        self
    }

    /// Takes changes in as fast as it can.
    #[must_use]
    pub fn reloading(self) -> Self {
        self.top("[reload]\nsettle_ms = 10\nrescan_seconds = 0.05")
    }

    /// Lines of `[server]`.
    #[must_use]
    pub fn server(mut self, lines: &str) -> Self {
        self.server += &format!("{lines}\n");
        self
    }

    /// Backends and models, as the file has them.
    #[must_use]
    pub fn models(mut self, text: &str) -> Self {
        self.models += text;
        self
    }

    /// A backend of that dialect at `url`, never probed nor asked again after a failure, and a model that it serves; both
    /// called `name`. The model can do everything and costs a dollar a million input tokens and two a million output tokens.
    #[must_use]
    pub fn model_at(mut self, name: &str, dialect: Dialect, url: &str) -> Self {
        let kind = dialect.kind();
        let _ = write!(
            self.models,
            r#"
            [backends.{name}]
            kind = "{kind}"
            url = "{url}"
            probe_interval_seconds = 0
            retries = {{ attempts = 1 }}
            [models.{name}]
            backend = "{name}"
            name = "backend-model"
            capabilities = ["tools", "images", "structured-output"]
            [models.{name}.price]
            input_usd_per_million_tokens = 1.0
            output_usd_per_million_tokens = 2.0
            "#
        );
        self
    }

    /// As `model_at`, served by a scripted backend.
    #[must_use]
    pub fn model(self, name: &str, dialect: Dialect, backend: &Backend) -> Self {
        self.model_at(name, dialect, &backend.url())
    }

    /// Lines of `[policies.routing]`.
    #[must_use]
    pub fn routing(mut self, lines: &str) -> Self {
        self.routing += &format!("{lines}\n");
        self
    }

    /// Lines of `[policies.routing.limits]`, beside a `call_time_ms` that no machine is too slow for.
    #[must_use]
    pub fn limits(mut self, lines: &str) -> Self {
        if lines.contains("call_time_ms") {
            self.routing_limits.clear();
        }
        self.routing_limits += &format!("{lines}\n");
        self
    }

    /// Lines of `[policies.routing.settings]`.
    #[must_use]
    pub fn settings(mut self, lines: &str) -> Self {
        self.routing_settings += &format!("{lines}\n");
        self
    }

    /// Lines of `[policies.cost]`.
    #[must_use]
    pub fn cost(mut self, lines: &str) -> Self {
        self.cost += &format!("{lines}\n");
        self
    }

    /// Lets a guest route.
    #[must_use]
    pub fn guest(self, name: &str) -> Self {
        let component = guests::build(name);
        self.component(name, &component)
    }

    /// Lets a guest route that is built against a version of the contract.
    #[must_use]
    pub fn guest_at(self, name: &str, version: guests::Version) -> Self {
        let component = guests::build_at(name, version);
        self.component(name, &component)
    }

    /// Lets a component route.
    #[must_use]
    pub fn component(self, name: &str, component: &[u8]) -> Self {
        self.file(&format!("{name}.wasm"), component).routing(&format!("file = \"{name}.wasm\""))
    }

    /// Lets a guest say what requests cost.
    #[must_use]
    pub fn cost_guest(self, name: &str) -> Self {
        let component = guests::build(name);
        self.file(&format!("{name}.wasm"), &component).cost(&format!("file = \"{name}.wasm\""))
    }

    /// Lets a guest say what requests cost that is built against a version of the contract.
    #[must_use]
    pub fn cost_guest_at(self, name: &str, version: guests::Version) -> Self {
        let component = guests::build_at(name, version);
        self.file(&format!("{name}.wasm"), &component).cost(&format!("file = \"{name}.wasm\""))
    }

    /// A file beside the configuration.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn file(self, name: &str, content: &[u8]) -> Self {
        std::fs::write(self.folder.path().join(name), content).expect("a file in a temporary folder");
        self
    }

    /// A file beside the configuration that only its owner may read.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn secret_file(self, name: &str, content: &str) -> Self {
        let setup = self.file(name, content.as_bytes());
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(setup.folder.path().join(name), owner_only).expect("a file of our own");
        setup
    }

    /// The whole configuration file, in place of what the others build.
    #[must_use]
    pub fn whole(mut self, text: &str) -> Self {
        self.whole = Some(text.to_owned());
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// An argument of `serve`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Leaves where it listens to the file and the environment, rather than asking for any free port.
    #[must_use]
    pub fn without_listen(mut self) -> Self {
        self.any_port = false;
        self
    }

    /// Leaves where it listens for operators to the file and the environment, rather than asking for any free port.
    #[must_use]
    pub fn without_admin_listen(mut self) -> Self {
        self.any_admin_port = false;
        self
    }

    /// Names the file in the environment rather than by a flag.
    #[must_use]
    pub fn by_environment(mut self) -> Self {
        self.by_environment = true;
        self
    }

    /// Starts it without a configuration file: the demo. Its folder is `state/wasmgate/demo` in the test's folder.
    #[must_use]
    pub fn without_file(mut self) -> Self {
        self.without_file = true;
        self
    }

    /// Runs it through a shell that does this first.
    #[must_use]
    pub fn after(mut self, shell: &str) -> Self {
        let script = format!("{shell}; exec \"$0\" \"$@\"");
        self.program = Some(("sh".into(), vec!["-c".into(), script]));
        self
    }

    fn text(&self) -> String {
        let Self { top, server, routing, routing_limits, routing_settings, cost, .. } = self;
        let models = if self.models.is_empty() { DEMO } else { &self.models };
        // A file that sets the limits of the cost policy does it in `cost`.
        let cost_limits = if cost.contains("limits") { "" } else { "[policies.cost.limits]\ncall_time_ms = 5000\n" };
        format!(
            "{top}\n[server]\n{server}\n{models}\n[policies.routing]\n{routing}\n[policies.routing.limits]\n\
             {routing_limits}\n[policies.routing.settings]\n{routing_settings}\n[policies.cost]\n{cost}\n{cost_limits}"
        )
    }

    /// Writes the configuration, but for one that a gateway was already started with; its path.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn written(&self) -> PathBuf {
        let path = self.folder.path().join("wasmgate.toml");
        if path.exists() {
            return path;
        }
        std::fs::write(&path, self.whole.clone().unwrap_or_else(|| self.text())).expect("a file in a temporary folder");
        path
    }

    /// Starts the process, whatever becomes of it.
    #[must_use]
    pub fn spawn(&self) -> Process {
        let mut command = self.command();
        command.arg("serve");
        match self.by_environment {
            _ if self.without_file => &mut command,
            true => command.env("WASMGATE_CONFIG", self.written()),
            false => command.arg("--config").arg(self.written()),
        };
        if self.any_port && !self.arguments.iter().any(|argument| argument == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if self.any_admin_port && !self.arguments.iter().any(|argument| argument == "--admin-listen") {
            command.args(["--admin-listen", "127.0.0.1:0"]);
        }
        command.args(&self.arguments);
        command.env("XDG_STATE_HOME", self.folder.path().join("state"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::start(&mut command)
    }

    fn command(&self) -> Command {
        let binary = binary();
        match &self.program {
            None => command(&binary),
            Some((program, arguments)) => {
                let mut command = command(Path::new(program));
                command.args(arguments).arg(&binary);
                command
            }
        }
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// Where it does not.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Gateway {
        let process = self.spawn();
        let (address, admin) = process.wait_addresses();
        Gateway { process, address, admin, setup: Some(self) }
    }

    /// Starts it where it must refuse to serve, and waits until it has.
    #[must_use]
    pub fn refused(self) -> Exit {
        self.spawn().wait_exit()
    }

    /// What `wasmgate check` says of the configuration.
    #[must_use]
    pub fn check(self) -> Exit {
        let mut command = self.command();
        command.arg("check").arg("--config").arg(self.written());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::start(&mut command).wait_exit()
    }
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens for operators; port 0 where it does not.
    pub admin: SocketAddr,
    setup: Option<Setup>,
}

impl Gateway {
    /// A gateway to be.
    #[must_use]
    pub fn setup() -> Setup {
        Setup::default()
    }

    /// A connection.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// The answer to these bytes.
    #[must_use]
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Response {
        self.connect().send(bytes).response()
    }

    /// The answer to a GET.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.send(request("GET", path, &[], b""))
    }

    /// The answer to a POST of JSON.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send(post_json(path, body))
    }

    /// The answer to a prompt in the native dialect, `model` left to the policy.
    #[must_use]
    pub fn chat(&self, prompt: &str) -> Response {
        self.post("/api/v1/chat", &json!({"prompt": prompt}))
    }

    /// A stream, its head read.
    #[must_use]
    pub fn stream(&self, path: &str, body: &Value) -> Stream {
        Stream::open(self.address, &post_json(path, body))
    }

    /// The answer of the admin listener to a GET.
    #[must_use]
    pub fn admin_get(&self, path: &str) -> Response {
        self.admin_send("GET", path, &[], b"")
    }

    /// The answer of the admin listener, asked by its address.
    #[must_use]
    pub fn admin_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let request = request_to(&self.admin.to_string(), method, path, headers, body);
        Client::connect(self.admin).send(request).response()
    }

    /// Runs `wasmgate policies` with these arguments against its admin listener.
    #[must_use]
    pub fn policies(&self, arguments: &[&str]) -> Exit {
        policies(&format!("http://{}", self.admin), arguments, &[])
    }

    /// The metrics now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        // With keys, they are for operators.
        let page = Some(self.get("/metrics")).filter(|page| page.status() == 200);
        Metrics::parse(&page.unwrap_or_else(|| self.admin_get("/metrics")).expect(200).text())
    }

    /// Waits until a metric has a value: a record is closed when its answer's last byte was handed over, which may be
    /// a moment after the client has read it.
    pub fn wait_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        until(&format!("{name} {labels:?} = {value}"), || {
            (self.metrics().find(name, labels) == Some(value)).then_some(())
        });
    }

    /// The log so far, the lines of JSON among it.
    #[must_use]
    pub fn log(&self) -> Vec<Value> {
        self.process.json_lines()
    }

    /// Stops it, and gives all lines of its log: what is not among them it did not log.
    #[must_use]
    pub fn log_to_its_end(mut self) -> Vec<String> {
        self.sigterm();
        let _ = self.wait_exit();
        self.process.lines()
    }

    /// Waits for a line of the log.
    ///
    /// # Panics
    /// Where it does not come.
    pub fn wait_for_log(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        let found = self.process.wait_json_line(&mut is_it);
        found.unwrap_or_else(|| panic!("no line of the log is {what}"))
    }

    /// Waits for the line of a request that ended in this way.
    pub fn wait_for_ending(&self, ending: &str) -> Value {
        self.wait_for_log(ending, |line| line["message"] == "request" && line["ending"] == ending)
    }

    /// A file beside its configuration.
    ///
    /// # Panics
    /// Where it has none.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.setup.as_ref().expect("a gateway with a folder").folder.path().join(name)
    }

    /// Puts a file in place at once, as deploy tools do: written aside and moved over.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn put(&self, name: &str, content: &[u8]) {
        let aside = self.path(&format!(".{}.new", name.replace('/', "-")));
        std::fs::write(&aside, content).expect("a file in a temporary folder");
        std::fs::rename(aside, self.path(name)).expect("a file in a temporary folder");
    }

    /// Puts another configuration in place, whose models are these and whose policies are the built-in ones.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn put_config(&self, models: &str) {
        let text = Setup::default().reloading().models(models).text();
        self.put("wasmgate.toml", text.as_bytes());
    }

    /// Changes the text of its configuration.
    ///
    /// # Panics
    /// Where the text does not have what is to be changed.
    pub fn edit_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("wasmgate.toml")).expect("a configuration");
        assert!(text.contains(from), "{from:?} is not in {text}");
        self.put("wasmgate.toml", text.replace(from, to).as_bytes());
    }

    /// Starts a second process with the same configuration and the same folders; this one goes on.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    #[track_caller]
    pub fn beside(&self) -> Self {
        let process = self.setup.as_ref().expect("a gateway with a folder").spawn();
        let (address, admin) = process.wait_addresses();
        Self { process, address, admin, setup: None }
    }

    /// Ends it as `signal` does, and starts it again over the same folder.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    #[track_caller]
    pub fn restart(mut self, signal: &str) -> Self {
        self.process.signal(signal);
        let _ = self.process.wait_exit();
        self.start_again();
        self
    }

    /// Starts it again over the same folder where it has ended.
    ///
    /// # Panics
    /// Where it does not start.
    #[track_caller]
    pub fn start_again(&mut self) {
        *self = self.setup.take().expect("a gateway with a folder").start();
    }

    /// How a place for a policy stands, by the admin API.
    #[must_use]
    pub fn place(&self, slot: &str) -> Value {
        self.admin_get(&format!("/policies/{slot}")).expect(200).json()
    }

    /// Waits until a place stands so.
    pub fn wait_place(&self, slot: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{slot}: {what}"), || Some(self.place(slot)).filter(|place| is_it(place)))
    }

    /// Waits until this version decides.
    pub fn wait_policy(&self, label: &str) {
        until(&format!("{label} decides"), || (self.chat("hello").header("x-wasmgate-policy") == label).then_some(()));
    }

    /// Asks it to stop.
    pub fn sigterm(&self) {
        self.process.signal("TERM");
    }

    /// Waits until it has ended.
    pub fn wait_exit(&mut self) -> Exit {
        self.process.wait_exit()
    }
}

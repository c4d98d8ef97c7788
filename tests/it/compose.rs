//! `monitoring/docker-compose.yml` as it is shipped: docker-compose reads it, each container is confined, and what the
//! files, the documents and the services say of each other is true. No container is started here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::monitoring::{repository, shipped::Shipped};

/// Each needs a reason to be asked for; all others start by themselves.
const PROFILES: [&str; 3] = ["n8n", "promtail", "redis"];

/// What services read at their start, below `monitoring/`.
const CONFIGURATIONS: [(&str, &str); 9] = [
    ("alertmanager", "alertmanager/config.yml"),
    ("alloy", "alloy/config.alloy"),
    ("api-gateway", "gateway/wasmgate.toml"),
    ("blackbox", "blackbox/blackbox.yml"),
    ("grafana", "grafana/provisioning/dashboards/dashboards.yml"),
    ("grafana", "grafana/provisioning/datasources/datasources.yml"),
    ("loki", "loki/config.yml"),
    ("prometheus", "prometheus/prometheus.yml"),
    ("promtail", "promtail/config.yml"),
];

/// The file as docker-compose understands it: defaults filled in, anchors and variables resolved.
static STACK: LazyLock<Value> = LazyLock::new(|| {
    let folder = monitoring();
    // Nothing of who runs the tests: no variables, no `.env` of theirs.
    let nothing = tempfile::NamedTempFile::new().unwrap();
    let mut compose = Command::new("docker-compose");
    compose.current_dir(&folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    compose.env("LANG", "C.UTF-8").env("COMPOSE_PROFILES", PROFILES.join(","));
    compose.arg("--env-file").arg(nothing.path()).arg("-f").arg(folder.join("docker-compose.yml")).arg("config");
    // Debian's docker-compose is a program in Debian's Python, and brings its YAML reader.
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"]);
    serde_json::from_str(&said(&mut python, &said(&mut compose, ""))).unwrap()
});

/// What a program prints that is given this to read.
fn said(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The folder, by the name that docker-compose has for it.
fn monitoring() -> PathBuf {
    repository("monitoring").canonicalize().unwrap()
}

fn services() -> &'static Map<String, Value> {
    STACK["services"].as_object().unwrap()
}

/// The texts of a list; none where it is not there. Other forms that Compose takes would not be looked at.
fn texts<'a>(list: &'a Value) -> Vec<&'a str> {
    let text = |item: &'a Value| item.as_str().unwrap_or_else(|| panic!("{item} is not in the short form"));
    assert!(list.is_null() || list.is_array(), "{list} is not written as a list");
    list.as_array().into_iter().flatten().map(text).collect()
}

/// What is mounted in a container: where from, where to and how.
fn mounts(service: &Value) -> Vec<(&str, &str, &str)> {
    let parts = |mount| -> Vec<&str> { str::split(mount, ':').collect() };
    let mounts = texts(&service["volumes"]).into_iter().map(parts);
    mounts.map(|parts| (parts[0], parts[1], *parts.get(2).unwrap_or(&"rw"))).collect()
}

/// The secrets of a container, each with the file that it finds it in.
fn secrets(service: &Value) -> BTreeMap<&str, String> {
    let list = service["secrets"].as_array().into_iter().flatten();
    list.map(|secret| {
        let name = secret["source"].as_str().unwrap();
        (name, secret["target"].as_str().map_or(format!("/run/secrets/{name}"), str::to_owned))
    })
    .collect()
}

/// The ports that others reach a service at.
fn ports(service: &Value) -> BTreeSet<u16> {
    texts(&service["ports"]).iter().map(|port| port.rsplit([':', '/']).nth(1).unwrap().parse().unwrap()).collect()
}

/// The rows of a document's table that begins with this head.
fn rows(document: &str, head: &str) -> Vec<Vec<String>> {
    let text = Shipped::read(document);
    let table = text.text().split_once(head).unwrap_or_else(|| panic!("{document} has no table {head:?}")).1;
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    table.lines().skip(2).take_while(|row| row.starts_with('|')).map(cells).collect()
}

#[test]
fn the_file_is_written_as_current_versions_want_it() {
    let source = Shipped::read("docker-compose.yml");
    let has_version = source.text().lines().any(|line| line.starts_with("version"));
    assert!(!has_version, "`version` is obsolete: Compose warns of it");
    let rows = rows("README.md", "| service | port on 127.0.0.1 | for |");
    let mut profiles = BTreeSet::new();
    for (name, service) in services() {
        for profile in texts(&service["profiles"]) {
            let said = rows.iter().any(|row| row[0] == *name && row[2].contains(&format!("profile {profile}:")));
            assert!(said, "{name}: the README does not say that it is of the profile {profile}");
            profiles.insert(profile);
        }
    }
    assert_eq!(profiles, PROFILES.into(), "profiles");
}

#[test]
fn images_are_pinned_and_the_gateways_is_of_this_version() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name}: no image"));
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        let version = tag.strip_prefix('v').unwrap_or(tag).trim_end_matches("-alpine");
        let numbers: Vec<&str> = version.split('.').collect();
        let pinned = numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok());
        assert!(pinned, "{name}: {image} is no single version");
        assert_eq!(service.get("build").is_some(), image.starts_with("wasmgate:"), "{name}: what is built is ours");
    }
    assert_eq!(services()["api-gateway"]["image"], format!("wasmgate:{}", env!("CARGO_PKG_VERSION")), "api-gateway");
}

/// The tests check the dashboards against the types of one version of Grafana, and draw them with its components.
#[test]
fn the_stack_has_the_grafana_that_the_dashboards_are_tested_with() {
    let image = services()["grafana"]["image"].as_str().unwrap().to_owned();
    for (folder, packages) in [("dashboards", &["@grafana/schema"][..]), ("preview", &["@grafana/data", "@grafana/ui"])]
    {
        let text = fs::read_to_string(repository(&format!("tests/real/{folder}/package.json"))).unwrap();
        let wanted: Value = serde_json::from_str(&text).unwrap();
        for package in packages {
            assert_eq!(
                image,
                format!("grafana/grafana:{}", wanted["dependencies"][package].as_str().unwrap()),
                "{package}"
            );
        }
    }
}

#[test]
fn ports_are_those_of_the_readme_and_on_loopback_only() {
    let mut documented = BTreeMap::new();
    for row in rows("README.md", "| service | port on 127.0.0.1 | for |") {
        let published = json!([format!("127.0.0.1:{0}:{0}/tcp", row[1])]);
        documented.insert(row[0].clone(), if row[1] == "–" { Value::Null } else { published });
    }
    for (name, service) in services() {
        let documented = documented.remove(name).unwrap_or_else(|| panic!("{name} is not in the README"));
        assert_eq!(service["ports"], documented, "{name}: ports, and the README's");
    }
    assert!(documented.is_empty(), "the README has services that are not there: {documented:?}");
}

#[test]
fn each_container_is_confined() {
    for (name, service) in services() {
        let only_in = |exception: &str, value: Value| if name == exception { value } else { Value::Null };
        let logging = json!({"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}});
        for (key, expected) in [
            ("cap_drop", json!(["ALL"])),
            ("security_opt", json!(["no-new-privileges:true"])),
            ("networks", json!({"demo": null})),
            // It writes to more places than its volume.
            ("read_only", json!(name != "n8n")),
            ("tmpfs", json!(["/tmp:size=64m"])),
            ("restart", json!("unless-stopped")),
            ("labels", json!({"stack": "hybrid-ai-stack"})),
            ("logging", logging),
            ("pid", only_in("node-exporter", json!("host"))),
            ("cap_add", Value::Null),
            ("devices", Value::Null),
            ("ipc", Value::Null),
            ("network_mode", Value::Null),
            ("privileged", Value::Null),
        ] {
            assert_eq!(service[key], expected, "{name}: {key}");
        }
    }
}

#[test]
fn each_container_has_limits_and_a_health_check() {
    for (name, service) in services() {
        let memory = service["mem_limit"].as_str().unwrap_or_default();
        let size = memory.strip_suffix(['m', 'g']).and_then(|size| size.parse::<u32>().ok());
        assert!(size.is_some_and(|size| size > 0), "{name}: mem_limit {memory:?}");
        assert!(service["pids_limit"].as_u64().is_some_and(|pids| pids > 0), "{name}: pids_limit");
        // Docker refuses a container that may use more CPUs than the machine has: the README promises two.
        let cpus = service["cpus"].as_f64().unwrap_or_default();
        assert!(cpus > 0.0 && cpus <= 2.0, "{name}: cpus {cpus}");
        let check = texts(&service["healthcheck"]["test"]);
        assert!(check.len() > 1 && check[0].starts_with("CMD"), "{name}: its health check is {check:?}");
    }
}

#[test]
fn mounts_from_the_machine_are_few_and_read_only() {
    let folder = monitoring();
    let mut of_the_machine = BTreeSet::new();
    for (name, service) in services() {
        for (source, _, mode) in mounts(service).into_iter().filter(|(source, ..)| source.starts_with('/')) {
            assert!(mode.split(',').any(|option| option == "ro"), "{name}: {source} is mounted {mode:?}");
            match Path::new(source).strip_prefix(&folder) {
                Ok(ours) => {
                    assert!(Path::new(source).exists(), "{name}: {source} is not there");
                    let whole = ours.as_os_str().is_empty() || ours.starts_with("secrets");
                    assert!(!whole, "{name}: {source} is mounted, with secrets of others");
                }
                Err(_) => drop(of_the_machine.insert((source, name.as_str()))),
            }
        }
    }
    let socket = "/var/run/docker.sock";
    let expected = [("/", "node-exporter"), (socket, "alloy"), (socket, "promtail")];
    assert_eq!(of_the_machine, expected.into(), "mounts from outside of the repository");
}

#[test]
fn each_secret_has_a_file_a_reader_and_a_row_in_the_table() {
    let rows = rows("secrets/README.md", "| file | for | where it comes from |");
    let documented: BTreeSet<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let mut declared = BTreeSet::new();
    for (name, secret) in STACK["secrets"].as_object().unwrap() {
        let file = monitoring().join("secrets").join(name);
        assert_eq!(*secret, json!({"file": file.to_str()}), "secret {name}");
        declared.insert(name.as_str());
    }
    assert_eq!(declared, documented, "secrets, and the rows of secrets/README.md");
    let mut read = BTreeSet::new();
    for (name, service) in services() {
        let paths = paths_of(name, service);
        for (secret, target) in secrets(service) {
            assert!(paths.contains(&target), "{name} does not read {secret} at {target}, but {paths:?}");
            read.insert(secret);
        }
    }
    assert_eq!(declared, read, "secrets, and those that a service reads");
}

#[test]
fn paths_in_containers_are_mounted_and_there() {
    let folder = monitoring();
    let mut looked_at = BTreeSet::new();
    for (name, service) in services() {
        // From where each place comes: a secret, a folder in memory, a volume, or a path of this machine.
        let mut places: BTreeMap<String, &str> =
            secrets(service).into_values().map(|file| (file, "a secret")).collect();
        places.extend(texts(&service["tmpfs"]).iter().map(|at| (at.split(':').next().unwrap().to_owned(), "memory")));
        places.extend(mounts(service).into_iter().map(|(source, target, _)| (target.to_owned(), source)));
        for path in paths_of(name, service) {
            let place = Path::new(&path).ancestors().find_map(|part| places.get_key_value(part.to_str().unwrap()));
            let (target, source) = place.unwrap_or_else(|| panic!("{name}: {path} is in no mount: {places:?}"));
            if source.starts_with(folder.to_str().unwrap()) {
                let there = format!("{source}{}", &path[target.len()..]);
                assert!(Path::new(&there).exists(), "{name}: {path} would be {there}, which is not there");
            }
            looked_at.insert(path);
        }
    }
    assert!(looked_at.len() >= 25, "paths that were found: {looked_at:?}");
}

/// The absolute paths in what a service is started with: arguments, variables, image, configuration.
fn paths_of(name: &str, service: &Value) -> BTreeSet<String> {
    let mut said: Vec<String> = texts(&service["command"]).into_iter().map(str::to_owned).collect();
    said.extend(service["environment"].as_object().into_iter().flatten().map(|(_, value)| value.to_string()));
    said.extend(CONFIGURATIONS.iter().filter(|(reader, _)| *reader == name).map(|(_, file)| settings(file)));
    if service.get("build").is_some() {
        said.extend(["ENV", "CMD"].into_iter().flat_map(dockerfile));
    }
    paths(&said.join("\n"))
}

/// The absolute paths in a text.
fn paths(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| c.is_whitespace() || "\"'=()>,]}".contains(c));
    // `unix:///var/run/docker.sock` is a path, too.
    let words = words.map(|word| word.trim_start_matches(['[', '{']).trim_start_matches("unix://"));
    words.filter(|word| word.len() > 1 && word.starts_with('/')).map(str::to_owned).collect()
}

/// The lines of a configuration that are neither comments nor paths of HTTP.
fn settings(file: &str) -> String {
    let said = |line: &&str| !["#", "//", "metrics_path:"].iter().any(|other| line.trim_start().starts_with(other));
    Shipped::read(file).text().lines().filter(said).map(|line| format!("{line}\n")).collect()
}

/// What the lines of the image's recipe with this instruction say.
fn dockerfile(instruction: &str) -> Vec<String> {
    let text = Shipped::read("gateway/Dockerfile");
    let lines = text.text().lines().filter_map(|line| line.strip_prefix(instruction));
    lines.map(|said| said.trim().to_owned()).collect()
}

#[test]
fn whoever_is_addressed_is_a_service_with_that_port() {
    let mut addressed = BTreeSet::new();
    for (reader, file) in CONFIGURATIONS {
        // In comments, too: they are there to be switched on.
        for (host, port) in addresses(Shipped::read(file).text()) {
            let host = if host == "localhost" { reader.to_owned() } else { host };
            let service = services().get(&host).unwrap_or_else(|| panic!("{file}: {host} is no service"));
            assert!(ports(service).contains(&port), "{file}: {host} does not listen at {port}");
            addressed.insert(host);
        }
    }
    let addressed: Vec<&str> = addressed.iter().map(String::as_str).collect();
    let expected =
        ["alertmanager", "api-gateway", "blackbox", "loki", "n8n", "node-exporter", "ollama-cpu", "prometheus"];
    assert_eq!(addressed, expected, "services that others address");
}

/// Each `host:port` of a text whose host is neither a number nor outside of the stack: it has no dot.
fn addresses(text: &str) -> Vec<(String, u16)> {
    let is_of_host = |c: &char| c.is_ascii_alphanumeric() || ".-".contains(*c);
    let mut found = Vec::new();
    for (colon, _) in text.match_indices(':') {
        let host: String = text[..colon].chars().rev().take_while(is_of_host).collect();
        // Models have numbers after a colon as well: `phi:2.7b`.
        let port: String = text[colon + 1..].chars().take_while(is_of_host).collect();
        if let (false, false, Ok(port)) = (host.is_empty(), host.contains('.'), port.parse()) {
            found.push((host.chars().rev().collect(), port));
        }
    }
    found
}

#[test]
fn a_request_id_is_never_a_label_of_logs() {
    for file in ["alloy/config.alloy", "promtail/config.yml"] {
        let mut stage = String::new();
        let mut stages = BTreeSet::new();
        for line in settings(file).lines().map(str::trim) {
            // `stage.labels {` of Alloy, `- labels: {…}` of Promtail.
            if let Some(block) = line.strip_suffix('{').or_else(|| line.strip_prefix("- ")) {
                stage = block.split([':', ' ']).next().unwrap().trim_start_matches("stage.").to_owned();
            }
            if line.contains("request_id") {
                stages.insert(stage.clone());
            }
        }
        // Read from the line, kept beside it.
        assert_eq!(stages, ["json", "structured_metadata"].map(str::to_owned).into(), "{file}: where request_id goes");
    }
    assert!(!settings("loki/config.yml").contains("request_id"), "loki/config.yml makes something of request_id");
}

#[test]
fn the_gateway_takes_its_file_and_names_a_missing_key() {
    let shipped = Shipped::read("gateway/wasmgate.toml");
    let mounted = &secrets(&services()["api-gateway"])["anthropic_api_key"];
    let with_key = shipped.clone().with(mounted, "key");
    let check = |key: &str| Gateway::setup().whole(with_key.text()).file("key", key.as_bytes()).check();
    check("a-key\n").expect(0, &["valid", "2 backends", "3 models", "complexity@", "token-cost@"]);
    check("").expect(2, &["wasmgate.toml:", "backends.anthropic.api_key_file", "empty"]);
    let nowhere = Gateway::setup().whole(shipped.text()).check();
    nowhere.expect(2, &["wasmgate.toml:", "backends.anthropic.api_key_file", mounted, "cannot be read"]);
}

#[test]
fn the_gateway_listens_where_it_is_asked_and_has_time_to_end() {
    let example = fs::read_to_string(repository("examples/wasmgate.toml")).unwrap();
    let [shipped, defaults] =
        [Shipped::read("gateway/wasmgate.toml").text(), &example].map(|text| text.parse::<toml::Table>().unwrap());
    let gateway = &services()["api-gateway"];
    let port = shipped["listen"].as_str().unwrap().strip_prefix("0.0.0.0:").expect("all of the container's interfaces");
    assert_eq!(dockerfile("EXPOSE"), [port], "the image's port");
    assert_eq!(ports(gateway), [port.parse().unwrap()].into(), "the stack's port");

    let drain =
        |file: &toml::Table| file.get("server").and_then(|server| server.get("drain_timeout_seconds")?.as_integer());
    let drain = drain(&shipped).or(drain(&defaults)).expect("a default in the example");
    let grace = gateway["stop_grace_period"].as_str().and_then(|grace| grace.strip_suffix('s')?.parse::<i64>().ok());
    assert!(grace.is_some_and(|grace| grace > drain), "api-gateway: killed after {grace:?} s, drains for {drain} s");
}

#[test]
fn the_images_recipe_fits_the_gateway() {
    let compiler = format!("rust:{}.", env!("CARGO_PKG_RUST_VERSION"));
    let images = dockerfile("FROM");
    assert!(images[0].starts_with(&compiler), "{images:?}: the compiler is not {compiler}");
    // What runs, and the folders whose owner a volume takes over.
    let needed = paths(&["ENV", "ENTRYPOINT"].into_iter().flat_map(dockerfile).collect::<Vec<_>>().join("\n"));
    let copied: BTreeSet<String> = dockerfile("COPY")
        .iter()
        .filter_map(|line| line.strip_prefix("--from=build ")?.split(' ').next_back().map(str::to_owned))
        .collect();
    assert_eq!(needed, copied, "what the image runs and writes to, and what is copied into it");
}

#[test]
fn the_images_build_is_sent_what_it_needs_and_no_more() {
    let ignore = fs::read_to_string(repository(".dockerignore")).unwrap();
    let rules: Vec<&str> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let sent = sent(&repository("."), Path::new(""), &rules);
    let top: BTreeSet<&str> = sent.iter().map(|path| path.iter().next().unwrap().to_str().unwrap()).collect();
    let expected = ["Cargo.lock", "Cargo.toml", "bench", "examples", "gateway", "policies", "tests", "wit"];
    assert_eq!(top, expected.into(), "what the builder is sent");

    let context = TempDir::new().unwrap();
    for path in &sent {
        let copy = context.path().join(path);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(repository(".").join(path), copy).unwrap();
    }
    // Cargo looks for members of the workspace, and for the benchmarks of each, before it builds one.
    let mut cargo = Command::new("cargo");
    cargo.current_dir(context.path()).args(["fetch", "--locked", "--offline", "--target", "host-tuple"]);
    said(&mut cargo, "");
    let mut included = 0;
    let sources = sent.iter().filter(|path| path.starts_with("gateway/src") && path.extension() == Some("rs".as_ref()));
    for source in sources.map(|path| context.path().join(path)) {
        for after in fs::read_to_string(&source).unwrap().split("include_str!(\"").skip(1) {
            let name = after.split('"').next().unwrap();
            let there = source.parent().unwrap().join(name).is_file();
            assert!(there, "{} includes {name}, which the builder is not sent", source.display());
            included += 1;
        }
    }
    assert!(included >= 5, "{included} included files were found");
}

/// The files that a `.dockerignore` with these rules lets pass.
fn sent(root: &Path, below: &Path, rules: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if path.ends_with("target") || path.ends_with(".git") {
            // Large: not looked into.
            assert!(!is_sent(&path, rules), "the builder is sent {}", path.display());
        } else if entry.file_type().unwrap().is_dir() {
            found.extend(sent(root, &path, rules));
        } else if is_sent(&path, rules) {
            found.push(path);
        }
    }
    found
}

/// Whether a file is sent to the builder: the last rule that fits it, or a folder that it is in, decides.
fn is_sent(path: &Path, rules: &[&str]) -> bool {
    let fits = |rule: &str| match rule.strip_prefix("**/") {
        _ if rule == "*" => true,
        Some(name) => path.iter().any(|part| part == name),
        None if rule.contains(['*', '?', '[']) => panic!(".dockerignore: this test does not know the rule {rule:?}"),
        None => path.starts_with(rule),
    };
    let last = rules.iter().rfind(|rule| fits(rule.trim_start_matches('!')));
    last.is_none_or(|rule| rule.starts_with('!'))
}

//! How requests leave the gateway: proxies of the environment and of a backend, tunnels, certificates, and headers of the
//! operator.

use std::net::SocketAddr;

use serde_json::json;
use wasmgate_tests::backend::{Backend, Reply};
use wasmgate_tests::gateway::{Gateway, Setup};
use wasmgate_tests::http::{Response, post_json, request};
use wasmgate_tests::http2::{Answer, Http2Backend};
use wasmgate_tests::proxy::{Proxy, Tunnel};
use wasmgate_tests::tls::{Authority, TlsServer};
use wasmgate_tests::wire::{Dialect, Usage, ask, ends_well};

const PATH: &str = "/v1/chat/completions";
const USAGE: Usage = Usage { input: 11, output: 3 };
/// A host that no name server knows: only a proxy can lead there.
const HOST: &str = "api.models.invalid";
/// A password and how its header has it with the user `user`.
const PASSWORD: &str = "opaque-4711";
const BASIC: &str = "Basic dXNlcjpvcGFxdWUtNDcxMQ==";

fn backend() -> Backend {
    Backend::start(|request| match request.json()["stream"] == true {
        true => Reply::stream("text/event-stream").frames(Dialect::OpenAi.frames(&["well"], USAGE)).end(),
        false => Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)),
    })
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// A model called `m` at this address; the lines are of its backend.
fn model(url: &str, lines: &str) -> Setup {
    Gateway::setup().server("threads = 1").models(&format!(
        "[backends.m]\nkind = \"openai\"\nurl = {url:?}\nprobe_interval_seconds = 0\nretries = {{ attempts = 1 }}\n\
         {lines}\n[models.m]\nbackend = \"m\"\n"
    ))
}

fn chat(gateway: &Gateway) -> Response {
    gateway.post(PATH, &ask(PATH, "m", "hello", false))
}

#[track_caller]
fn answers(gateway: &Gateway) {
    let _ = chat(gateway).expect(200);
    assert!(ends_well(PATH, &gateway.stream(PATH, &ask(PATH, "m", "hello", true)).all()));
}

/// No secret is in any line of the log, nor on a page.
#[track_caller]
fn keeps_secrets(gateway: Gateway, secrets: &[&str]) {
    let pages = ["/metrics", "/health", "/api/v1/models"].map(|page| gateway.get(page).text()).concat();
    let log = gateway.log_to_its_end().join("\n");
    for secret in secrets {
        assert!(!pages.contains(secret) && !log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn an_https_backend_is_reached_through_a_tunnel_of_the_environments_proxy() {
    let (backend, authority) = (backend(), Authority::new("test"));
    let server = TlsServer::start(&authority.issue(HOST), None, address(&backend.url()));
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        backend.forget_requests();
        let proxy = Proxy::start(Tunnel::To(server.address()));
        let gateway = model(&format!("https://{HOST}"), "ca_file = \"ca.pem\"")
            .file("ca.pem", authority.pem().as_bytes())
            .variable("WASMGATE_LOG", "trace")
            .variable(variable, &format!("http://user:{PASSWORD}@{}", proxy.address()))
            .start();
        answers(&gateway);
        let asked = proxy.asked();
        assert_eq!(asked[0].line, format!("CONNECT {HOST}:443"));
        assert_eq!((asked[0].header("host"), asked[0].header("proxy-authorization")), (&*format!("{HOST}:443"), BASIC));
        let seen = backend.requests();
        assert_eq!((seen.len(), seen[0].header("host"), seen[0].header("proxy-authorization")), (2, HOST, ""));
        assert_eq!(seen[0].path, PATH);
        keeps_secrets(gateway, &[PASSWORD, &BASIC[6..]]);
    }
}

#[test]
fn a_plain_http_backend_is_reached_by_its_whole_address() {
    // The scripted backend plays the proxy.
    let proxy = backend();
    let at = proxy.url().replace("http://", &format!("http://user:{PASSWORD}@"));
    let gateway = model(&format!("http://{HOST}:8000"), "").variable("HTTP_PROXY", &at).start();
    answers(&gateway);
    answers(&gateway);
    let seen = proxy.requests();
    assert_eq!(seen[0].path, format!("http://{HOST}:8000{PATH}"));
    assert_eq!((seen[0].header("host"), seen[0].header("proxy-authorization")), (&*format!("{HOST}:8000"), BASIC));
    assert_eq!((seen.len(), proxy.connections()), (4, 1), "connections to the proxy are kept");
    keeps_secrets(gateway, &[PASSWORD, &BASIC[6..]]);
}

#[test]
fn http2_without_tls_goes_through_a_tunnel_too() {
    let backend = Http2Backend::start(100, |_| Answer::Json(Dialect::OpenAi.answer("well", USAGE)));
    let proxy = Proxy::start(Tunnel::To(address(&backend.url())));
    let lines = format!("http2 = \"prior-knowledge\"\nproxy = \"http://{}\"", proxy.address());
    let gateway = model(&format!("http://{HOST}"), &lines).start();
    for _ in 0..3 {
        let _ = chat(&gateway).expect(200);
    }
    assert_eq!(proxy.asked().iter().map(|asked| &*asked.line).collect::<Vec<_>>(), [format!("CONNECT {HOST}:80")]);
    assert_eq!(backend.connections(), 1);
}

#[test]
fn this_machine_and_what_no_proxy_names_are_reached_directly() {
    let (backend, proxy) = (backend(), Proxy::start(Tunnel::Refuse(403)));
    let variable = format!("http://{}", proxy.address());
    answers(&model(&backend.url(), "").variable("HTTP_PROXY", &variable).start());
    for no_proxy in [HOST, ".models.invalid", "*", "10.0.0.0/8,models.invalid:80"] {
        let gateway = model(&format!("http://{HOST}"), "")
            .variable("HTTP_PROXY", &variable)
            .variable("NO_PROXY", no_proxy)
            .start();
        let _ = chat(&gateway).expect(502);
    }
    assert_eq!(proxy.asked(), []);
    let gateway = model(&format!("http://{HOST}"), "")
        .variable("HTTP_PROXY", &variable)
        .variable("NO_PROXY", "other.invalid,models.invalid:8080")
        .start();
    let _ = chat(&gateway).expect(502);
    assert_eq!(proxy.asked().len(), 1);
}

#[test]
fn a_backends_own_setting_is_above_the_environment() {
    let (server, own, others) = (backend(), backend(), Proxy::start(Tunnel::Refuse(403)));
    let of_all = format!("http://{}", others.address());
    let setup =
        |lines: &str| model(&server.url(), lines).variable("HTTP_PROXY", &of_all).variable("NO_PROXY", "*").start();
    answers(&setup(&format!("proxy = {:?}", own.url())));
    assert_eq!((own.requests().len(), server.requests().len()), (2, 0));
    let gateway = model(&format!("http://{HOST}"), "proxy = \"none\"").variable("HTTP_PROXY", &of_all).start();
    let _ = chat(&gateway).expect(502);
    assert_eq!(others.asked(), []);
}

#[test]
fn a_proxy_that_opens_no_tunnel_is_named_without_its_credentials() {
    for (tunnel, said) in [
        (Tunnel::Refuse(407), "status 407"),
        (Tunnel::Refuse(503), "status 503"),
        (Tunnel::Close, "it closed the connection"),
    ] {
        let proxy = Proxy::start(tunnel);
        let lines = format!("proxy = \"http://user:{PASSWORD}@{}\"", proxy.address());
        let gateway = model(&format!("https://{HOST}"), &lines).variable("WASMGATE_LOG", "trace").start();
        let told = chat(&gateway).expect(502).text();
        assert!(!told.contains(&proxy.address().to_string()), "{told}");
        let line = gateway.wait_for_log("the reason", |line| line.to_string().contains(said));
        assert!(line.to_string().contains(&format!("the proxy http://{}", proxy.address())), "{line}");
        keeps_secrets(gateway, &[PASSWORD, &BASIC[6..]]);
    }
}

#[test]
fn certificates_of_the_operators_authority_are_taken_where_they_are_configured() {
    let (backend, authority, other) = (backend(), Authority::new("test"), Authority::new("other"));
    let server = TlsServer::start(&authority.issue("localhost"), None, address(&backend.url()));
    let setup = |server_lines: &str, lines: &str| {
        model(&format!("https://localhost:{}", server.address().port()), lines)
            .server(server_lines)
            .file("ca.pem", authority.pem().as_bytes())
            .file("other.pem", other.pem().as_bytes())
            .file("both.pem", format!("{}{}", other.pem(), authority.pem()).as_bytes())
            .start()
    };
    answers(&setup("", "ca_file = \"ca.pem\""));
    answers(&setup("", "ca_file = \"both.pem\""));
    answers(&setup("ca_file = \"ca.pem\"", ""));
    answers(&setup("ca_file = \"ca.pem\"", "ca_file = \"other.pem\""));
    let before = backend.requests().len();
    let _ = chat(&setup("ca_file = \"other.pem\"", "ca_file = \"other.pem\"")).expect(502);
    assert_eq!(backend.requests().len(), before);
}

#[test]
fn a_server_of_another_name_is_not_taken_for_the_backend() {
    let (backend, authority) = (backend(), Authority::new("test"));
    let server = TlsServer::start(&authority.issue(HOST), None, address(&backend.url()));
    let url = format!("https://localhost:{}", server.address().port());
    let gateway = model(&url, "ca_file = \"ca.pem\"").file("ca.pem", authority.pem().as_bytes()).start();
    let _ = chat(&gateway).expect(502);
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_server_that_wants_a_certificate_gets_the_backends() {
    let (backend, authority, stranger) = (backend(), Authority::new("test"), Authority::new("stranger"));
    let server = TlsServer::start(&authority.issue("localhost"), Some(&authority), address(&backend.url()));
    let setup = |lines: &str| {
        let (own, strange) = (authority.issue("gateway"), stranger.issue("gateway"));
        model(&format!("https://localhost:{}", server.address().port()), &format!("ca_file = \"ca.pem\"\n{lines}"))
            .file("ca.pem", authority.pem().as_bytes())
            .file("own.pem", own.pem().as_bytes())
            .file("own.key", own.key_pem().as_bytes())
            .file("strange.pem", strange.pem().as_bytes())
            .file("strange.key", strange.key_pem().as_bytes())
    };
    let gateway = setup("client_cert_file = \"own.pem\"\nclient_key_file = \"own.key\"").start();
    answers(&gateway);
    // The end of 2049.
    for certificate in ["client", "roots"] {
        let labels = [("upstream", "m"), ("certificate", certificate)];
        let expires = gateway.metrics().value("api_gateway_certificate_expiry_timestamp_seconds", &labels);
        assert_eq!(expires, 2_524_607_999.0, "{certificate}");
    }
    let before = backend.requests().len();
    let _ = chat(&setup("").start()).expect(502);
    let _ = chat(&setup("client_cert_file = \"strange.pem\"\nclient_key_file = \"strange.key\"").start()).expect(502);
    assert_eq!(backend.requests().len(), before);
    for (lines, said) in [
        ("client_cert_file = \"own.pem\"", "m.client_key_file: missing"),
        ("client_key_file = \"own.key\"", "m.client_cert_file: missing"),
        ("client_cert_file = \"own.pem\"\nclient_key_file = \"strange.key\"", "does not fit the certificate"),
        ("client_cert_file = \"own.key\"\nclient_key_file = \"own.key\"", "no certificate in PEM form"),
        ("client_cert_file = \"own.pem\"\nclient_key_file = \"own.pem\"", "no private key in PEM form"),
        ("client_cert_file = \"nowhere.pem\"\nclient_key_file = \"own.key\"", "cannot be read"),
    ] {
        setup(lines).check().expect(2, &[said]);
    }
}

#[test]
fn each_request_has_the_operators_headers_and_secret_ones_stay_secret() {
    let backend = Backend::start(|request| match request.path.ends_with("embeddings") {
        true => Reply::json(200, &json!({"data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})),
        false if request.json()["messages"][0]["content"] == "repeat" => {
            let message = format!("you sent {}", request.header("authorization"));
            Reply::json(
                422,
                &json!({"error": {"message": message, "type": "invalid_request_error", "param": "messages"}}),
            )
        }
        false => Reply::json(200, &Dialect::OpenAi.answer("well", USAGE)),
    });
    let headers = r#"headers = { X-Org = "acme", authorization = { env = "TOKEN" }, x-team = { file = "team" } }"#;
    let gateway = model(&backend.url(), headers)
        .variable("TOKEN", &format!("Bearer {PASSWORD}"))
        .variable("WASMGATE_LOG", "trace")
        .file("team", b"team-0815\n")
        .start();
    let _ = chat(&gateway).expect(200);
    let _ = gateway.post("/v1/embeddings", &json!({"model": "m", "input": "hello"})).expect(200);
    for seen in backend.requests() {
        assert_eq!(seen.header("x-org"), "acme");
        assert_eq!(seen.header("authorization"), format!("Bearer {PASSWORD}"));
        assert_eq!(seen.header("x-team"), "team-0815");
    }
    let told = gateway.post(PATH, &ask(PATH, "m", "repeat", false)).text();
    assert!(told.contains("you sent") && !told.contains(PASSWORD), "{told}");
    keeps_secrets(gateway, &[PASSWORD, "team-0815"]);
}

#[test]
fn the_operators_headers_are_above_a_clients_and_lists_of_both_are_sent() {
    let backend = Backend::start(|_| Reply::json(200, &Dialect::Anthropic.answer("well", USAGE)));
    let headers = r#"headers = { anthropic-version = "2030-01-01", anthropic-beta = "ours" }"#;
    let gateway = Gateway::setup()
        .models(&format!(
            "[backends.m]\nkind = \"anthropic\"\nurl = {:?}\n{headers}\n[models.m]\nbackend = \"m\"\n",
            backend.url()
        ))
        .start();
    let path = "/v1/messages";
    let of_client =
        [("content-type", "application/json"), ("anthropic-version", "2023-06-01"), ("anthropic-beta", "theirs")];
    let _ = gateway.send(request("POST", path, &of_client, ask(path, "m", "hello", false).to_string().as_bytes()));
    let _ = gateway.send(post_json(path, &ask(path, "m", "hello", false))).expect(200);
    let seen = backend.requests();
    let all = |number: usize, name: &str| {
        let headers = seen[number].headers.iter().filter(|(known, _)| known == name);
        headers.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(all(0, "anthropic-version"), ["2030-01-01"]);
    assert_eq!(all(0, "anthropic-beta"), ["ours", "theirs"]);
    assert_eq!(all(1, "anthropic-beta"), ["ours"]);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_name_and_without_its_secret() {
    let https = format!("https://{HOST}");
    let cases = [
        (
            &*https,
            r#"proxy = "socks5://user:opaque-4711@proxy.invalid:1080""#,
            "m.proxy: \"socks5://***@proxy.invalid:1080\" is not the address of an HTTP proxy",
        ),
        (
            &https,
            r#"proxy = "http://user:opaque-4711@proxy.invalid/path""#,
            "m.proxy: \"http://***@proxy.invalid/path\" is not",
        ),
        (&https, r#"proxy = "" "#, "m.proxy: \"\" is not the address of a proxy"),
        (&https, r#"ca_file = "nowhere.pem""#, "m.ca_file: "),
        (&https, r#"ca_file = "text.pem""#, "no certificate in PEM form"),
        ("http://127.0.0.1:1", r#"ca_file = "text.pem""#, "has no TLS"),
        (
            "http://127.0.0.1:1",
            r#"client_cert_file = "text.pem""#,
            "m.client_cert_file: \"http://127.0.0.1:1\" has no TLS",
        ),
        (&https, r#"headers = { Content-Length = "1" }"#, "m.headers.Content-Length: the gateway sets this header"),
        (&https, r#"headers = { transfer-encoding = "chunked" }"#, "m.headers.transfer-encoding"),
        (&https, r#"headers = { Host = "other" }"#, "m.headers.Host"),
        (&https, r#"headers = { Connection = "x" }"#, "m.headers.Connection"),
        (&https, r#"headers = { proxy-authorization = { env = "OPAQUE" } }"#, "m.headers.proxy-authorization"),
        (
            &https,
            r#"headers = { authorization = "Bearer opaque-4711" }"#,
            "m.headers.authorization: this header holds a secret",
        ),
        (&https, r#"headers = { "a b" = "x" }"#, "not the name of a header"),
        (&https, r#"headers = { x-a = "ä\n" }"#, "m.headers.x-a: the value has a character"),
        (
            &https,
            r#"headers = { x-a = { env = "NOT_SET" } }"#,
            "m.headers.x-a: the environment variable NOT_SET is not set",
        ),
        (&https, r#"headers = { x-a = { file = "nowhere" } }"#, "nowhere: cannot be read"),
        (&https, r#"headers = { x-a = { env = "OPAQUE", file = "text.pem" } }"#, "expected one of `env` and `file`"),
        (&https, r#"headers = { x-a = {} }"#, "expected one of `env` and `file`"),
        (&https, r#"headers = { x-a = { evn = "OPAQUE" } }"#, "did you mean `env`?"),
        (&https, r#"headers = { x-a = 1 }"#, "expected a text, `{ env"),
        (&https, r#"headers = { x-a = "1", X-A = "2" }"#, "this header is there twice"),
        (
            &https,
            "api_key_env = \"OPAQUE\"\nheaders = { Authorization = { env = \"OPAQUE\" } }",
            "the API key is sent as `authorization`",
        ),
    ];
    for (url, lines, said) in cases {
        let setup = model(url, lines).variable("OPAQUE", PASSWORD).file("text.pem", b"no certificate");
        let exit = setup.check();
        assert_eq!(exit.code(), Some(2), "{lines}: {}", exit.text());
        assert!(exit.text().contains(said) && !exit.text().contains(PASSWORD), "{lines}: {}", exit.text());
    }
    let setup = model(&https, "").variable("HTTPS_PROXY", &format!("socks5://user:{PASSWORD}@proxy.invalid"));
    let exit = setup.check();
    assert_eq!(exit.code(), Some(2), "{}", exit.text());
    assert!(exit.text().contains("HTTPS_PROXY") && !exit.text().contains(PASSWORD), "{}", exit.text());
    let sim = "[backends.s]\nkind = \"sim\"\nproxy = \"none\"\n[models.s]\nbackend = \"s\"\n";
    Gateway::setup().models(sim).check().expect(2, &["s.proxy", "a simulated backend has no connections"]);
}

#[test]
fn check_says_through_which_proxy_each_backend_is_reached() {
    let backends: String = [
        ("cloud", "https://api.models.invalid", ""),
        ("exempt", "https://exempt.invalid", ""),
        ("own", "https://own.invalid", "proxy = \"http://user:opaque-4711@own.invalid:3128\""),
        ("without", "https://without.invalid", "proxy = \"none\""),
        ("plain", "http://plain.invalid", ""),
        ("here", "https://localhost:1", ""),
    ]
    .map(|(name, url, lines)| {
        format!("[backends.{name}]\nkind = \"openai\"\nurl = {url:?}\n{lines}\n[models.{name}]\nbackend = \"{name}\"\n")
    })
    .concat();
    let exit = Gateway::setup()
        .models(&backends)
        .variable("https_proxy", &format!("http://user:{PASSWORD}@proxy.invalid:3128"))
        .variable("NO_PROXY", "exempt.invalid")
        .check();
    assert_eq!(exit.code(), Some(0), "{}", exit.text());
    for said in [
        "backend cloud: cloud (by its address), through the proxy http://proxy.invalid:3128 (https_proxy)",
        "backend exempt: cloud (by its address), without a proxy (NO_PROXY)",
        "backend own: cloud (by its address), through the proxy http://own.invalid:3128 (as configured)",
        "backend without: cloud (by its address), without a proxy (as configured)",
        "backend plain: cloud (by its address), without a proxy (none is configured)",
        "backend here: local (by its address), without a proxy (it is on this machine)",
    ] {
        assert!(exit.text().contains(said), "{said:?} in {}", exit.text());
    }
    assert!(!exit.text().contains(PASSWORD), "{}", exit.text());
}

#[test]
fn a_changed_header_keeps_the_connections_and_a_changed_proxy_makes_new_ones() {
    let (server, proxy) = (backend(), backend());
    let gateway = model(&server.url(), "headers = { x-org = \"acme\" }").reloading().start();
    let reloaded = |from: &str, to: &str| {
        let labels = [("result", "success")];
        let before = gateway.metrics().value("api_gateway_config_reloads_total", &labels);
        gateway.edit_config(from, to);
        gateway.wait_metric("api_gateway_config_reloads_total", &labels, before + 1.0);
    };
    let _ = chat(&gateway).expect(200);
    reloaded("acme", "other");
    let _ = chat(&gateway).expect(200);
    let seen: Vec<_> = server.requests().iter().map(|request| request.header("x-org").to_owned()).collect();
    assert_eq!((seen, server.connections()), (vec!["acme".to_owned(), "other".to_owned()], 1));
    reloaded("headers = ", &format!("proxy = {:?}\nheaders = ", proxy.url()));
    let _ = chat(&gateway).expect(200);
    assert_eq!((server.requests().len(), proxy.requests().len()), (2, 1));
}

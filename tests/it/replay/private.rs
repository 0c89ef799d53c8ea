//! The private stream, and signed requests.

use super::{Client, Replay, request, text, within_a_minute};
use crate::support::json::parse;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpStream;

const KEYS: [&str; 4] = ["--access-key", "access", "--secret-key", "secret"];

fn replay() -> Replay {
    Replay::start(&[&KEYS[..], &["--codes", "3", "--rate", "100", "--no-limits"]].concat())
}

fn bearer(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let token = encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
    format!("Bearer {token}")
}

fn claims() -> Value {
    json!({"access_key": "access", "nonce": uuid::Uuid::new_v4().to_string()})
}

async fn connect(replay: &Replay, authorization: &str) -> Result<Client<TcpStream>, u16> {
    replay.try_connect("/private", &[("authorization", authorization)]).await
}

#[test]
fn hs512_and_hs256_are_accepted_and_a_nonce_only_once() {
    let replay = replay();
    within_a_minute(async {
        for algorithm in [Algorithm::HS512, Algorithm::HS256] {
            let authorization = bearer(algorithm, "secret", &claims());
            assert!(connect(&replay, &authorization).await.is_ok());
            assert_eq!(connect(&replay, &authorization).await.err(), Some(401));
        }
    });
}

#[test]
fn whoever_is_not_the_owner_gets_a_401() {
    let replay = replay();
    within_a_minute(async {
        assert_eq!(replay.try_connect("/private", &[]).await.err(), Some(401));
        let mut other = claims();
        other["access_key"] = json!("other");
        for authorization in [
            bearer(Algorithm::HS512, "wrong", &claims()),
            bearer(Algorithm::HS384, "secret", &claims()),
            bearer(Algorithm::HS512, "secret", &other),
            "Bearer nonsense".to_owned(),
        ] {
            assert_eq!(connect(&replay, &authorization).await.err(), Some(401));
        }
        let nobody = Replay::start(&[]);
        assert_eq!(connect(&nobody, &bearer(Algorithm::HS512, "secret", &claims())).await.err(), Some(401));
    });
}

#[test]
fn keys_come_from_files_or_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    for name in ["access", "secret"] {
        std::fs::write(file(name), format!("{name}\n")).unwrap();
    }
    let access = file("access");
    let secret = file("secret");
    let files = Replay::start(&["--access-key-file", &access, "--secret-key-file", &secret]);
    let variables = Replay::start_in(&[("UPBIT_ACCESS_KEY", "access"), ("UPBIT_SECRET_KEY", "secret")], &[]);
    within_a_minute(async {
        for replay in [files, variables] {
            assert!(connect(&replay, &bearer(Algorithm::HS512, "secret", &claims())).await.is_ok());
            assert_eq!(connect(&replay, &bearer(Algorithm::HS512, "wrong", &claims())).await.err(), Some(401));
        }
    });
}

#[test]
fn keys_that_cannot_be_read_end_it_with_78_unshown() {
    for (variables, arguments) in [
        (&[][..], &["--access-key-file", "AKIAhunter2", "--secret-key-file", "hunter2"][..]),
        (&[("UPBIT_ACCESS_KEY", "hunter2")], &[]),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.args(["replay", "--listen", "127.0.0.1:0"]).args(arguments).env_clear().envs(variables.iter().copied());
        let output = command.output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(78) && !err.contains("hunter2"), "{err}");
    }
}

#[test]
fn orders_and_assets_come_in_realtime_and_assets_have_no_code() {
    let replay = replay();
    within_a_minute(async {
        let mut client = connect(&replay, &bearer(Algorithm::HS512, "secret", &claims())).await.unwrap();
        client.ask(&request(r#"{"type":"myOrder"},{"type":"myAsset"}"#)).await;
        let asset = client.find(|frame| frame["type"] == "myAsset").await;
        assert!(asset.get("code").is_none() && asset["assets"][0]["balance"].is_number(), "{asset}");
        let mut states = Vec::new();
        while states.len() < 3 {
            let order = client.find(|frame| frame["type"] == "myOrder").await;
            assert_eq!((text(&order, "stream_type"), order["uuid"].is_string()), ("REALTIME", true));
            states.push(text(&order, "state").to_owned());
        }
        states.sort();
        assert_eq!(states, ["done", "trade", "wait"]);
    });
}

#[test]
fn assets_refuse_codes_and_market_data_is_not_served_here() {
    let replay = replay();
    within_a_minute(async {
        for (entry, name) in [
            (r#"{"type":"myAsset","codes":["KRW-BTC"]}"#, "WRONG_FORMAT"),
            (r#"{"type":"trade","codes":["KRW-BTC"]}"#, "INVALID_PARAM"),
        ] {
            let mut client = connect(&replay, &bearer(Algorithm::HS512, "secret", &claims())).await.unwrap();
            client.ask(&request(entry)).await;
            assert_eq!(client.refusal().await, (name.to_owned(), Some(1_000)));
        }
    });
}

#[test]
fn a_signed_request_is_checked_with_the_hash_of_its_query() {
    use sha2::{Digest, Sha512};
    let replay = replay();
    let get = async |target: &str, claims: &Value| {
        let authorization = bearer(Algorithm::HS512, "secret", claims);
        let lines = [&format!("GET {target} HTTP/1.1"), "Host: x", "Connection: close"].map(str::to_owned);
        let (status, _, body) =
            replay.http(&format!("{}\r\nAuthorization: {authorization}\r\n\r\n", lines.join("\r\n"))).await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    within_a_minute(async {
        assert_eq!(get("/v1/accounts", &claims()).await, (200, json!([])));
        let target = "/v1/candles/minutes/1?market=KRW-BTC&to=2026-01-01T00%3A00%3A00Z&count=2";
        let plain = "market=KRW-BTC&to=2026-01-01T00:00:00Z&count=2";
        let hash: String = Sha512::digest(plain).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut signed = claims();
        signed["query_hash"] = json!(hash);
        signed["query_hash_alg"] = json!("SHA512");
        assert_eq!(get(target, &signed).await.0, 200);
        assert_eq!(get(target, &signed).await.1["error"]["name"], "nonce_used");
        let (status, error) = get(target, &claims()).await;
        assert_eq!((status, &error["error"]["name"]), (401, &json!("invalid_query_payload")));
        let (status, _, body) = replay.get("/v1/accounts").await;
        assert_eq!((status, &parse(&body)["error"]["name"]), (401, &json!("jwt_verification")));
    });
}

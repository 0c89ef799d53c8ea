//! Whose fault a refusal is: what it costs the recording, and what is said of it.

use super::*;

const TRADE: &[u8] = br#"{"type":"trade","code":"KRW-BTC"}"#;

/// The slow retry is no shorter than this; the longest backoff is a tenth of it.
const SLOW: Duration = Duration::from_secs(300);

impl Rig {
    /// Dials and opens, brings data if `live`, then the error and the close; how long until the next attempt.
    fn refused(&mut self, live: bool, error: &str) -> Duration {
        self.wait();
        self.act(|session, now| session.handle_opened(now, "a".into()));
        if live {
            self.data(TRADE);
        }
        self.data(error.as_bytes());
        self.act(|session, now| session.handle_closed(now, "closed"));
        self.session.poll_deadline().unwrap() - self.now
    }

    fn told(&self) -> Vec<(Objection, &str)> {
        let refused = self.events.iter().filter_map(|event| match event {
            Notice::Refused { objection, reason, .. } => Some((*objection, reason.as_str())),
            _ => None,
        });
        refused.collect()
    }
}

fn error(name: &str) -> String {
    format!(r#"{{"error":{{"name":{name},"message":"m"}}}}"#)
}

#[test]
fn a_first_request_is_given_up_slowly_only_for_known_faults() {
    for name in ["\"WRONG_FORMAT\"", "\"No Ticket\"", "\"NO_TYPE\"", "\"noCodes\"", "\"invalid_params\""] {
        assert!(Rig::start().refused(false, &error(name)) >= SLOW, "{name}");
    }
    for name in ["\"INTERNAL_SERVER_ERROR\"", "\"SERVICE_UNAVAILABLE\"", "\"\"", "null", "404", "\"NEVER_HEARD_OF\""] {
        let mut rig = Rig::start();
        for _ in 0..12 {
            assert!(rig.refused(false, &error(name)) <= Duration::from_secs(30), "{name}");
        }
        assert_eq!(rig.told(), [], "nobody has to change anything");
    }
    let null = r#"{"error":null}"#;
    assert!(Rig::start().refused(false, null) <= Duration::from_secs(30));
}

#[test]
fn a_request_that_was_served_is_never_given_up_slowly() {
    let mut rig = Rig::start();
    rig.refused(true, &error("\"INTERNAL_SERVER_ERROR\""));
    let wrong = error("\"WRONG_FORMAT\"");
    for round in 1..=10 {
        assert!(rig.refused(false, &wrong) <= Duration::from_secs(30));
        let told = usize::from(round >= 5);
        assert_eq!(rig.told().len(), told, "round {round}: an accident is no news, a habit is, once");
    }
    assert_eq!(rig.told(), [(Objection::ServedRequest, "WRONG_FORMAT: m")]);
    // Another request has yet to be served; the one before stays known.
    rig.act(|session, now| session.handle_request(now, request("KRW-ETH")));
    assert!(rig.refused(false, &wrong) >= SLOW);
    rig.act(|session, now| session.handle_request(now, request("KRW-BTC")));
    assert!(rig.refused(false, &wrong) <= Duration::from_secs(30));
}

#[test]
fn without_keys_an_error_about_them_is_the_exchanges_own() {
    let mut rig = Rig::start();
    assert!(rig.refused(false, &error("\"INVALID_AUTH\"")) <= Duration::from_secs(30));
    assert_eq!(rig.told(), []);
    let cause = rig.events.iter().find_map(|event| match event {
        Notice::Lost { cause, .. } => Some(cause.as_str()),
        _ => None,
    });
    assert_eq!(cause, Some("the exchange reported an error (INVALID_AUTH: m), closed"));
}

#[test]
fn keys_that_worked_may_have_expired_and_the_way_out_is_told() {
    let mut rig = Rig::private();
    rig.refused(true, &error("\"INTERNAL_SERVER_ERROR\""));
    let pauses = [(); 4].map(|()| rig.refused(false, &error("\"INVALID_AUTH\"")) >= SLOW);
    assert_eq!(pauses, [false, false, true, true], "one may be an accident");
    let [(objection, reason)] = rig.told()[..] else { panic!("{:?}", rig.told()) };
    assert_eq!(objection, Objection::WorkingCredentials);
    for part in ["invalid_auth", "expire after a year", "issue new ones", "restart the recorder"] {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn keys_that_never_worked_are_not_said_to_have_expired() {
    let mut rig = Rig::private();
    assert!(rig.refused(false, &error("\"INVALID_AUTH\"")) >= SLOW);
    assert_eq!(rig.told(), [(Objection::Credentials, "invalid_auth: the keys are not accepted")]);
    // An address that may not use them is no matter of their age.
    let mut rig = Rig::private();
    rig.refused(true, &error("\"INTERNAL_SERVER_ERROR\""));
    rig.refused(false, &error("\"no_authorization_ip\""));
    assert!(!rig.told()[0].1.contains("expire"), "{:?}", rig.told());
}

#[test]
fn an_upgrade_is_refused_for_the_keys_only_where_it_had_some() {
    for (status, body, slow) in [
        (401, r#"{"error":{"name":"expired_access_key"}}"#, true),
        (403, r#"{"error":{"name":"out_of_scope"}}"#, true),
        (403, "<html>403 Forbidden CloudFront</html>", false),
        (200, "<html>maintenance</html>", false),
        (301, "", false),
        (502, "Bad Gateway", false),
    ] {
        let answer = Answer { status, body: body.into(), ..Answer::default() };
        let error = DialError { answer: Some(Box::new(answer)), ..DialError::new(Stage::Upgrade, "HTTP") };
        for (mut rig, signed) in [(Rig::private(), true), (Rig::start(), false)] {
            rig.wait();
            rig.act(|session, now| session.handle_dial_failed(now, &error));
            let pause = rig.session.poll_deadline().unwrap() - rig.now;
            assert_eq!(pause >= SLOW, slow && signed, "{status} {body} {signed}");
            assert_eq!(rig.told().len(), usize::from(slow && signed));
        }
    }
}

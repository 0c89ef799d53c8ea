//! Attribution of refusals: their cost to the recording, and the notices about them.

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

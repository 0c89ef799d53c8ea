//! Whether what was asked for is what comes.

use super::rig::*;
use crate::support::json::{asks_for_list, requested_codes};
use std::time::Duration;
use upbit_recorder::connection::session::Settings;
use upbit_recorder::connection::{Notice, Payload, Suspect};
use upbit_recorder::tape::words::{Stage, SubscribeReason};
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::subscription::{Format, Request, Subscription};

fn rig(kinds: &[&str], codes: &[&str]) -> Rig {
    let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
    let of = |kind: &&str| Subscription { kind: (*kind).into(), codes: codes.clone(), ..Subscription::default() };
    let request = Request { subscriptions: kinds.iter().map(of).collect(), format: Format::Simple };
    let settings = Settings { feed: Feed::Public, config: config(), credentials: None };
    Rig::asking(&request, settings, 64)
}

/// The next notice; batches before it are thrown away.
async fn notice(rig: &mut Rig) -> Notice {
    loop {
        if let Payload::Notice(notice) = rig.delivery().await.payload {
            return notice;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silent_streams_are_one_notice_with_all_of_them() {
    let mut rig = rig(&["trade", "orderbook"], &["KRW-BTC", "krw-eth"]);
    let mut server = rig.subscribed().await;
    let begin = rig.clock.now();
    send(&mut server, r#"{"ty":"trade","cd":"KRW-BTC"}"#).await;
    send(&mut server, r#"{"ty":"orderbook","cd":"KRW-BTC"}"#).await;
    rig.tasks.spawn(idle(server));
    assert!(matches!(notice(&mut rig).await, Notice::Live { .. }));
    let streams = vec!["krw-eth_orderbook".to_owned(), "krw-eth_trade".to_owned()];
    assert_eq!(notice(&mut rig).await, Notice::Silent { streams });
    assert_eq!(rig.clock.now() - begin, Duration::from_secs(10));
    rig.sleep(Duration::from_secs(3600)).await;
    assert!(rig.inbox.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_exchanges_list_is_compared_once_after_the_first_data() {
    let mut rig = rig(&["trade"], &["KRW-BTC", "KRW-ETH"]);
    let mut server = rig.subscribed().await;
    send(&mut server, r#"{"ty":"trade","cd":"KRW-BTC"}"#).await;
    send(&mut server, r#"{"ty":"trade","cd":"KRW-ETH"}"#).await;
    assert_eq!(text_frame(&mut server).await, "PING");
    let question = text_frame(&mut server).await;
    assert!(question.ends_with(r#"},{"method":"LIST_SUBSCRIPTIONS"},{"format":"SIMPLE"}]"#), "{question}");
    let reply = r#"{"mthd":"LIST_SUBSCRIPTIONS","rslt":[{"type":"trade","codes":["KRW-BTC","KRW-XRP"]}],"tckt":"t"}"#;
    send(&mut server, reply).await;
    assert!(matches!(notice(&mut rig).await, Notice::Live { .. }));
    let missing = vec!["KRW-ETH_trade".to_owned()];
    let unexpected = vec!["KRW-XRP_trade".to_owned()];
    assert_eq!(notice(&mut rig).await, Notice::Mismatch { missing, unexpected });
    send(&mut server, reply).await;
    rig.tasks.spawn(idle(server));
    assert_eq!(rig.objects().await[0], reply, "the reply itself is kept");
    assert!(rig.inbox.try_recv().is_err());
}

/// Sends tickers that move every second, answering nothing else, until the connection is gone.
async fn moving_ticker(mut server: Server, rig_clock: upbit_recorder::clock::Clock) -> Vec<String> {
    let mut heard = Vec::new();
    let mut volume = 0;
    let mut next = rig_clock.now();
    loop {
        tokio::select! {
            frame = read(&mut server) => match frame {
                Some(Some(text)) => heard.push(text),
                Some(None) => {}
                None => return heard,
            },
            () = upbit_recorder::clock::sleep_until(Some(next)) => {
                next += Duration::from_secs(1);
                volume += 1;
                let ticker = format!(r#"{{"ty":"ticker","cd":"KRW-BTC","atv":{volume}.5,"atv24h":1}}"#);
                if try_send(&mut server, &ticker).await.is_err() {
                    return heard;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mute_trade_stream_is_asked_for_again_and_then_left() {
    let mut rig = rig(&["trade", "ticker"], &["KRW-BTC"]);
    let mut server = rig.subscribed().await;
    send(&mut server, r#"{"ty":"trade","cd":"KRW-BTC"}"#).await;
    assert!(matches!(notice(&mut rig).await, Notice::Live { .. }));
    let (clock, begin) = (rig.clock, rig.clock.now());
    let (heard_sender, heard) = tokio::sync::oneshot::channel();
    rig.tasks.spawn(async move {
        let _ = heard_sender.send(moving_ticker(server, clock).await);
    });

    let Notice::Stale { streams } = notice(&mut rig).await else { panic!("not stale") };
    let [Suspect { stream, since }] = &streams[..] else { panic!("one stream: {streams:?}") };
    assert_eq!(stream, "KRW-BTC_trade");
    assert!(*since <= begin && (35..=37).contains(&(rig.clock.now() - begin).as_secs()));
    assert!(matches!(notice(&mut rig).await, Notice::Subscribed { reason: SubscribeReason::Stale, .. }));
    let Notice::Lost { stage, cause, retry_at, .. } = notice(&mut rig).await else { panic!("not lost") };
    assert_eq!((stage, &*cause), (Stage::Live, "streams went mute and stayed so"));
    assert!(retry_at.is_some());

    let heard = heard.await.unwrap();
    let questions = heard.iter().filter(|frame| asks_for_list(frame)).count();
    let requests = heard.iter().filter(|frame| requested_codes(frame).is_some()).count();
    // The first question belongs to the first data, the third to the repeated request.
    assert_eq!((questions, requests), (3, 1), "{heard:?}");
}

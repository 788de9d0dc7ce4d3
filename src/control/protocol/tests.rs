//! What goes over the wire is what the documentation says.

use super::super::report::testing;
use super::*;
use proptest::prelude::*;

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap()
}

#[test]
fn each_request_comes_back_as_it_went() {
    let change = Change {
        for_seconds: Some(7_200),
        comment: Some("c\"".into()),
        temporary: true,
        targets: vec!["445/tcp".into(), "icmp".into()],
        ..Change::new(Op::Allow, "")
    };
    let with_kinds = Request::Subscribe { kinds: vec![Kind::Blocked, Kind::Lost] };
    for request in Request::all().into_iter().chain([with_kinds, Request::Rules { from: 7 }, Request::Change(change)]) {
        let line = request.to_line();
        assert_eq!(Request::from_line(without_end(&line)), Ok(request), "{}", String::from_utf8_lossy(&line));
    }
}

#[test]
fn the_list_of_all_requests_is_complete() {
    let refusal = Request::from_line(br#"{"v":1,"request":"?"}"#).unwrap_err();
    let known: Vec<&str> = refusal.message.split('`').skip(1).step_by(2).filter(|name| *name != "?").collect();
    let listed = Request::all().map(|request| {
        let value = serde_json::to_value(&request).unwrap();
        value.as_str().map(str::to_owned).or_else(|| value.as_object()?.keys().next().cloned()).unwrap()
    });
    assert_eq!(known, listed);
}

#[test]
fn the_lines_are_as_the_documentation_shows() {
    for (line, request) in [
        (r#"{"v":1,"request":"status"}"#, Request::Status),
        (r#"{"v":1,"request":{"rules":{"from":1000}}}"#, Request::Rules { from: 1000 }),
        (r#"{"v":1,"request":{"rules":{}}}"#, Request::Rules { from: 0 }),
        (
            r#"{"v":1,"request":{"change":{"op":"unblock","target":"80"}}}"#,
            Request::Change(Change::new(Op::Unblock, "80")),
        ),
        (
            r#"{"v":1,"request":{"change":{"op":"block","target":["192.0.2.1","445/tcp"],"for_seconds":600}}}"#,
            Request::Change(Change {
                targets: vec!["192.0.2.1".into(), "445/tcp".into()],
                for_seconds: Some(600),
                ..Change::new(Op::Block, "")
            }),
        ),
        (
            r#"{"v":1,"request":{"pause":{"what":"enforcement"}}}"#,
            Request::Pause { what: Activity::Enforcement, for_seconds: None },
        ),
        (r#"{"v":1,"request":{"panic":{}}}"#, Request::Panic { for_seconds: None, force: false }),
        (r#"{"v":1,"request":{"resume":{"what":"panic"}}}"#, Request::Resume { what: Resumed::Panic, force: false }),
        (r#"{"v":1,"request":{"force":"undo"}}"#, Request::Force(Forcible::Undo)),
        (
            r#"{"v":1,"request":{"subscribe":{"kinds":["blocked","would-block"]}}}"#,
            Request::Subscribe { kinds: vec![Kind::Blocked, Kind::WouldBlock] },
        ),
    ] {
        assert_eq!(Request::from_line(line.as_bytes()), Ok(request), "{line}");
    }
    let refusal = Refusal::new(RefusalKind::NotAllowed, "no").detailed(["why".to_owned()]);
    assert_eq!(
        answer_line(&Err(refusal)),
        b"{\"v\":1,\"error\":{\"kind\":\"not-allowed\",\"message\":\"no\",\"details\":[\"why\"]}}\n"
    );
    assert_eq!(answer_line(&Ok(Answer::Subscribed)), b"{\"v\":1,\"ok\":\"subscribed\"}\n");
}

#[test]
fn answers_and_refusals_come_back_as_they_went() {
    for outcome in [
        Ok(Answer::Status(Box::new(testing::status()))),
        Ok(Answer::Rules(testing::rules())),
        Ok(Answer::Stats(Box::new(testing::stats()))),
        Ok(Answer::Audit(Box::new(testing::audit()))),
        Ok(Answer::Connections(testing::connections())),
        Ok(Answer::Incidents(testing::incidents())),
        Ok(Answer::Subscribed),
        Ok(Answer::Done(Done::new("it").warning(["that".to_owned()]))),
        Err(Refusal::new(RefusalKind::Refused, "no")),
    ] {
        assert_eq!(read_answer(without_end(&answer_line(&outcome))), Ok(outcome));
    }
}

#[test]
fn an_answer_of_a_later_pfw_is_read_with_what_is_known_of_it() {
    let line = br#"{"v":1,"ok":{"done":{"changed":["x"],"later":7}},"more":[]}"#;
    assert_eq!(read_answer(line), Ok(Ok(Answer::Done(Done::new("x")))));
}

#[test]
fn what_is_no_request_is_refused_in_bounded_words() {
    let long = format!(r#"{{"v":1,"request":"{}"}}"#, "x".repeat(60_000));
    for (line, kind) in [
        ("", RefusalKind::Malformed),
        ("{", RefusalKind::Malformed),
        ("[]", RefusalKind::Malformed),
        (r#"{"request":"status"}"#, RefusalKind::Malformed),
        (r#"{"v":2,"request":"fly"}"#, RefusalKind::Version),
        (r#"{"v":1,"request":"status","user":0}"#, RefusalKind::Malformed),
        (r#"{"v":1,"v":1,"request":"status"}"#, RefusalKind::Malformed),
        (r#"{"v":1,"request":{"rules":{"form":3}}}"#, RefusalKind::Malformed),
        (r#"{"v":1,"request":{"rules":{"from":-3}}}"#, RefusalKind::Malformed),
        (r#"{"v":1,"request":"status"} {"v":1,"request":"stop"}"#, RefusalKind::Malformed),
        (&"[".repeat(60_000), RefusalKind::Malformed),
        (&long, RefusalKind::Malformed),
    ] {
        let refusal = Request::from_line(line.as_bytes()).unwrap_err();
        assert_eq!(refusal.kind, kind, "{refusal}");
        assert!(refusal.message.chars().count() <= MAX_QUOTED + 3, "{refusal}");
    }
}

#[test]
fn a_thousand_errors_are_a_hundred_and_a_number() {
    let refusal = Refusal::new(RefusalKind::Refused, "m").detailed((0..1000).map(|n| n.to_string()));
    assert_eq!(refusal.details.len(), MAX_LINES + 1);
    assert_eq!(refusal.details[MAX_LINES], "and 900 more");
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_a_bounded_refusal(line in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(refusal) = Request::from_line(&line) {
            prop_assert!(refusal.message.chars().count() <= MAX_QUOTED + 3);
        }
        let _ = read_answer(&line);
    }

    #[test]
    fn a_request_with_a_byte_changed_is_no_surprise(
        at in 0_usize..60,
        byte in any::<u8>(),
        which in 0_usize..Request::all().len(),
    ) {
        let mut line = Request::all()[which].to_line();
        line.pop();
        let at = at % line.len();
        line[at] = byte;
        match Request::from_line(&line) {
            Ok(request) => prop_assert_eq!(Request::from_line(without_end(&request.to_line())), Ok(request)),
            Err(refusal) => prop_assert!(refusal.message.chars().count() <= MAX_QUOTED + 3),
        }
    }
}

//! Clients that are too many, too slow, or no clients at all.

use super::{connect, enforce, outcome, status};
use crate::Case;
use crate::common::PATIENCE;
use crate::world::World;
use pfw::control::client::{Error, ask};
use pfw::control::limits::{MAX_CLIENTS_OF_USER, MAX_REQUEST};
use pfw::control::protocol::read_answer;
use pfw::control::{Answer, Change, Op, RefusalKind, Request};
use std::fs;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("hostile_clients_hurt_nobody", hostile_clients_hurt_nobody),
    ("a_hundred_clients_at_once_are_all_answered", a_hundred_clients_are_all_answered),
    (
        "of_a_hundred_clients_that_change_rules_at_once_none_loses_its_change",
        of_a_hundred_clients_none_loses_its_change,
    ),
];

/// Asks for the status while something goes on elsewhere; within 50 ms, as others are to be served.
fn is_served_quickly() {
    let start = Instant::now();
    let stream = connect();
    (&stream).write_all(&Request::Status.to_line()).expect("sent");
    assert!(matches!(outcome(&stream), Ok(Answer::Status(_))));
    // Ten times the figure, for a busy machine; the best of some is held against the figure itself.
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

fn hostile_clients_hurt_nobody() {
    let world = World::new();
    let pfw = enforce(&world, "{}", []);
    let slow = connect();
    (&slow).write_all(b"{\"v\":1,").expect("sent");
    let silent = connect();
    is_served_quickly();

    let huge = connect();
    let sending = huge.try_clone().expect("cloned");
    let sender = std::thread::spawn(move || {
        // It is cut off on the way.
        let _ = (&sending).write_all(&vec![b'x'; 100 * MAX_REQUEST]);
    });
    assert_eq!(outcome(&huge).map_err(|refusal| refusal.kind), Err(RefusalKind::TooLong));
    sender.join().expect("it ends");
    is_served_quickly();

    let mut garbage: Vec<u8> = (0..50_000_u32).map(|n| u8::try_from(n * 7 % 251).expect("small")).collect();
    garbage.extend_from_slice(b"\nGET / HTTP/1.0\r\n\r\n[[[[\n{\"v\":1,\"request\":\"fly\"}\n{\"v\":9}\n");
    let noisy = connect();
    (&noisy).write_all(&garbage).expect("sent");
    noisy.shutdown(std::net::Shutdown::Write).expect("shut");
    let mut answers = Vec::new();
    (&noisy).read_to_end(&mut answers).expect("read");
    for line in answers.split_inclusive(|&byte| byte == b'\n') {
        assert!(read_answer(line).expect("an answer").is_err() && line.len() < 1_000);
    }

    // A client that never reads its answers is left; what it asked for costs a page each.
    let deaf = connect();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).expect("set");
    while (&deaf).write_all(&Request::Rules { from: 0 }.to_line().repeat(100)).is_ok() {}
    is_served_quickly();

    assert_eq!(outcome(&slow).map_err(|refusal| refusal.kind), Err(RefusalKind::TooSlow));
    assert_eq!(outcome(&silent).map_err(|refusal| refusal.kind), Err(RefusalKind::TooSlow));
    let best = (0..20).map(|_| {
        let start = Instant::now();
        is_served_quickly();
        start.elapsed()
    });
    assert!(best.min().expect("some") < Duration::from_millis(50));
    drop((deaf, noisy, huge));
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_hundred_clients_are_all_answered() {
    let world = World::new();
    let pfw = enforce(&world, "{}", []);
    let answered: Vec<(Duration, bool)> = std::thread::scope(|scope| {
        let client = || {
            let start = Instant::now();
            let stream = connect();
            // Who is refused finds the door closed.
            let _ = (&stream).write_all(&Request::Status.to_line());
            match outcome(&stream) {
                Ok(Answer::Status(_)) => (start.elapsed(), true),
                Err(refusal) if refusal.kind == RefusalKind::Busy => (start.elapsed(), false),
                other => panic!("{other:?}"),
            }
        };
        let clients: Vec<_> = (0..100).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().expect("answered")).collect()
    });
    let served = answered.iter().filter(|(_, served)| *served).count();
    assert!(served >= MAX_CLIENTS_OF_USER, "{served} of 100");
    assert!(answered.iter().all(|(time, _)| *time < Duration::from_secs(2)), "{answered:?}");
    // The commands come again until there is a place.
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..100).map(|_| scope.spawn(|| ask(None, &Request::Status).expect("in the end").0)).collect();
        for client in clients {
            assert!(matches!(client.join().expect("answered"), Answer::Status(_)));
        }
    });
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

/// Of a hundred clients so many change the rules; the others ask.
const CHANGES: usize = 30;

/// Asks until there is a place.
fn ask_patiently(request: &Request) -> Result<Answer, Error> {
    let start = Instant::now();
    loop {
        match ask(None, request) {
            Err(Error::Refused(refusal)) if refusal.kind == RefusalKind::Busy && start.elapsed() < 3 * PATIENCE => {}
            other => return other.map(|(answer, _)| answer),
        }
    }
}

fn of_a_hundred_clients_none_loses_its_change() {
    let world = World::new();
    let pfw = enforce(&world, "{}", []);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|n| {
                let change = Change::new(Op::Block, format!("198.51.100.{n}"));
                let request = if n < CHANGES { Request::Change(change) } else { Request::Status };
                scope.spawn(move || ask_patiently(&request).expect("answered"))
            })
            .collect();
        for client in clients {
            let answer = client.join().expect("answered");
            assert!(matches!(answer, Answer::Done(_) | Answer::Status(_)), "{answer:?}");
        }
    });
    let text = fs::read_to_string(world.path("rules.json")).expect("there");
    for n in 0..CHANGES {
        assert!(text.contains(&format!("\"198.51.100.{n}\"")), "{n} in {text}");
    }
    assert_eq!(status(&world)["rules"]["count"], CHANGES);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

//! The line to pfw: requests go out, answers and events come in, over the control socket and nothing else. It goes on
//! trying when the connection is lost.

use super::event::Event;
use super::state::{Incoming, News, Problem};
use crate::control::client::{Client, Error, Events, ask};
use crate::control::{Answer, RefusalKind, Request};
use crate::text::time;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread;
use std::time::Duration;

/// Events that are handed on at once at most.
const BATCH: usize = 512;
/// How long it waits before it tries to connect again.
const AGAIN: Duration = Duration::from_millis(500);

/// Asks for the status: whether there is a pfw that answers.
///
/// # Errors
///
/// Why there is none.
pub fn answer(path: Option<&Path>, request: &Request) -> Result<Answer, Error> {
    let (mut answer, _) = ask(path, request)?;
    if let Answer::Status(status) = &mut answer {
        status.since = time(&status.since);
    }
    Ok(answer)
}

/// Meets requests one after the other, until nobody has any more or nobody wants the answers.
pub fn meet(path: Option<&Path>, requests: &Receiver<Request>, out: &SyncSender<Incoming>) {
    for request in requests {
        let answer = answer(path, &request).map_err(|error| problem(&error));
        if out.send(Incoming::News(News::Answer { request, answer })).is_err() {
            return;
        }
    }
}

/// Why a request was not met, with the first of the further lines.
fn problem(error: &Error) -> Problem {
    let Error::Refused(refusal) = error else { return Problem { words: error.to_string(), needs_force: false } };
    let first = refusal.details.first().map(|detail| format!(": {detail}"));
    let words = format!("{refusal}{}", first.unwrap_or_default());
    Problem { words, needs_force: refusal.kind == RefusalKind::NeedsForce }
}

/// Hands on events until nobody wants them any more; connects again whenever the connection is lost.
pub fn follow(path: Option<&Path>, out: &SyncSender<Incoming>) {
    let tell = |news| out.send(Incoming::News(news)).is_ok();
    loop {
        let why = match Client::connect(path).and_then(|client| client.subscribe(Vec::new())) {
            Ok(mut events) => {
                if !tell(News::Up) || !hand_on(&mut events, &tell) {
                    return;
                }
                "pfw has ended, or closed the connection".to_owned()
            }
            Err(error) => error.to_string(),
        };
        if !tell(News::Down(why)) {
            return;
        }
        thread::sleep(AGAIN);
    }
}

/// Hands events on until the connection ends. Whether anybody still wants them.
fn hand_on(events: &mut Events, tell: &impl Fn(News) -> bool) -> bool {
    let mut batch = Vec::new();
    while let Ok(line) = events.next_line()
        && !line.is_empty()
    {
        batch.extend(Event::read(&line));
        if (batch.len() >= BATCH || !events.has_more()) && !tell(News::Events(std::mem::take(&mut batch))) {
            return false;
        }
    }
    true
}

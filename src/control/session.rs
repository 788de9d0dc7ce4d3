//! One client's side of the conversation: bytes in, requests and bytes out. Knows no socket and no clock.

use super::limits::{MAX_PENDING, MAX_REQUEST, PATIENCE};
use super::lines::Lines;
use super::protocol::{Answer, Outcome, Refusal, RefusalKind, Request, answer_line};
use crate::record::Formatter;
use crate::record::tap::{Batch, Kinds, Missed};
use std::time::Instant;

/// A conversation.
#[derive(Debug)]
pub(super) struct Session {
    input: Lines,
    /// Nothing more will come.
    ended: bool,
    state: State,
    output: Output,
}

#[derive(Debug)]
enum State {
    /// A request is expected, since then.
    Listening(Instant),
    /// One is being met.
    Waiting,
    /// Events are sent; what the client sends is not read any more.
    Subscribed {
        kinds: Kinds,
        /// What it did not read in time and has not been told.
        missed: Missed,
    },
    /// What waits is sent, and that is the end.
    Closing,
}

/// Bytes that wait to be sent.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// Since when the client has not taken any.
    since: Option<Instant>,
}

impl Session {
    /// A client has come.
    pub(super) fn new(now: Instant) -> Self {
        Self { input: Lines::default(), ended: false, state: State::Listening(now), output: Output::default() }
    }

    /// Takes in what the client sent.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    /// The client sends no more.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next request, if it is time for one. What is none is answered here.
    pub(super) fn next_request(&mut self, now: Instant) -> Option<Request> {
        while let State::Listening(since) = self.state {
            let line = match self.input.next() {
                Ok(Some(line)) => line,
                Ok(None) if self.ended => {
                    self.state = State::Closing;
                    return None;
                }
                Ok(None) if now.saturating_duration_since(since) >= PATIENCE => {
                    self.refuse_and_close(RefusalKind::TooSlow, "no request came in time", now);
                    return None;
                }
                Ok(None) => return None,
                Err(_) => {
                    let message = format!("a request has {MAX_REQUEST} bytes at most");
                    self.refuse_and_close(RefusalKind::TooLong, &message, now);
                    return None;
                }
            };
            match Request::from_line(&line) {
                Ok(request) => {
                    self.state = State::Waiting;
                    return Some(request);
                }
                Err(refusal) => {
                    self.output.add(&answer_line(&Err(refusal)), now);
                    // A client that never reads what it is told is not to be told for ever.
                    let enough = self.output.waiting() > MAX_PENDING;
                    self.state = if enough { State::Closing } else { State::Listening(now) };
                }
            }
        }
        None
    }

    fn refuse_and_close(&mut self, kind: RefusalKind, message: &str, now: Instant) {
        self.output.add(&answer_line(&Err(Refusal::new(kind, message))), now);
        self.state = State::Closing;
    }

    /// Answers the request that is being met.
    pub(super) fn answer(&mut self, outcome: &Outcome, now: Instant) {
        if matches!(self.state, State::Waiting) {
            self.output.add(&answer_line(outcome), now);
            self.state = State::Listening(now);
        }
    }

    /// Sends events of these kinds from now on.
    pub(super) fn subscribe(&mut self, kinds: Kinds, now: Instant) {
        self.answer(&Ok(Answer::Subscribed), now);
        self.state = State::Subscribed { kinds, missed: Missed::default() };
    }

    /// What it has subscribed to.
    pub(super) fn subscription(&self) -> Kinds {
        match self.state {
            State::Subscribed { kinds, .. } => kinds,
            _ => Kinds::default(),
        }
    }

    /// Sends those of the events that are wanted, as far as there is room.
    pub(super) fn publish(&mut self, batch: &Batch, formatter: &mut Formatter, now: Instant) {
        let State::Subscribed { kinds, missed } = &mut self.state else { return };
        let kinds = *kinds;
        missed.add(batch.missed(), kinds);
        for (kind, line) in batch.lines().filter(|&(kind, _)| kinds.contains(kind)) {
            // What was missed is told before what comes behind it.
            tell(missed, &mut self.output, formatter, now);
            if missed.lost().is_none() && self.output.has_room(line.len()) {
                self.output.add(line, now);
            } else {
                missed.count(kind, batch.span());
            }
        }
    }

    /// What is to be sent now.
    pub(super) fn to_send(&self) -> &[u8] {
        self.output.bytes.get(self.output.sent..).unwrap_or_default()
    }

    /// So many bytes of it were sent.
    pub(super) fn sent(&mut self, bytes: usize, formatter: &mut Formatter, now: Instant) {
        self.output.sent(bytes, now);
        if let State::Subscribed { missed, .. } = &mut self.state {
            tell(missed, &mut self.output, formatter, now);
        }
    }

    /// Whether what the client sends is to be read.
    pub(super) fn wants_to_read(&self) -> bool {
        matches!(self.state, State::Listening(_)) && !self.ended
    }

    /// Whether the conversation is over: all is said, or the client does not listen.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let stuck = self.output.since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        match self.state {
            State::Closing => self.to_send().is_empty() || stuck,
            // Who does not read events misses some.
            State::Subscribed { .. } => false,
            State::Listening(_) | State::Waiting => stuck,
        }
    }

    /// When something is to be done though nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let idle = match self.state {
            State::Listening(since) => Some(since + PATIENCE),
            _ => None,
        };
        let stuck = match self.state {
            State::Subscribed { .. } => None,
            _ => self.output.since.map(|since| since + PATIENCE),
        };
        idle.into_iter().chain(stuck).min()
    }
}

/// Tells a subscriber what it missed, if there is room.
fn tell(missed: &mut Missed, output: &mut Output, formatter: &mut Formatter, now: Instant) {
    /// Half of what may wait must have been read before: otherwise every other line would tell of a loss.
    const ENOUGH: usize = MAX_PENDING / 2;
    let Some(lost) = missed.lost() else { return };
    if output.has_room(ENOUGH) {
        let mut line = Vec::new();
        formatter.lost(&mut line, &lost);
        output.add(&line, now);
        *missed = Missed::default();
    }
}

impl Output {
    fn add(&mut self, bytes: &[u8], now: Instant) {
        self.bytes.extend_from_slice(bytes);
        self.since.get_or_insert(now);
    }

    fn sent(&mut self, bytes: usize, now: Instant) {
        self.sent = (self.sent + bytes).min(self.bytes.len());
        self.since = Some(now);
        if self.sent == self.bytes.len() {
            // What a large answer took goes back.
            *self = Self::default();
        } else if self.sent >= MAX_PENDING {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting() + bytes <= MAX_PENDING
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::read_answer;
    use super::*;
    use crate::record::tap::{Kind, tap};
    use crate::record::{Format, Lost, LostCause};
    use crate::time::Timestamp;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn formatter() -> Formatter {
        Formatter::new(Format::Json, TimeZone::UTC)
    }

    fn answers(session: &mut Session) -> Vec<Outcome> {
        let bytes = session.to_send().to_vec();
        session.sent(bytes.len(), &mut formatter(), Instant::now());
        bytes.split_inclusive(|&byte| byte == b'\n').map(|line| read_answer(line).unwrap()).collect()
    }

    fn kind(outcome: &Outcome) -> RefusalKind {
        outcome.as_ref().unwrap_err().kind
    }

    #[test]
    fn requests_are_met_one_after_the_other() {
        let now = Instant::now();
        let mut session = Session::new(now);
        session.read(&[Request::Status.to_line(), Request::Reload.to_line()].concat());
        assert_eq!(session.next_request(now), Some(Request::Status));
        assert_eq!(session.next_request(now), None, "the first is not answered yet");
        assert!(!session.wants_to_read());
        session.answer(&Err(Refusal::new(RefusalKind::Refused, "no")), now);
        assert_eq!(session.next_request(now), Some(Request::Reload));
        session.end();
        session.answer(&Ok(Answer::Subscribed), now);
        assert_eq!(session.next_request(now), None);
        assert!(!session.is_over(now), "two answers wait");
        assert_eq!(answers(&mut session).len(), 2);
        assert!(session.is_over(now));
    }

    #[test]
    fn nonsense_is_answered_and_the_next_line_counts() {
        let now = Instant::now();
        let mut session = Session::new(now);
        session.read(b"GET / HTTP/1.1\r\n\r\n");
        session.read(&Request::Status.to_line());
        assert_eq!(session.next_request(now), Some(Request::Status));
        let refused = answers(&mut session);
        assert_eq!(refused.iter().map(kind).collect::<Vec<_>>(), [RefusalKind::Malformed; 2]);
    }

    #[test]
    fn who_sends_too_much_or_too_slowly_is_told_and_sent_away() {
        let now = Instant::now();
        let mut session = Session::new(now);
        session.read(&vec![b'x'; MAX_REQUEST + 1]);
        assert_eq!(session.next_request(now), None);
        assert_eq!(kind(&answers(&mut session)[0]), RefusalKind::TooLong);
        assert!(session.is_over(now));

        let mut session = Session::new(now);
        session.read(b"{\"v\":1");
        let late = session.deadline().unwrap();
        assert_eq!(session.next_request(now), None);
        assert!(session.to_send().is_empty());
        assert_eq!(session.next_request(late), None);
        assert_eq!(kind(&answers(&mut session)[0]), RefusalKind::TooSlow);
        assert!(session.is_over(late));
    }

    #[test]
    fn who_does_not_read_an_answer_is_left_and_who_waits_for_one_is_not() {
        let now = Instant::now();
        let mut session = Session::new(now);
        session.read(&Request::Status.to_line());
        session.next_request(now).unwrap();
        let later = now + 10 * PATIENCE;
        assert!(!session.is_over(later) && session.deadline().is_none());
        session.answer(&Ok(Answer::Subscribed), later);
        assert!(!session.is_over(later) && session.is_over(later + PATIENCE));
    }

    fn batch(n: usize) -> Batch {
        let (mut tap, outlet) = tap(TimeZone::UTC, || {});
        outlet.want(Kinds::ALL);
        let time = Timestamp::from_parts(7, 0);
        for _ in 0..n {
            tap.lost(&Lost { n: 1, cause: LostCause::KernelRing, from: time, to: time });
        }
        tap.hand_on();
        outlet.next().unwrap()
    }

    #[test]
    fn a_subscriber_that_never_reads_costs_a_bounded_buffer_and_is_told_its_loss_to_the_event() {
        let now = Instant::now();
        let mut session = Session::new(now);
        session.read(&Request::Subscribe { kinds: Vec::new() }.to_line());
        session.next_request(now).unwrap();
        session.subscribe(Kinds::ALL, now);
        let (batch, mut formatter) = (batch(100), formatter());
        for _ in 0..1_000 {
            session.publish(&batch, &mut formatter, now);
        }
        assert!(session.to_send().len() <= MAX_PENDING);
        assert!(!session.is_over(now + 100 * PATIENCE));
        let mut text = Vec::new();
        while !session.to_send().is_empty() {
            let some = session.to_send().len().min(10_000);
            text.extend_from_slice(&session.to_send()[..some]);
            session.sent(some, &mut formatter, now);
        }
        let lines: Vec<serde_json::Value> =
            text.split_inclusive(|&byte| byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect();
        let told: u64 =
            lines.iter().filter(|line| line["cause"] == "not-read").map(|line| line["n"].as_u64().unwrap()).sum();
        let got = lines.iter().filter(|line| line["cause"] == "kernel-ring-full").count() as u64;
        assert!(told > 0);
        assert_eq!(told + got, 100_000);
    }

    #[test]
    fn a_subscriber_gets_the_kinds_that_it_wanted() {
        let now = Instant::now();
        let mut session = Session::new(now);
        session.read(&Request::Subscribe { kinds: vec![Kind::Blocked] }.to_line());
        session.next_request(now).unwrap();
        session.subscribe([Kind::Blocked].into_iter().collect(), now);
        assert_eq!(answers(&mut session), [Ok(Answer::Subscribed)]);
        session.publish(&batch(3), &mut formatter(), now);
        assert!(session.to_send().is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_answered_within_bounds(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2_000), 0..20),
        ) {
            let now = Instant::now();
            let mut session = Session::new(now);
            for piece in pieces {
                session.read(&piece);
                while session.next_request(now).is_some() {
                    session.answer(&Ok(Answer::Subscribed), now);
                }
                prop_assert!(session.to_send().len() <= MAX_PENDING + 1_024);
                answers(&mut session);
            }
            session.end();
            prop_assert_eq!(session.next_request(now), None);
            answers(&mut session);
            prop_assert!(session.is_over(now));
        }
    }
}

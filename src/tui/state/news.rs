//! What pfw tells, and when it is asked.

use super::{Effect, Link, News, Pane, Problem, State};
use crate::control::{Answer, Request};
use crate::tui::event::Event;
use std::time::Duration;

/// How often pfw is asked what it does; the chart has a second to each column of dots.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often a list that is in sight is asked for.
const LIST_EVERY: Duration = Duration::from_secs(1);

impl State {
    pub(super) fn pass(&mut self, now: Duration) {
        self.now = now;
        self.notice.take_if(|notice| notice.until <= now);
        if self.asked_status.is_due(now, STATUS_EVERY) {
            self.ask(Request::Status);
        }
        if self.lacks_incidents {
            self.lacks_incidents = false;
            self.ask(Request::Incidents);
        }
        let has_list = matches!(self.pane, Pane::Rules | Pane::Connections);
        if has_list && self.asked_list.is_due(now, LIST_EVERY) {
            self.ask_for_list();
        }
    }

    pub(super) fn ask_for_list(&mut self) {
        match self.pane {
            Pane::Rules => self.ask(Request::Rules { from: self.rules.wanted() }),
            Pane::Connections => {
                self.connections.begin();
                self.ask(Request::Connections { from: 0 });
            }
            Pane::Live | Pane::Talkers | Pane::Incidents => {}
        }
    }

    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Up => {
                if self.link != Link::Up {
                    self.tell(true, "connected again");
                }
                self.link = Link::Up;
                self.lacks_incidents = true;
            }
            News::Down(_) if self.owns || self.leaving => self.effects.push(Effect::Leave),
            News::Down(why) => self.link = Link::Down(why),
            News::Events(events) => events.into_iter().for_each(|event| self.take(event)),
            News::Answer { request, answer } => self.hear_answer(&request, answer),
        }
    }

    fn take(&mut self, event: Event) {
        self.talkers.take(&event);
        let height = self.layout().map_or(0, |layout| layout.list.height.saturating_sub(1).into());
        self.incidents.take(&event, if self.pane == Pane::Incidents { height } else { 0 });
        self.log.push(event);
    }

    fn hear_answer(&mut self, request: &Request, answer: Result<Answer, Problem>) {
        match request {
            Request::Status => self.asked_status.waits = false,
            Request::Rules { .. } | Request::Connections { .. } => self.asked_list.waits = false,
            _ => {}
        }
        match answer {
            Ok(Answer::Status(status)) => {
                self.history.take(status.counts, status.uptime);
                self.status = *status;
            }
            Ok(Answer::Rules(page)) if self.icmp == Some(page.from) => self.look_for_icmp(&page),
            Ok(Answer::Rules(page)) => {
                let height = self.rows();
                self.rules.take(page, height);
            }
            Ok(Answer::Connections(page)) => {
                let height = self.rows();
                if let Some(from) = self.connections.take(page, height) {
                    self.asked_list.waits = true;
                    self.ask(Request::Connections { from });
                }
            }
            Ok(Answer::Incidents(page)) => {
                let events = page.events.iter().filter_map(|event| Event::read(event.to_string().as_bytes()));
                let height = if self.pane == Pane::Incidents { self.rows() } else { 0 };
                self.incidents.recall(events, height);
            }
            Ok(Answer::Done(done)) => {
                let words = done.warnings.iter().map(|warning| format!(" ({warning})"));
                let words = done.changed.join("; ") + &words.collect::<String>();
                self.tell(true, &words);
                // What is different now is to be seen now.
                self.asked_status.next = self.now;
                self.asked_list.next = self.now;
            }
            Ok(_) => {}
            // That the connection is lost is told by itself.
            Err(_)
                if matches!(
                    request,
                    Request::Status | Request::Rules { .. } | Request::Connections { .. } | Request::Incidents
                ) =>
            {
                self.icmp = None;
            }
            Err(problem) => self.hear_refusal(request, &problem),
        }
    }
}

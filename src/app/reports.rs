//! What the kernel says of packets beside the tap: which it dropped, which flows it lets through the machine, and how
//! it translates them.

use super::enforcement::NFLOG_GROUPS;
use super::stage::Stage;
use super::withheld::HOLD;
use crate::conntrack::{self, Change, Watch};
use crate::firewall;
use crate::host;
use crate::nflog::{Counters, Reader};
use crate::time::Timestamp;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How soon the kernel is asked again for all its translated flows after it lost notifications: it looks at its whole
/// table, which can take a tenth of a second.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How soon it is looked again for rules that translate, where there are none: the tables' names are read, and the number
/// of their latest change.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The sources of reports.
pub struct Reports {
    packets: Reader,
    translations: Translations,
    /// What was lost when that was last looked at.
    before: Counters,
    /// There was no room for a report, and not all that were there have been read since.
    is_losing: bool,
    /// All reports of what was dropped before this have been read, or are known to be missing.
    sound: Timestamp,
}

impl Reports {
    /// Binds a free group.
    pub fn open() -> io::Result<Self> {
        let packets = Reader::open_free(NFLOG_GROUPS)?;
        let (now, before) = (Timestamp::now(), packets.counters());
        let translations = Translations::Unasked { look_at: now, known: None };
        Ok(Self { packets, translations, before, is_losing: false, sound: now })
    }

    /// The group.
    pub fn group(&self) -> u16 {
        self.packets.group()
    }

    /// What can be read when there are reports.
    pub fn wake(&self) -> io::Result<OwnedFd> {
        self.packets.as_fd().try_clone_to_owned()
    }

    /// Reports that were lost so far.
    pub fn lost(&self) -> u64 {
        self.packets.counters().lost
    }

    /// Hands the reports that are there to the stage. The time of asking, if those were all.
    pub fn read(&mut self, stage: &mut Stage) -> io::Result<Option<Timestamp>> {
        let asked = Timestamp::now();
        self.translations.read(stage, asked);
        let all = self.packets.poll(Duration::ZERO, &mut |event| stage.report(event, asked))?;
        self.look_for_losses(stage, all);
        // What the kernel keeps to itself comes when its time is up; on a busy machine that can be late.
        if !all || self.packets.open_batch().is_some_and(|open| open > 0) {
            return Ok(None);
        }
        let all = self.packets.poll(Duration::ZERO, &mut |event| stage.report(event, asked))?;
        self.look_for_losses(stage, all);
        if !all {
            return Ok(None);
        }
        self.sound = asked;
        Ok(Some(asked))
    }

    /// Tells the stage if reports are being lost: the kernel takes none in from the first that there is no room for until
    /// `all` that wait have been read.
    fn look_for_losses(&mut self, stage: &mut Stage, all: bool) {
        let counters = self.packets.counters();
        let before = std::mem::replace(&mut self.before, counters);
        self.is_losing |= (before.lost, before.overruns) != (counters.lost, counters.overruns);
        if self.is_losing {
            stage.doubt(self.sound.minus(HOLD), Timestamp::now());
            self.is_losing = !all;
        }
    }

    /// Hands the last reports to the stage. The rules have gone before.
    pub fn drain(&mut self, stage: &mut Stage) -> io::Result<()> {
        let now = Timestamp::now();
        self.translations.read(stage, now);
        let drained = self.packets.drain(&mut |event| stage.report(event, now));
        self.look_for_losses(stage, true);
        drained
    }
}

/// The flows that the kernel translates. They are of interest where the machine forwards, or somebody's rules translate.
enum Translations {
    /// Nothing is translated, as far as is known.
    Unasked {
        /// When it is to be looked again for who translates.
        look_at: Timestamp,
        /// The latest change to the tables of `nf_tables` when they were looked at.
        known: Option<u32>,
    },
    /// The kernel tells.
    Told {
        watch: Watch,
        /// When the kernel is to be asked for all.
        ask_at: Option<Timestamp>,
    },
    /// It does not.
    Untold,
}

impl Translations {
    /// Hands what has changed to the stage. Where nothing is to be had, packets of translated flows look like this
    /// machine's own, which is said once and no reason to watch nothing at all.
    fn read(&mut self, stage: &mut Stage, now: Timestamp) {
        if let Self::Unasked { look_at, known } = self {
            if *look_at <= now && !stage.may_translate() {
                *look_at = now.plus(LOOK_AGAIN);
                // Asked first: what changes from here on is found the next time.
                let before = std::mem::replace(known, firewall::generation());
                stage.translate(host::translates(known.is_none() || *known != before));
            }
            if !stage.may_translate() {
                return;
            }
            *self = match Watch::open() {
                Ok(watch) => Self::Told { watch, ask_at: Some(now) },
                Err(error) => Self::give_up(&error),
            };
        }
        let Self::Told { watch, ask_at } = self else { return };
        if let Err(error) = read(watch, ask_at, stage, now) {
            *self = Self::give_up(&error);
        }
    }

    fn give_up(error: &io::Error) -> Self {
        tracing::warn!("cannot tell translated forwarded packets from this machine's own: {error}");
        Self::Untold
    }
}

fn read(watch: &mut Watch, ask_at: &mut Option<Timestamp>, stage: &mut Stage, now: Timestamp) -> io::Result<()> {
    if ask_at.is_some_and(|at| at <= now) {
        *ask_at = None;
        let flows = conntrack::translated()?;
        stage.translated(&flows, Timestamp::now());
    }
    let mut tell = |change| {
        // What the tap saw since `now` may be the last of a flow whose end is read after that.
        let heard = if matches!(change, Change::Closed(_)) { Timestamp::now() } else { now };
        stage.translation(&change, heard);
    };
    if !watch.poll(&mut tell)? {
        ask_at.get_or_insert(now.plus(ASK_AGAIN));
    }
    Ok(())
}

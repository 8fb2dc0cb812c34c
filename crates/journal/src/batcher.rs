//! Decides what goes into a batch and what happens next, and does none of it: no file, no thread, no clock.
//!
//! Callers [`Batcher::offer`]; whoever carries out [`Batcher::take`]s one [`Step`] after the other and reports it as
//! done, or as [`Batcher::failed`] for ever.

use crate::allocation::PIECE;
use crate::appended::is_written;
use crate::batch::Batch;
use crate::codec;
use crate::layout::BATCH_HEADER;
use crate::ledger::{Ledger, Mark};
use crate::pacing::{Pacing, Waiting};
use crate::segments::{FIRST_BATCH, Sizes};
use crate::{Append, AppendError, Appended, Config, Now, Poison, Position, SegmentNumber, Watermark};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use unanimo_protocol::{Digest, Durability, Epoch, Record, Time};

/// A buffer that grew beyond this is not kept for the next batch.
const KEPT_BUFFER: usize = 4 << 20;

/// When the next batch is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is.
    Now,
    /// At this time, if nothing else comes.
    At(Time),
    /// When something comes.
    Never,
}

/// The next thing to carry out.
#[derive(Debug)]
pub(crate) enum Step {
    /// Write this batch, and sync it; then [`Batcher::synced`].
    Write(Batch),
    /// Open this segment, which resumes after this batch; then [`Batcher::opened`].
    Open(SegmentNumber, Position),
    /// Allocate the next segment up to so many bytes; then [`Batcher::prepared`].
    Prepare(u64),
    /// Drop every segment before this one; then [`Batcher::dropped`].
    Drop(SegmentNumber),
    /// Remember in the manifest that all is durable; then [`Batcher::closed`].
    Close,
    /// Nothing, until this time or the next offer.
    Idle(Option<Time>),
    /// Nothing, for ever.
    End,
}

/// What the batcher starts from.
pub(crate) struct Start {
    pub(crate) epoch: Epoch,
    pub(crate) last: Position,
    pub(crate) newest: SegmentNumber,
    pub(crate) ledger: Ledger,
}

/// The journal's mind. See the module's page.
#[derive(Debug)]
pub(crate) struct Batcher {
    epoch: Epoch,
    sizes: Sizes,
    queue_bytes: usize,
    /// Whoever keeps what has ended needs no segment before this one.
    released: SegmentNumber,
    pacing: Pacing,
    ledger: Ledger,
    /// Oldest first. Offers go into the last one; more than one stands here only across the end of a segment.
    pending: VecDeque<Batch>,
    waiting: Waiting,
    /// Bytes of all entries that are pending or under way.
    queued: usize,
    /// The segment that offers go to, and where the batches end that stand in it.
    segment: SegmentNumber,
    end: u64,
    /// The plans that this segment holds. Invariant: a `Begun` stands in a segment that holds its plan before it,
    /// so that a segment kept for an open transaction is enough to resume it.
    plans: BTreeSet<Digest>,
    /// The last batch that has a number.
    last: Position,
    watermark: Watermark,
    /// The segment that is open on disk, how far it is written, and how far the one after it is allocated.
    open: SegmentNumber,
    written: u64,
    prepared: u64,
    /// Whether something came that whoever waits must hear of.
    news: bool,
    closing: Closing,
    poison: Option<Poison>,
    spare: Vec<(Vec<u8>, Vec<Mark>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    Asked,
    LastWritten,
    Closed,
}

impl Batcher {
    pub(crate) fn new(config: &Config, start: Start) -> Batcher {
        Batcher {
            epoch: start.epoch,
            sizes: Sizes::new(start.newest.next(), config.segment_size),
            queue_bytes: config.queue_bytes,
            released: SegmentNumber(0),
            pacing: Pacing::new(config.commit_interval),
            ledger: start.ledger,
            pending: VecDeque::new(),
            waiting: Waiting::default(),
            queued: 0,
            segment: start.newest.next(),
            end: FIRST_BATCH,
            plans: BTreeSet::new(),
            last: start.last,
            watermark: Watermark(start.last),
            open: start.newest,
            written: 0,
            prepared: 0,
            news: false,
            closing: Closing::No,
            poison: None,
            spare: Vec::new(),
        }
    }

    // ---- for those who append ----

    /// Takes the records of one decision, or refuses all of them.
    pub(crate) fn offer(&mut self, append: Append) -> Result<Appended, AppendError> {
        self.admit(&append)?;
        let Append { transaction, plan, records, .. } = append;
        let forced = records.iter().filter(|r| r.durability() == Durability::Forced).count() as u64;
        let written = records.iter().filter(|r| is_written(r)).count() as u64;
        if written == 0 {
            let (position, segment) = (self.watermark.0, self.segment);
            return Ok(Appended { records, position, segment, forced: false });
        }
        let need = self.need(plan.as_ref(), &records)?;
        self.make_room(need);
        let plan = plan.filter(|(digest, _)| self.plans.insert(*digest));
        let Some(batch) = self.pending.back_mut() else { return Err(AppendError::Full) };
        let before = batch.buffer.len();
        if let Some((digest, bytes)) = &plan {
            codec::put_plan(&mut batch.buffer, transaction, *digest, bytes);
        }
        for record in &records {
            codec::put_record(&mut batch.buffer, transaction, record);
            batch.marks.extend(Mark::of(transaction, record));
        }
        self.queued += batch.buffer.len() - before;
        batch.forced += forced;
        batch.lazy += written - forced;
        self.news |= self.waiting.forced == 0 && (forced > 0 || self.waiting.lazy == 0);
        self.waiting.forced += forced;
        self.waiting.lazy += written - forced;
        Ok(Appended { records, position: batch.number, segment: batch.segment, forced: forced > 0 })
    }

    fn admit(&self, append: &Append) -> Result<(), AppendError> {
        if let Some(poison) = &self.poison {
            return Err(AppendError::Poisoned(poison.clone()));
        }
        if self.closing != Closing::No {
            return Err(AppendError::Closed);
        }
        if append.epoch != self.epoch {
            return Err(AppendError::Fenced);
        }
        let given = append.plan.as_ref().map(|(digest, _)| *digest);
        let named = append.records.iter().find_map(|record| match record {
            Record::Begun(begun) => Some(begun.plan),
            _ => None,
        });
        if named.is_some() && named != given { Err(AppendError::PlanMissing) } else { Ok(()) }
    }

    /// At most so many bytes will these records need, with the plan. A full queue refuses what begins and never what
    /// goes on: how much that is, is bounded by how much may be open.
    fn need(&self, plan: Option<&(Digest, Bytes)>, records: &[Record]) -> Result<u64, AppendError> {
        let plan = plan.map_or(0, |(_, bytes)| codec::plan_bound(bytes));
        let bytes = plan + records.iter().filter(|r| is_written(r)).map(codec::bound).sum::<usize>();
        let limit = (self.sizes.least() - FIRST_BATCH) as usize - BATCH_HEADER;
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        // A beginning that comes with more, or late, carries what has been promised to somebody.
        let begins = matches!(records, [Record::Begun(_)]);
        if begins && self.queued + bytes > self.queue_bytes {
            Err(AppendError::Full)
        } else {
            Ok(bytes as u64)
        }
    }

    /// Sees to it that the last pending batch can take so many bytes more.
    fn make_room(&mut self, bytes: u64) {
        let (header, size) = (BATCH_HEADER as u64, self.sizes.of(self.segment));
        match self.pending.back() {
            Some(batch) if batch.end() + bytes <= size => return,
            Some(batch) => self.end = batch.end(),
            None => {}
        }
        if self.end + header + bytes > size {
            self.turn_the_page();
        }
        let batch = self.new_batch(false);
        self.pending.push_back(batch);
    }

    /// Offers go to the next segment from now on.
    fn turn_the_page(&mut self) {
        self.segment = self.segment.next();
        self.end = FIRST_BATCH;
        self.plans.clear();
    }

    /// A batch at the end of the segment that offers go to.
    fn new_batch(&mut self, closing: bool) -> Batch {
        let (mut buffer, mut marks) = self.spare.pop().unwrap_or_default();
        marks.clear();
        buffer.clear();
        buffer.resize(BATCH_HEADER, 0);
        self.last = Position(self.last.0 + 1);
        let (segment, number, offset) = (self.segment, self.last, self.end);
        Batch { segment, number, offset, forced: 0, lazy: 0, closing, buffer, marks }
    }

    /// Whoever keeps what has ended needs no segment before this one.
    pub(crate) fn release(&mut self, before: SegmentNumber) {
        if before > self.released {
            self.released = before;
            self.news = true;
        }
    }

    /// Asks for everything that waits to be written, and for the end.
    pub(crate) fn close(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::Asked;
            self.news = true;
        }
    }

    // ---- for the one who carries out ----

    /// What is to be done now. The caller does it, and reports it before it takes the next.
    pub(crate) fn take(&mut self, now: Now) -> Step {
        self.news = false;
        if self.poison.is_some() || self.closing == Closing::Closed {
            return Step::End;
        }
        if let Some(oldest) = self.ledger.droppable(self.released) {
            return Step::Drop(oldest);
        }
        let target = self.preparation();
        if target > self.prepared {
            return Step::Prepare(target);
        }
        let hurry = self.pending.len() > 1 || self.closing == Closing::Asked;
        match self.pacing.due(self.waiting, now.time) {
            _ if self.closing == Closing::LastWritten => Step::Close,
            due if due == Due::Now || hurry => self.take_batch(now.time),
            Due::At(at) => Step::Idle(Some(at)),
            _ => Step::Idle(None),
        }
    }

    fn take_batch(&mut self, now: Time) -> Step {
        let segment = self.pending.front().map_or(self.segment, |batch| batch.segment);
        if segment != self.open {
            return Step::Open(self.open.next(), self.watermark.0);
        }
        let batch = match self.pending.pop_front() {
            Some(batch) => batch,
            None if self.end + BATCH_HEADER as u64 > self.sizes.of(self.segment) => {
                self.turn_the_page();
                return Step::Open(self.segment, self.watermark.0);
            }
            None => self.empty_batch(),
        };
        if self.pending.is_empty() {
            self.end = batch.end();
        }
        self.waiting.forced -= batch.forced;
        self.waiting.lazy -= batch.lazy;
        self.pacing.taken(now, batch.forced + batch.lazy > 0);
        Step::Write(batch)
    }

    /// Carries the watermark on; the last one of all says that the journal was closed.
    fn empty_batch(&mut self) -> Batch {
        let closing = self.closing == Closing::Asked;
        if closing {
            self.closing = Closing::LastWritten;
        }
        self.new_batch(closing)
    }

    /// How far the next segment shall be allocated: nothing while this one is less than an eighth full, all of it once
    /// there is an eighth left, and evenly in between, so that a disk that can write both is never waited for.
    fn preparation(&self) -> u64 {
        let (size, next) = (self.sizes.of(self.open), self.sizes.of(self.open.next()));
        let beyond_eighth = self.written.saturating_sub(size / 8);
        let target = (beyond_eighth * 4).div_ceil(3) * next.div_ceil(size);
        target.next_multiple_of(PIECE).min(next)
    }

    /// The batch is durable: the watermark rises.
    pub(crate) fn synced(&mut self, batch: Batch) -> Watermark {
        for mark in &batch.marks {
            self.ledger.note(batch.segment, *mark);
        }
        self.queued -= batch.payload_len();
        self.written = batch.end();
        self.watermark = Watermark(batch.number);
        if batch.buffer.capacity() <= KEPT_BUFFER && self.spare.len() < 2 {
            self.spare.push((batch.buffer, batch.marks));
        }
        self.watermark
    }

    /// The segment is there, durable with its header and its name.
    pub(crate) fn opened(&mut self, segment: SegmentNumber) {
        self.ledger.opened(segment);
        self.open = segment;
        self.written = FIRST_BATCH;
        self.prepared = 0;
    }

    /// The next segment is allocated so far.
    pub(crate) fn prepared(&mut self, up_to: u64) {
        self.prepared = up_to;
    }

    /// The segments before this one are gone.
    pub(crate) fn dropped(&mut self, oldest: SegmentNumber) {
        self.ledger.dropped(oldest);
    }

    /// The manifest knows the end.
    pub(crate) fn closed(&mut self) {
        self.closing = Closing::Closed;
    }

    /// Something could not be carried out. What was not durable never will be.
    pub(crate) fn failed(&mut self, poison: Poison) {
        self.poison.get_or_insert(poison);
        self.pending.clear();
    }

    // ---- what can be seen ----

    /// The last durable batch.
    pub(crate) fn watermark(&self) -> Watermark {
        self.watermark
    }

    /// Why nothing more is taken.
    pub(crate) fn poison(&self) -> Option<&Poison> {
        self.poison.as_ref()
    }

    /// The segment that is open on disk. All that is durable stands in it and in those before it.
    pub(crate) fn open_segment(&self) -> SegmentNumber {
        self.open
    }

    /// The first segment that is still there.
    pub(crate) fn oldest_segment(&self) -> SegmentNumber {
        self.ledger.oldest().unwrap_or(self.open)
    }

    /// The epoch that appends must carry.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether something came that whoever waits must hear of, since the last take.
    pub(crate) fn has_news(&self) -> bool {
        self.news
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.poison.is_some() || self.closing == Closing::Closed
    }
}

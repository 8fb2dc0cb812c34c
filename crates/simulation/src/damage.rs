//! Every byte and every bit of a journal: cut short, and flipped. What was synced comes back, or the start is refused and
//! says where. It is never lost in silence, save for the very last batch while nothing was written after it.

use crate::Mistake;
use crate::world::{Image, specimen};
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use unanimo_journal::disk::File;
use unanimo_journal::{Config, Disk, Error, Replayed, Report, open};
use unanimo_protocol::planted::Plant;

/// Four segments of this size make the journal: 64 KiB.
pub(crate) const SEGMENT_SIZE: u64 = 16 << 10;
pub(crate) const SEGMENTS: usize = 4;

/// At least so many of its bytes are something else than zero.
pub(crate) const USED: usize = 40_000;

/// Bytes of a segment's header that say its version: another one is refused with both versions.
const VERSION: Range<usize> = 8..12;

/// At least so many records stand in its newest segment: a batch there is only proved by those that follow.
const NEWEST: usize = 10;

/// So many bytes are damaged by one thread at a time.
const PIECE: usize = 1024;

/// A journal that the gateway has written in the simulation, over several starts, and what it holds.
#[derive(Debug)]
pub struct Specimen {
    image: Arc<Image>,
    holds: Vec<Replayed>,
    report: Report,
}

/// What came of all that was done to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Starts that gave back everything.
    pub whole: u64,
    /// Starts that were refused, with file and offset.
    pub refused: u64,
    /// Starts without the last batch, which was hit and which nothing after it proves.
    pub without_last: u64,
}

/// One damage to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// It has only so many bytes.
    Cut(usize),
    /// This bit of this byte is another.
    Flip(usize, u8),
}

/// A part of a specimen: a file, and where in it.
#[derive(Clone, Debug)]
pub struct Piece {
    file: String,
    bytes: Range<usize>,
}

impl Specimen {
    /// Takes one from the first seed that has filled so many segments, with bodies in them that look like batches, and
    /// has gone on in the newest one.
    pub fn take() -> Option<Specimen> {
        (0..1000).find_map(|seed| {
            let image = Arc::new(specimen(seed)?);
            let mut holds = Vec::new();
            let report =
                replay(Damaged { image: image.clone(), damage: None }, |found| holds.push(found)).ok()?;
            let newest = holds.last()?.segment;
            let in_newest = holds.iter().filter(|found| found.segment == newest).count();
            (in_newest >= NEWEST).then_some(Specimen { image, holds, report })
        })
    }

    /// All its parts.
    pub fn pieces(&self) -> Vec<Piece> {
        let pieces = |(file, bytes): (&String, &Vec<u8>)| {
            let (file, len) = (file.clone(), bytes.len());
            let starts = (0..len).step_by(PIECE);
            starts
                .map(move |at| Piece { file: file.clone(), bytes: at..len.min(at + PIECE) })
                .collect::<Vec<_>>()
        };
        self.image.iter().filter(|(name, _)| name.ends_with(".journal")).flat_map(pieces).collect()
    }

    /// How much it holds.
    pub fn describe(&self) -> String {
        let bytes: usize = self.pieces().iter().map(|piece| piece.bytes.len()).sum();
        let Report { batches, records, .. } = self.report;
        format!("a journal of {bytes} bytes in {SEGMENTS} segments: {batches} batches, {records} records")
    }

    /// Cuts the file at every byte of this piece.
    pub fn cut(&self, piece: &Piece, mistake: Option<Mistake>) -> Result<Came, String> {
        self.each(piece, piece.bytes.clone().map(Damage::Cut), mistake)
    }

    /// Flips every bit of this piece.
    pub fn flip(&self, piece: &Piece, mistake: Option<Mistake>) -> Result<Came, String> {
        let bits = piece.bytes.clone().flat_map(|at| (0..8).map(move |bit| Damage::Flip(at, bit)));
        self.each(piece, bits, mistake)
    }

    fn each(
        &self,
        piece: &Piece,
        damages: impl Iterator<Item = Damage>,
        mistake: Option<Mistake>,
    ) -> Result<Came, String> {
        let _plant = Plant::new(mistake.and_then(Mistake::in_code));
        let mut came = Came::default();
        for damage in damages {
            self.one(&piece.file, damage, &mut came)
                .map_err(|why| format!("{}: {damage:?}: {why}", piece.file))?;
        }
        Ok(came)
    }

    fn one(&self, file: &str, damage: Damage, came: &mut Came) -> Result<(), String> {
        let at = match damage {
            Damage::Cut(at) | Damage::Flip(at, _) => at,
        };
        let disk = Damaged { image: self.image.clone(), damage: Some((file.to_owned(), damage)) };
        let (mut given, mut same) = (0, true);
        let replayed = replay(disk, |found| {
            same &= self.holds.get(given) == Some(&found);
            given += 1;
        });
        let missing = self.holds.len().saturating_sub(given);
        match replayed {
            Ok(_) if !same => Err("something else came back".to_owned()),
            Ok(_) if missing == 0 => {
                came.whole += 1;
                Ok(())
            }
            Ok(Report { torn: Some(torn), last, .. })
                if last.number() + 1 == self.report.last.number()
                    && torn.path.ends_with(file)
                    && torn.offset as usize <= at =>
            {
                came.without_last += 1;
                Ok(())
            }
            Ok(report) => Err(format!("{missing} records were lost in silence: {report:?}")),
            Err(Error::Damaged { path, offset, .. })
                if path.ends_with(file) && offset as usize <= at.max(512) =>
            {
                came.refused += 1;
                Ok(())
            }
            Err(Error::UnknownVersion { path, .. }) if path.ends_with(file) && VERSION.contains(&at) => {
                came.refused += 1;
                Ok(())
            }
            Err(other) => Err(other.to_string()),
        }
    }
}

impl Came {
    /// Both together.
    pub fn and(self, other: Came) -> Came {
        Came {
            whole: self.whole + other.whole,
            refused: self.refused + other.refused,
            without_last: self.without_last + other.without_last,
        }
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Came { whole, refused, without_last } = self;
        let all = whole + refused + without_last;
        write!(
            f,
            "{all}: {refused} refused, {whole} gave all, {without_last} without the last batch, which was hit"
        )
    }
}

fn replay(disk: Damaged, each: impl FnMut(Replayed)) -> Result<Report, Error> {
    open(Config { segment_size: SEGMENT_SIZE, ..Config::new("journal") }, disk)?.replay(each)
}

/// A specimen with one damage. What is written to it goes nowhere: replay reads only what stood there before.
#[derive(Debug)]
struct Damaged {
    image: Arc<Image>,
    damage: Option<(String, Damage)>,
}

impl Disk for Damaged {
    type File = DamagedFile;

    fn lock(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn ephemeral(&self) -> io::Result<Option<&'static str>> {
        Ok(None)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.image.keys().cloned().collect())
    }

    fn create(&self, _: &str) -> io::Result<DamagedFile> {
        Ok(DamagedFile { image: self.image.clone(), name: String::new(), damage: None })
    }

    fn open(&self, name: &str) -> io::Result<DamagedFile> {
        if !self.image.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let damage = self.damage.as_ref().filter(|(file, _)| file == name).map(|(_, damage)| *damage);
        Ok(DamagedFile { image: self.image.clone(), name: name.to_owned(), damage })
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn entropy(&self) -> io::Result<u64> {
        Ok(0)
    }
}

#[derive(Debug)]
struct DamagedFile {
    image: Arc<Image>,
    name: String,
    damage: Option<Damage>,
}

impl File for DamagedFile {
    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let (offset, len) = (offset as usize, self.len()? as usize);
        let bytes = self.image.get(&self.name).and_then(|bytes| bytes.get(offset..len)).unwrap_or_default();
        let read = bytes.len().min(into.len());
        into[..read].copy_from_slice(&bytes[..read]);
        if let Some(Damage::Flip(at, bit)) = self.damage
            && let Some(byte) = at.checked_sub(offset).and_then(|at| into[..read].get_mut(at))
        {
            *byte ^= 1 << bit;
        }
        Ok(read)
    }

    fn len(&self) -> io::Result<u64> {
        let whole = self.image.get(&self.name).map_or(0, Vec::len);
        let len = if let Some(Damage::Cut(at)) = self.damage { at.min(whole) } else { whole };
        Ok(len as u64)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }
}

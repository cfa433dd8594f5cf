//! Reading a store back: exactly what was saved, or a refusal.

use super::StoreError;
use super::file::{Dir, Handle, LOG};
use super::frame::{HEADER, Header, Salt};
use super::generation::MAGIC;
use super::identity::{Expected, Identity};
use super::watermark::Watermark;
use crate::durable::Durable;
use serde::de::DeserializeOwned;

/// Bytes of the tail looked at in one go.
const WINDOW: usize = 64 * 1024;

/// What a log held.
pub(super) struct Recovered<D> {
    pub(super) identity: Identity,
    pub(super) generation: u64,
    /// Number of the last save that is intact.
    pub(super) save: u64,
    pub(super) value: D,
}

/// Reads the whole log and judges it by its watermark.
pub(super) fn recover<D: Durable>(
    dir: &Dir,
    expected: &Expected,
    watermark: Watermark,
) -> Result<Recovered<D>, StoreError> {
    let mut log = Reader::open(dir)?;
    let start = log.first(Salt::default(), MAGIC.len() as u64, "the identity")?;
    let identity: Identity = log.decode(&start)?;
    if identity.expected() != *expected {
        return Err(StoreError::WrongIdentity {
            dir: dir.path.clone(),
            expected: expected.to_string(),
            found: identity.expected().to_string(),
        });
    }
    let generation = start.header.number;
    let salt = Salt { directory: identity.directory, generation };
    let image = log.first(salt, start.end, "the image")?;
    let base = image.header.number;
    let mut value = D::default();
    log.apply(&mut value, &image)?;
    let (mut save, mut end) = (base, image.end);
    let broken = loop {
        match log.record(salt, end)? {
            Ok(record) if record.header.number == save + 1 => {
                log.apply(&mut value, &record)?;
                (save, end) = (save + 1, record.end);
            }
            Ok(record) => {
                let found = record.header.number;
                return Err(log.corrupt(end, format!("save {found} follows save {save}")));
            }
            Err(broken) => break broken,
        }
    };
    log.check_tail(salt, end, save, broken)?;
    let span = Span { directory: identity.directory, generation, base, save };
    span.check(watermark).map_err(|reason| log.corrupt(end, format!("{reason}; {broken}")))?;
    Ok(Recovered { identity, generation, save, value })
}

/// What a log covers.
struct Span {
    directory: u128,
    generation: u64,
    base: u64,
    save: u64,
}

impl Span {
    /// Whether a crash can have left this log beside that watermark. The watermark is synced into a
    /// new generation after its log is in place and before anything is saved to it; a node that is
    /// killed in between again and again leaves it several generations behind.
    fn check(&self, watermark: Watermark) -> Result<(), String> {
        let Self { directory, generation, base, save } = *self;
        let acknowledged = watermark.save;
        if watermark.directory != directory {
            return Err("the watermark beside it is of another store".into());
        }
        if acknowledged > save {
            return Err(format!("{acknowledged} saves were acknowledged, only {save} are intact"));
        }
        let plausible = if watermark.generation == generation {
            acknowledged >= base
        } else {
            watermark.generation < generation && save == base
        };
        if !plausible {
            let known = format!("generation {} save {acknowledged}", watermark.generation);
            let here = format!("generation {generation} saves {base} to {save}");
            return Err(format!("the watermark knows {known}, which does not go with {here}"));
        }
        Ok(())
    }
}

/// An intact record.
struct Record {
    header: Header,
    offset: u64,
    end: u64,
    payload: Vec<u8>,
}

struct Reader<'a> {
    dir: &'a Dir,
    file: Handle,
    size: u64,
}

impl<'a> Reader<'a> {
    fn open(dir: &'a Dir) -> Result<Self, StoreError> {
        let mut file = dir.open(LOG)?;
        let size = file.size()?;
        let mut magic = [0; MAGIC.len()];
        if size >= magic.len() as u64 {
            file.read_at(0, &mut magic)?;
        }
        if magic != MAGIC {
            let reason = "this is not the start of a log, or of one in another format";
            return Err(dir.corrupt(LOG, 0, reason));
        }
        Ok(Self { dir, file, size })
    }

    fn corrupt(&self, offset: u64, reason: impl Into<String>) -> StoreError {
        self.dir.corrupt(LOG, offset, reason)
    }

    /// One of the two records that were synced before the log got its name.
    fn first(&mut self, salt: Salt, offset: u64, what: &str) -> Result<Record, StoreError> {
        self.record(salt, offset)?
            .map_err(|broken| self.corrupt(offset, format!("{what} is not intact: {broken}")))
    }

    /// The record at `offset`, or what is wrong with it. Nothing is allocated for a length that is
    /// not the one written, or that the file has no room for.
    fn record(
        &mut self,
        salt: Salt,
        offset: u64,
    ) -> Result<Result<Record, &'static str>, StoreError> {
        let room = self.size.saturating_sub(offset);
        let Some(room) = room.checked_sub(HEADER as u64) else {
            return Ok(Err("the file ends here"));
        };
        let mut header = [0; HEADER];
        self.file.read_at(offset, &mut header)?;
        let Some(header) = Header::read(salt, offset, &header) else {
            return Ok(Err("no record starts here"));
        };
        let len = match usize::try_from(header.len) {
            Ok(len) if header.len <= room => len,
            _ => return Ok(Err("the file ends within the record")),
        };
        let mut payload = vec![0; len];
        self.file.read_at(offset + HEADER as u64, &mut payload)?;
        if !header.fits(&payload) {
            return Ok(Err("the record does not match its checksum"));
        }
        let end = offset + HEADER as u64 + header.len;
        Ok(Ok(Record { header, offset, end, payload }))
    }

    fn decode<T: DeserializeOwned>(&self, record: &Record) -> Result<T, StoreError> {
        let reason = match postcard::take_from_bytes(&record.payload) {
            Ok((content, [])) => return Ok(content),
            Ok(_) => "too many bytes".into(),
            Err(error) => error.to_string(),
        };
        let reason =
            format!("an intact record cannot be decoded, is it of another version? {reason}");
        Err(self.corrupt(record.offset, reason))
    }

    fn apply<D: Durable>(&self, value: &mut D, record: &Record) -> Result<(), StoreError> {
        let changes = self.decode(record)?;
        value.apply(changes).map_err(|reason| {
            let number = record.header.number;
            self.corrupt(record.offset, format!("save {number} cannot be applied: {reason}"))
        })
    }

    /// The records end at `end`. What follows must be zeros, or a single record that was being
    /// written: if a later one is intact, the one at `end` was whole once.
    fn check_tail(
        &mut self,
        salt: Salt,
        end: u64,
        save: u64,
        broken: &str,
    ) -> Result<(), StoreError> {
        let mut window = vec![0; WINDOW];
        let (mut offset, mut dirt) = (end, 0);
        while offset < self.size {
            let left = self.size - offset;
            let len = usize::try_from(left).map_or(WINDOW, |left| left.min(WINDOW));
            let window = &mut window[..len];
            self.file.read_at(offset, window)?;
            dirt += window.iter().filter(|byte| **byte != 0).count();
            for (place, bytes) in (offset..).zip(window.windows(HEADER)) {
                let bytes = bytes.try_into().expect("a window of that size");
                let number = Header::unchecked(bytes).number;
                // Not even empty records could come any denser than this.
                let possible = number > save && number - save <= (place - end) / HEADER as u64 + 1;
                if place > end && possible && Header::read(salt, place, bytes).is_some() {
                    let reason = format!("{broken}, yet save {number} is there at byte {place}");
                    return Err(self.corrupt(end, reason));
                }
            }
            // The next window begins with the places that this one was too short for.
            let overlap = if len as u64 == left { 0 } else { HEADER - 1 };
            offset += (len - overlap) as u64;
        }
        if dirt > 0 {
            tracing::warn!(
                file = %self.dir.path.join(LOG).display(),
                "dropped a save that was never acknowledged: {broken} (byte {end})"
            );
        }
        Ok(())
    }
}

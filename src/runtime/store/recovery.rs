//! Recovery: reads a store back, exactly as it was saved, or refuses.

use super::StoreError;
use super::file::{Dir, LOG};
use super::frame::{HEADER, Header, Salt};
use super::generation::{EARLIER, Log, MAGIC};
use super::identity::{Expected, Identity};
use super::reader::{Reader, Record, WINDOW};
use super::watermark::Watermark;
use crate::durable::Durable;

/// The content of a log.
pub(super) struct Recovered<D> {
    pub(super) identity: Identity,
    pub(super) generation: u64,
    /// The number of the last intact save.
    pub(super) save: u64,
    pub(super) value: D,
    pub(super) log: Log,
    /// The last record behind the image, which need not be durable.
    pub(super) last: Option<Record>,
}

/// Reads the whole log and judges it by its watermark.
pub(super) fn recover<D: Durable>(
    dir: &Dir,
    expected: &Expected,
    watermark: Watermark,
) -> Result<Recovered<D>, StoreError> {
    let mut log = Reader::open(dir)?;
    check_magic(&mut log, dir)?;
    let start = first(&mut log, Salt::default(), MAGIC.len() as u64, "the identity")?;
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
    let image = first(&mut log, salt, start.end, "the image")?;
    let (base, image_end) = (image.header.number, image.end);
    let mut value = D::default();
    log.apply(&mut value, &image)?;
    drop(image);
    let (mut save, mut end, mut last) = (base, image_end, None);
    let broken = loop {
        match log.record(salt, end)? {
            Ok(record) if record.header.number == save + 1 => {
                log.apply(&mut value, &record)?;
                (save, end, last) = (save + 1, record.end, Some(record));
            }
            Ok(record) => {
                let found = record.header.number;
                return Err(log.corrupt(end, format!("save {found} follows save {save}")));
            }
            Err(broken) => break broken,
        }
    };
    check_tail(&mut log, dir, salt, end, save, broken)?;
    let span = Span { directory: identity.directory, generation, base, save };
    span.check(watermark).map_err(|reason| log.corrupt(end, format!("{reason}; {broken}")))?;
    let log = Log { allocated: log.size, file: log.file, image_end, end };
    Ok(Recovered { identity, generation, save, value, log, last })
}

fn check_magic(log: &mut Reader, dir: &Dir) -> Result<(), StoreError> {
    let mut magic = [0; MAGIC.len()];
    if log.size >= magic.len() as u64 {
        log.file.read_at(0, &mut magic)?;
    }
    if EARLIER.contains(&magic) {
        return Err(StoreError::EarlierFormat { dir: dir.path.clone() });
    }
    if magic != MAGIC {
        let reason = "this is not the start of a log, or of one in another format";
        return Err(log.corrupt(0, reason));
    }
    Ok(())
}

/// Reads one of the two records that were synced before the log got its name.
fn first(log: &mut Reader, salt: Salt, offset: u64, what: &str) -> Result<Record, StoreError> {
    log.record(salt, offset)?
        .map_err(|broken| log.corrupt(offset, format!("{what} is not intact: {broken}")))
}

/// The saves that a log covers.
struct Span {
    directory: u128,
    generation: u64,
    base: u64,
    save: u64,
}

impl Span {
    /// Checks that a crash can have left this log beside that watermark.
    ///
    /// Before the store leaves a generation, it syncs the watermark with the number of the generation's
    /// last save. It syncs the watermark into the new generation after the next log is in place, and
    /// before it saves anything to that log. A node that is killed in between again and again leaves the
    /// watermark several generations behind.
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
            watermark.generation < generation && acknowledged == save
        };
        if !plausible {
            let known = format!("generation {} save {acknowledged}", watermark.generation);
            let here = format!("generation {generation} saves {base} to {save}");
            return Err(format!("the watermark knows {known}, which does not go with {here}"));
        }
        Ok(())
    }
}

/// Checks what follows the end of the records, at `end`. It must be zeros, or a single record that was
/// being written. If a later record is intact, the one at `end` was whole once.
fn check_tail(
    log: &mut Reader,
    dir: &Dir,
    salt: Salt,
    end: u64,
    save: u64,
    broken: &str,
) -> Result<(), StoreError> {
    let mut window = vec![0; WINDOW];
    let (mut offset, mut dirt) = (end, 0);
    while offset < log.size {
        let left = log.size - offset;
        let len = usize::try_from(left).map_or(WINDOW, |left| left.min(WINDOW));
        let window = &mut window[..len];
        log.file.read_at(offset, window)?;
        dirt += window.iter().filter(|byte| **byte != 0).count();
        for (place, bytes) in (offset..).zip(window.windows(HEADER)) {
            let bytes = bytes.try_into().expect("a window of that size");
            let number = Header::unchecked(bytes).number;
            // Not even empty records could come any denser than this.
            let possible = number > save && number - save <= (place - end) / HEADER as u64 + 1;
            if place > end && possible && Header::read(salt, place, bytes).is_some() {
                let reason = format!("{broken}, yet save {number} is there at byte {place}");
                return Err(log.corrupt(end, reason));
            }
        }
        // The next window begins with the places for which this window was too short.
        let overlap = if len as u64 == left { 0 } else { HEADER - 1 };
        offset += (len - overlap) as u64;
    }
    if dirt > 0 {
        tracing::warn!(
            file = %dir.path.join(LOG).display(),
            "dropped a save that was never acknowledged: {broken} (byte {end})"
        );
    }
    Ok(())
}

//! Where every object lives: builds and parses the keys of parts, seals, index objects and quarantine.
//!
//! Every object written before a seal or a commit carries a hash of its decompressed content in its
//! name, so a breach of determinism costs an orphan and never a wrong row.

use crate::event_name::EventName;
use crate::quarantine::Reason;
use crate::source::{SourceId, key_hash};
use time::{Date, Month, OffsetDateTime};

/// Longest `s3://bucket/key` of a part: Redshift's error views cut file names at 256 bytes
/// (`SYS_LOAD_ERROR_DETAIL.file_name`).
pub const PART_URI_MAX_BYTES: usize = 255;

/// Bytes that a part key may need after the routed prefix: event, slash, source id, routing id, part, CRC, suffix.
pub const PART_NAME_MAX_BYTES: usize = 100 + 1 + 32 + 1 + 8 + 1 + 8 + 1 + 8 + ".json.zst".len();

/// The prefixes of one deployment; each ends in `/` or is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLayout {
    /// Prefix of parts and of the loader's own objects, in the routed bucket.
    pub routed: String,
    /// Prefix of seals and their index, in the routed bucket.
    pub seals: String,
    /// Prefix of quarantine objects, in the quarantine bucket.
    pub quarantine: String,
}

/// How parts are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartCodec {
    /// One gzip member a part.
    Gzip,
    /// Zstandard frames.
    Zstd,
}

impl PartCodec {
    /// Its word in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// How names of parts end: the loader goes by it.
    fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "json.gz",
            Self::Zstd => "json.zst",
        }
    }
}

/// What distinguishes one written stream of one source object from every other writing of it.
#[derive(Clone, Debug)]
pub struct PieceName<'a> {
    /// Whose records.
    pub source_id: &'a SourceId,
    /// By which routing settings and code.
    pub routing_id: &'a str,
    /// The stream's n-th object, from 0.
    pub sequence: u32,
    /// CRC-32 of the decompressed bytes.
    pub crc32: u32,
}

impl KeyLayout {
    /// A part of `event`.
    pub fn part(&self, event: &EventName, name: &PieceName<'_>, codec: PartCodec) -> String {
        let PieceName { source_id, routing_id, sequence, crc32 } = name;
        let suffix = codec.suffix();
        format!("{}{event}/{source_id}-{routing_id}-{sequence:04}-{crc32:08x}.{suffix}", self.routed)
    }

    /// A quarantine object of the router; dated by source time.
    pub fn quarantine(&self, reason: Reason, time: OffsetDateTime, generation: u32, name: &PieceName<'_>) -> String {
        let PieceName { source_id, routing_id, sequence, crc32 } = name;
        format!(
            "{}router/{reason}/{}/{source_id}-{routing_id}-g{generation}-{sequence:04}-{crc32:08x}.json.gz",
            self.quarantine,
            day(time)
        )
    }

    /// The loader's quarantine object: what COPY refused of one event of a source object's generation.
    pub fn rejected(
        &self,
        event: &EventName,
        time: OffsetDateTime,
        source_id: &SourceId,
        generation: u32,
        hash: &str,
    ) -> String {
        let (reason, day) = (Reason::RejectedByCopy, day(time));
        format!("{}loader/{reason}/{day}/{source_id}-{event}-g{generation}-{hash}.json.gz", self.quarantine)
    }

    /// What every such object of this event and generation starts with.
    pub fn rejected_of(
        &self,
        event: &EventName,
        time: OffsetDateTime,
        source_id: &SourceId,
        generation: u32,
    ) -> String {
        let whole = self.rejected(event, time, source_id, generation, "");
        whole.trim_end_matches(".json.gz").to_owned()
    }

    /// The seal of a source object's generation.
    pub fn seal(&self, source_id: &SourceId, generation: u32) -> String {
        format!("{}id/{source_id}.g{generation}.json", self.seals)
    }

    /// What every seal of a source object starts with: LIST it to find the highest generation.
    pub fn seals_of(&self, source_id: &SourceId) -> String {
        format!("{}id/{source_id}.", self.seals)
    }

    /// The generation in a seal's key, if it is one.
    pub fn generation_of_seal(&self, key: &str) -> Option<u32> {
        let name = key.strip_prefix(&self.seals)?.strip_prefix("id/")?.strip_suffix(".json")?;
        name.split_once(".g")?.1.parse().ok()
    }

    /// What every seal of every contents of a source's key starts with.
    pub fn seals_of_key(&self, source_id: &SourceId) -> String {
        format!("{}id/{}", self.seals, source_id.key_half())
    }

    /// Where the claim on a raw object's key is, where overwritten keys are ignored: under the hash that its source ids
    /// begin with or, where the claim there is another key's, under the full one.
    pub fn claims(&self, bucket: &str, key: &str) -> [String; 2] {
        let full = key_hash(bucket, key);
        [&full[..16], &full].map(|hash| format!("{}key/{hash}", self.seals))
    }

    /// The empty index object by the hour of the source's time (UTC).
    pub fn hour_index(&self, source_time: OffsetDateTime, source_id: &SourceId, generation: u32) -> String {
        format!("{}{source_id}.g{generation}", self.hour_prefix(source_time))
    }

    /// The empty index object by the day of sealing (UTC).
    pub fn day_index(&self, sealed_at: OffsetDateTime, source_id: &SourceId, generation: u32) -> String {
        format!("{}{source_id}.g{generation}", self.day_prefix(sealed_at.to_offset(time::UtcOffset::UTC).date()))
    }

    /// Where the index by the hour of the source's time begins; below it years, months, days and hours are folders.
    pub fn hour_index_root(&self) -> String {
        format!("{}hour/", self.seals)
    }

    /// Where the index by the hour of the source's time has this hour.
    pub fn hour_prefix(&self, hour: OffsetDateTime) -> String {
        format!("{}{}/", self.hour_index_root(), self::hour(hour))
    }

    /// The hour of an object of that index.
    pub fn hour_of_index(&self, key: &str) -> Option<OffsetDateTime> {
        hour_of_path(key.strip_prefix(&self.hour_index_root())?.rsplit_once('/')?.0)
    }

    /// Where the index by the day of sealing begins; below it years, months and days are folders.
    pub fn day_index_root(&self) -> String {
        format!("{}day/", self.seals)
    }

    /// Where the index by the day of sealing has this day.
    pub fn day_prefix(&self, date: Date) -> String {
        format!("{}{}/", self.day_index_root(), date_text(date))
    }

    /// Whose seal, of which generation, an object of either index stands for.
    pub fn index_entry(&self, key: &str) -> Option<(SourceId, u32)> {
        let (source_id, generation) = key.strip_prefix(&self.seals)?.rsplit_once('/')?.1.split_once(".g")?;
        Some((SourceId::try_from(source_id.to_owned()).ok()?, generation.parse().ok()?))
    }

    /// Where the router's sweep leaves its marks.
    pub fn swept_root(&self) -> String {
        format!("{}swept/", self.seals)
    }

    /// The mark of the router's sweep: every raw object of this hour (by its time) is sealed.
    pub fn swept_mark(&self, hour: OffsetDateTime) -> String {
        format!("{}{}", self.swept_root(), self::hour(hour))
    }

    /// The hour of such a mark.
    pub fn hour_of_mark(&self, key: &str) -> Option<OffsetDateTime> {
        hour_of_path(key.strip_prefix(&self.swept_root())?)
    }

    /// The raw objects of this hour that the router's sweep found without a seal.
    pub fn open_hour(&self, hour: OffsetDateTime) -> String {
        format!("{}sweep/open/{}.json", self.seals, self::hour(hour))
    }

    /// Where they are.
    pub fn open_hours_root(&self) -> String {
        format!("{}sweep/open/", self.seals)
    }

    /// The hour of such a document.
    pub fn hour_of_open(&self, key: &str) -> Option<OffsetDateTime> {
        hour_of_path(key.strip_prefix(&self.open_hours_root())?.strip_suffix(".json")?)
    }

    /// How far the router's sweeps came.
    pub fn router_sweep_progress(&self) -> String {
        format!("{}sweep/looked.json", self.seals)
    }

    /// Who sweeps for the router.
    pub fn router_sweep_claim(&self) -> String {
        format!("{}sweep/router.json", self.seals)
    }

    /// The document of a replace.
    pub fn replace(&self, name: &str) -> String {
        format!("{}replace/{name}.json", self.seals)
    }

    /// Where backfills say how far they are.
    pub fn backfill_root(&self) -> String {
        format!("{}backfill/", self.seals)
    }

    /// Who sweeps for the loader.
    pub fn sweep_claim(&self) -> String {
        format!("{}sweep/loader.json", self.seals)
    }

    /// Says that the loader's sweep is to look at a day of sealing again, or at all of them.
    pub fn sweep_again(&self, day: Option<Date>) -> String {
        format!("{}{}", self.sweep_again_root(), day.map_or_else(|| "all".to_owned(), date_text))
    }

    /// Where that is said.
    pub fn sweep_again_root(&self) -> String {
        format!("{}sweep/again/", self.seals)
    }

    /// The loader's own objects (`kind`: `manifest` or `jsonpaths`), named by their content's hash.
    pub fn load_object(&self, kind: &str, event: &EventName, hash: &str) -> String {
        format!("{}_load/{kind}/{event}/{hash}.json", self.routed)
    }

    /// A part that the loader writes anew, named by the hashes of the key of the part it is made of and of its content.
    pub fn piece(&self, event: &EventName, of: &str, content: &str, codec: PartCodec) -> String {
        format!("{}_load/pieces/{event}/{of}-{content}.{}", self.routed, codec.suffix())
    }
}

fn day(at: OffsetDateTime) -> String {
    date_text(at.to_offset(time::UtcOffset::UTC).date())
}

fn date_text(date: Date) -> String {
    format!("{:04}/{:02}/{:02}", date.year(), u8::from(date.month()), date.day())
}

fn hour_of_path(path: &str) -> Option<OffsetDateTime> {
    let mut numbers = path.split('/').map(str::parse::<u16>);
    let mut next = || numbers.next()?.ok();
    let (year, month, day, hour) = (next()?, next()?, next()?, next()?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year.into(), month, u8::try_from(day).ok()?).ok()?;
    Some(date.with_hms(u8::try_from(hour).ok()?, 0, 0).ok()?.assume_utc())
}

fn hour(at: OffsetDateTime) -> String {
    format!("{}/{:02}", day(at), at.to_offset(time::UtcOffset::UTC).hour())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn layout() -> KeyLayout {
        KeyLayout { routed: "routed/".into(), seals: "seals/".into(), quarantine: "quarantine/".into() }
    }

    #[test]
    fn keys_read_as_documented() {
        let source_id = SourceId::new("raw", "k", "e");
        let name = PieceName { source_id: &source_id, routing_id: "01234567", sequence: 3, crc32: 0xabc };
        let event = EventName::of_type("page_view");
        let at = datetime!(2025-06-01 23:30 -02:00);
        let keys = layout();
        assert_eq!(
            keys.part(&event, &name, PartCodec::Gzip),
            format!("routed/page_view/{source_id}-01234567-0003-00000abc.json.gz")
        );
        assert_eq!(
            keys.quarantine(Reason::NotJson, at, 0, &name),
            format!("quarantine/router/not_json/2025/06/02/{source_id}-01234567-g0-0003-00000abc.json.gz")
        );
        assert_eq!(
            keys.rejected(&event, at, &source_id, 1, "0a1b"),
            format!("quarantine/loader/rejected_by_copy/2025/06/02/{source_id}-page_view-g1-0a1b.json.gz")
        );
        assert_eq!(keys.seal(&source_id, 2), format!("seals/id/{source_id}.g2.json"));
        let [claim, full] = keys.claims("raw", "k");
        assert_eq!(claim, format!("seals/key/{}", source_id.key_half()));
        assert!(full.starts_with(&claim) && full.len() == claim.len() + 48, "{full}");
        assert!(keys.seals_of(&source_id).starts_with(&keys.seals_of_key(&source_id)));
        assert_eq!(keys.hour_index(at, &source_id, 0), format!("seals/hour/2025/06/02/01/{source_id}.g0"));
        assert_eq!(keys.day_index(at, &source_id, 0), format!("seals/day/2025/06/02/{source_id}.g0"));
        assert_eq!(keys.generation_of_seal(&keys.seal(&source_id, 12)), Some(12));
        assert_eq!(keys.generation_of_seal("seals/day/2025/06/02/x.g0"), None);
    }

    #[test]
    fn what_the_sweeps_read_is_parsed_as_it_is_written() {
        let (keys, source_id, at) = (layout(), SourceId::new("raw", "k", "e"), datetime!(2025-06-01 23:30 -02:00));
        for key in [keys.hour_index(at, &source_id, 3), keys.day_index(at, &source_id, 3)] {
            assert_eq!(keys.index_entry(&key), Some((source_id.clone(), 3)), "{key}");
        }
        assert_eq!(keys.index_entry("seals/day/2025/06/02/x.g0"), None);
        assert_eq!(keys.swept_mark(at), "seals/swept/2025/06/02/01");
        assert_eq!(keys.hour_of_mark(&keys.swept_mark(at)), Some(datetime!(2025-06-02 01:00 UTC)));
        assert_eq!(keys.hour_of_mark("seals/swept/2025/13/02/01"), None);
        assert_eq!(keys.open_hour(at), "seals/sweep/open/2025/06/02/01.json");
        assert_eq!(keys.hour_of_open(&keys.open_hour(at)), Some(datetime!(2025-06-02 01:00 UTC)));
    }

    #[test]
    fn the_longest_part_name_fits_its_stated_bound() {
        let source_id = SourceId::new("raw", "k", "e");
        let name = PieceName { source_id: &source_id, routing_id: "01234567", sequence: 99_999_999, crc32: 0 };
        let event = EventName::of_type(&"x".repeat(100));
        assert!(layout().part(&event, &name, PartCodec::Zstd).len() - "routed/".len() <= PART_NAME_MAX_BYTES);
        let (of, content) = ("0123456789abcdef", "fedcba9876543210");
        let piece = layout().piece(&event, of, content, PartCodec::Zstd);
        assert!(piece.ends_with("/0123456789abcdef-fedcba9876543210.json.zst"), "{piece}");
        assert!(piece.len() - "routed/".len() <= PART_NAME_MAX_BYTES, "the error views show it whole");
    }
}

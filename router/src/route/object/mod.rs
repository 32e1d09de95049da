//! Routes one source object: bytes in, pieces in the spool and the accounting of every record out.

use super::classify::{Classifier, TypeRules};
use super::decode::{decode, is_damage};
use super::drop_rules::DropRules;
use super::fixed::{FixedPrefixes, FixedType};
use super::framing::{Fault, Framed, Frames};
use super::lineage::{LINEAGE_MAX_BYTES, Lineage};
use super::pieces::{Piece, Pieces, Workbench};
use super::quarantined::{self, Place};
use super::routing_id::routing_id;
use super::scan::{EventType, Pointers, Scanner};
use super::sketching::{SKETCH_NODES_MAX, Sketches};
use common::keys::{KeyLayout, PartCodec, PieceName};
use common::quarantine::Reason;
use common::seal::{Counts, Part, SealedEvent, SealedQuarantine};
use common::settings::RouterSettings;
use common::source::{SourceId, SourceObject};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

/// Redshift's limit for one JSON object, braces included (COPY from JSON, 4 MB). Read as decimal
/// megabytes, the smaller reading, and counting `|` twice as COPY does.
pub const RECORD_MAX_BYTES: usize = 4_000_000;

/// The settings that decide what is routed, ready for use.
#[derive(Clone, Debug)]
pub struct Rules {
    settings: RouterSettings,
    keys: KeyLayout,
    types: TypeRules,
    drops: DropRules,
    fixed: FixedPrefixes,
    /// The settings' identity.
    pub routing_id: String,
    /// Whether seals get a sketch of every event. Off only to measure what it costs: loaders cannot do without.
    pub sketch: bool,
}

impl Rules {
    /// Rules of these settings.
    pub fn new(settings: &RouterSettings, keys: &KeyLayout) -> Self {
        Self {
            keys: keys.clone(),
            types: TypeRules::new(&settings.rules),
            drops: DropRules::new(&settings.rules.drop),
            fixed: FixedPrefixes::new(&settings.rules.fixed),
            routing_id: routing_id(settings),
            sketch: true,
            settings: settings.clone(),
        }
    }

    /// Where the pieces go.
    pub fn keys(&self) -> &KeyLayout {
        &self.keys
    }

    /// The folder of the spool.
    pub fn spool_dir(&self) -> &Path {
        &self.settings.spool_dir
    }

    /// A workbench for one worker.
    pub fn workbench(&self) -> io::Result<Workbench> {
        Workbench::new(&self.settings)
    }
}

/// What routing one source object came to. The pieces are in the workbench's spool.
#[derive(Debug)]
pub struct RoutedObject {
    /// Where every record went.
    pub counts: Counts,
    /// Events in name order.
    pub events: Vec<SealedEvent>,
    /// Quarantine objects by reason.
    pub quarantine: Vec<SealedQuarantine>,
    /// `(key, piece)` of every part.
    pub parts: Vec<(String, Piece)>,
    /// `(key, piece)` of every quarantine object.
    pub quarantine_pieces: Vec<(String, Piece)>,
}

/// Routing could not go on: nothing of it may be used.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The stored bytes stopped coming; the object itself may be fine.
    #[error("the object could not be fetched to its end")]
    Fetch(#[source] io::Error),
    /// A bug: what does not balance must never be sealed.
    #[error("records do not add up, please report it: {0:?}")]
    Unbalanced(Box<Counts>),
    /// The spool cannot be written.
    #[error("could not write to the spool: check the space left under router.spool_dir")]
    Spool(#[source] io::Error),
}

/// Marks an error of fetching, as opposed to one of decoding, on its way through the decoders.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchFailed(pub String);

/// Routes the object whose stored bytes `stored` gives.
pub fn route_object(
    rules: &Rules,
    source: &SourceObject,
    generation: u32,
    stored: impl Read + Send,
    bench: &mut Workbench,
) -> Result<RoutedObject, RouteError> {
    let mut routing = Routing::new(rules, source, generation, bench)?;
    match routing.read(stored)? {
        End::Whole => {}
        End::Broken(broken) => routing.give_up_rest(&broken)?,
        End::Damaged(broken) => {
            // Nothing of a damaged object can be trusted: all that was routed of it is forgotten.
            drop(routing);
            routing = Routing::new(rules, source, generation, bench)?;
            routing.give_up_rest(&broken)?;
        }
    }
    routing.finish()
}

/// How reading an object ended.
enum End {
    Whole,
    /// Bytes are missing at the end; what came before is as it was written.
    Broken(Broken),
    /// Bytes before the error may be wrong.
    Damaged(Broken),
}

/// Where reading ended, and why.
struct Broken {
    line: u64,
    offset: u64,
    rest: Vec<u8>,
    why: String,
}

/// One object being routed.
struct Routing<'a> {
    rules: &'a Rules,
    source: &'a SourceObject,
    source_id: SourceId,
    generation: u32,
    scanner: Scanner,
    fixed: FixedType<'a>,
    classifier: Classifier<'a>,
    lineage: Lineage,
    sketches: Sketches,
    pieces: Pieces<'a>,
    streams: Streams,
    counts: Counts,
}

/// Which stream of pieces belongs to which event or reason.
#[derive(Default)]
struct Streams {
    of_event: Vec<Option<usize>>,
    of_reason: BTreeMap<Reason, usize>,
    count: usize,
}

impl Streams {
    fn event(&mut self, event: usize) -> usize {
        if self.of_event.len() <= event {
            self.of_event.resize(event + 1, None);
        }
        let next = self.count;
        let stream = *self.of_event[event].get_or_insert(next);
        self.count += usize::from(stream == next);
        stream
    }

    fn reason(&mut self, reason: Reason) -> usize {
        let next = self.count;
        let stream = *self.of_reason.entry(reason).or_insert(next);
        self.count += usize::from(stream == next);
        stream
    }
}

impl<'a> Routing<'a> {
    fn new(
        rules: &'a Rules,
        source: &'a SourceObject,
        generation: u32,
        bench: &'a mut Workbench,
    ) -> Result<Self, RouteError> {
        let settings = &rules.settings;
        Ok(Self {
            rules,
            source,
            lineage: Lineage::new(settings.lineage.then(|| source.id()).as_ref()),
            source_id: source.id(),
            generation,
            scanner: Scanner::new(Pointers::new(&settings.event_type).watching(rules.drops.pointers()), rules.sketch),
            fixed: rules.fixed.of_key(&source.key),
            classifier: Classifier::new(&rules.types, settings.max_event_types),
            sketches: Sketches::new(SKETCH_NODES_MAX),
            pieces: Pieces::new(bench, settings.part_max_bytes, settings.buffer_bytes).map_err(RouteError::Spool)?,
            streams: Streams::default(),
            counts: Counts::default(),
        })
    }

    fn read(&mut self, stored: impl Read + Send) -> Result<End, RouteError> {
        let settings = &self.rules.settings;
        let deadline = Instant::now() + settings.max_object_time;
        let decoded = decode(stored, settings.max_object_bytes, deadline).map_err(RouteError::Fetch)?;
        let mut frames = Frames::new(decoded, RECORD_MAX_BYTES, settings.unwrap.as_deref());
        let error = loop {
            match frames.next_record() {
                Ok(Some(framed)) => self.record(&framed).map_err(RouteError::Spool)?,
                Ok(None) => break None,
                Err(error) if is_fetch_failure(&error) => return Err(RouteError::Fetch(error)),
                Err(error) => break Some(error),
            }
        };
        self.counts.bytes = frames.offset();
        let Some(error) = error else { return Ok(End::Whole) };
        if is_damage(&error) {
            // How far the decoder came says nothing of where the damage is, and builds differ in it: the object's own
            // beginning is its place.
            let why = format!("the object is damaged, so nothing of it is routed: {error}");
            return Ok(End::Damaged(Broken { line: 1, offset: 0, rest: Vec::new(), why }));
        }
        let Framed { line, offset, bytes, .. } = frames.rest();
        let why = format!("the object cannot be read further: {error}");
        Ok(End::Broken(Broken { line, offset, rest: bytes.to_vec(), why }))
    }

    /// One quarantine line stands for all that could not be read.
    fn give_up_rest(&mut self, broken: &Broken) -> Result<(), RouteError> {
        self.counts.read += 1;
        let framed =
            Framed { line: broken.line, offset: broken.offset, bytes: &broken.rest, oversize: None, fault: None };
        self.quarantine(&framed, Reason::UnreadableObject, broken.why.clone()).map_err(RouteError::Spool)
    }

    fn record(&mut self, framed: &Framed<'_>) -> io::Result<()> {
        self.counts.read += 1;
        if let Some((reason, why)) = self.no_record(framed) {
            return self.quarantine(framed, reason, why);
        }
        if let Some(why) = self.too_large(framed) {
            return self.quarantine(framed, Reason::RecordTooLarge, why);
        }
        let event_type = match self.scanner.scan(framed.bytes) {
            Ok(event_type) => event_type,
            Err(fault) => {
                let why = format!("{} at byte {} of the record", fault.what, fault.at);
                return self.quarantine(framed, fault.reason, why);
            }
        };
        if let Some(pointer) = self.rules.drops.removing(&self.scanner, framed.bytes) {
            self.counts.dropped += 1;
            *self.counts.by_rule.entry(pointer.to_owned()).or_default() += 1;
            return Ok(());
        }
        let event_type = match self.fixed {
            FixedType::InRecords => event_type,
            FixedType::Named(segment) => EventType::Found(segment.into()),
            FixedType::Unnamed(prefix) => {
                let why = format!("the key names no event type: put the object under {prefix}<event type>/");
                return self.quarantine(framed, Reason::EventTypeMissing, why);
            }
        };
        let event = match self.classifier.classify(event_type) {
            Ok(event) => event,
            Err((reason, why)) => return self.quarantine(framed, reason, why),
        };
        if self.rules.sketch {
            self.sketches.fold(event, self.scanner.tape(), framed.bytes);
        }
        self.counts.routed += 1;
        let stream = self.streams.event(event);
        let line = self.lineage.line(framed.bytes, framed.line);
        self.pieces.append(stream, self.rules.settings.part_codec, &line)
    }

    /// What framing alone says against a record. A broken one that is kept whole is left to the scanner, which
    /// knows the byte.
    fn no_record(&self, framed: &Framed<'_>) -> Option<(Reason, String)> {
        match (framed.fault?, framed.oversize) {
            (Fault::Broken, None) => None,
            (Fault::Broken, Some(length)) => {
                let why =
                    format!("broken structure, so {length} bytes cannot be told apart; their beginning is kept here");
                Some((Reason::NotJson, why))
            }
            (Fault::EndsEarly, _) => {
                Some((Reason::NotJson, "the object ends inside this record, or inside its array".to_owned()))
            }
            (Fault::NoArray, _) => {
                let pointer = self.rules.settings.unwrap.as_deref().unwrap_or_default();
                Some((Reason::EventTypeMissing, format!("no array of records under {pointer} (router.unwrap)")))
            }
        }
    }

    /// Whether COPY would refuse the record for its size once routed.
    fn too_large(&self, framed: &Framed<'_>) -> Option<String> {
        if let Some(length) = framed.oversize {
            return Some(format!("the record has {length} bytes, its beginning is kept here"));
        }
        let routed = framed.bytes.len() + LINEAGE_MAX_BYTES;
        if routed * 2 <= RECORD_MAX_BYTES {
            return None;
        }
        let counted = routed + memchr::memchr_iter(b'|', framed.bytes).count();
        (counted > RECORD_MAX_BYTES)
            .then(|| format!("{counted} bytes as COPY counts them, and {RECORD_MAX_BYTES} are the limit"))
    }

    fn quarantine(&mut self, framed: &Framed<'_>, reason: Reason, why: String) -> io::Result<()> {
        self.counts.quarantined += 1;
        *self.counts.by_reason.entry(reason).or_default() += 1;
        let (source, generation) = (self.source, self.generation);
        let place = Place { source, generation, line: framed.line, offset: framed.offset };
        let stream = self.streams.reason(reason);
        let line = quarantined::line(place, reason, why, framed.bytes);
        self.pieces.append(stream, PartCodec::Gzip, &[&line])
    }

    fn finish(mut self) -> Result<RoutedObject, RouteError> {
        self.counts.by_type = self.classifier.counts();
        let mut pieces = self.pieces.finish().map_err(RouteError::Spool)?;
        let source_id = self.source_id;
        let (keys, routing_id) = (&self.rules.keys, self.rules.routing_id.as_str());
        let codec = self.rules.settings.part_codec;
        let name = |piece: &Piece| PieceName {
            source_id: &source_id,
            routing_id,
            sequence: piece.sequence,
            crc32: piece.crc32,
        };
        let mut routed = RoutedObject {
            counts: self.counts,
            events: Vec::new(),
            quarantine: Vec::new(),
            parts: Vec::new(),
            quarantine_pieces: Vec::new(),
        };
        for (number, event) in self.classifier.names().iter().enumerate() {
            let stream = self.streams.of_event[number].expect("a classified event has a record");
            let mut sealed = SealedEvent {
                event: event.clone(),
                since: self.generation,
                records: 0,
                parts: Vec::new(),
                sketch: self.sketches.sketch(number),
            };
            for piece in std::mem::take(&mut pieces[stream]) {
                let key = keys.part(event, &name(&piece), codec);
                sealed.records += piece.records;
                sealed.parts.push(Part { key: key.clone(), records: piece.records, bytes: piece.bytes });
                routed.parts.push((key, piece));
            }
            routed.events.push(sealed);
        }
        routed.events.sort_by(|a, b| a.event.cmp(&b.event));
        for (&reason, &stream) in &self.streams.of_reason {
            for piece in std::mem::take(&mut pieces[stream]) {
                let key = keys.quarantine(reason, self.source.time, self.generation, &name(&piece));
                routed.quarantine.push(SealedQuarantine { key: key.clone(), reason, records: piece.records });
                routed.quarantine_pieces.push((key, piece));
            }
        }
        match routed.counts.balance() {
            true => Ok(routed),
            false => Err(RouteError::Unbalanced(Box::new(routed.counts))),
        }
    }
}

fn is_fetch_failure(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<FetchFailed>())
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

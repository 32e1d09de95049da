//! Values one behind the other, with or without white space between them, and the elements of a root array.
//!
//! Every byte that is not white space belongs to one record, but for the brackets and commas of the array. Text that
//! is no value is a bad record of its own.

use super::Fault;
use super::boundary::{Boundary, Step};
use super::envelope::{Envelope, Walked};
use super::layout::Layout;
use super::resync::{Candidates, Resumed};
use super::window::{Cut, Window};
use std::io::{self, Read};

pub(super) struct Values {
    state: State,
    /// Where every root value keeps its records, when it is an envelope.
    envelope: Option<Envelope>,
    boundary: Boundary,
    /// For looking ahead while `boundary` is in use.
    probe: Boundary,
    root: Layout,
    element: Layout,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A root value.
    Root,
    /// The bracket that opens a root array.
    Opening,
    /// An element of an array, or its end.
    Element,
    /// A comma behind an element, or the array's end.
    Comma,
    /// The rest of an envelope.
    Envelope,
    /// Nothing: the root array is over, or the object ended too early.
    Over,
}

impl Values {
    pub(super) fn new() -> Self {
        Self::starting(State::Root, None)
    }

    /// The object is a root array.
    pub(super) fn in_array() -> Self {
        Self::starting(State::Opening, None)
    }

    /// Every root value is such an envelope.
    pub(super) fn in_envelopes(envelope: Envelope) -> Self {
        Self::starting(State::Root, Some(envelope))
    }

    fn starting(state: State, envelope: Option<Envelope>) -> Self {
        let (boundary, probe) = (Boundary::new(), Boundary::new());
        Self { state, envelope, boundary, probe, root: Layout::default(), element: Layout::default() }
    }

    /// The next record; `line` counts them.
    pub(super) fn next<R: Read>(&mut self, window: &mut Window<R>, line: &mut u64) -> io::Result<Option<Cut>> {
        let fault = loop {
            if self.state != State::Envelope {
                window.skip_space()?;
                window.begin();
            }
            let next = window.peek()?;
            match (self.state, next) {
                (State::Root | State::Over | State::Opening, None) => return Ok(None),
                (State::Root, Some(b'{' | b'[')) => {
                    self.root.learn(window);
                    match &mut self.envelope {
                        None => break self.value(window)?,
                        Some(envelope) => envelope.open(window),
                    }
                    self.state = State::Envelope;
                }
                (State::Opening | State::Over, Some(b'[')) if self.envelope.is_none() => {
                    self.open_array(window);
                }
                (State::Element | State::Comma, None) => {
                    self.state = State::Over;
                    break Some(Fault::EndsEarly);
                }
                (State::Element | State::Comma, Some(b']')) => self.close_array(window),
                (State::Element, Some(b',')) => {
                    pass_commas(window)?;
                    break Some(Fault::Broken);
                }
                (State::Comma, Some(b',')) => {
                    window.advance(1);
                    self.state = State::Element;
                }
                (State::Comma, Some(b'{')) if self.element.fits(window) => self.state = State::Element,
                (State::Element, Some(byte)) if !matches!(byte, b'}' | b':') => {
                    self.element.learn(window);
                    break self.value(window)?;
                }
                (State::Envelope, _) => {
                    let envelope = self.envelope.as_mut().expect("only envelopes have this state");
                    match envelope.walk(window, &mut self.boundary)? {
                        Walked::Array => self.state = State::Element,
                        Walked::Closed => self.state = State::Root,
                        Walked::NoArray => {
                            self.state = State::Root;
                            break Some(Fault::NoArray);
                        }
                        Walked::Broken => break self.pass_broken(window)?,
                        Walked::EndsEarly => {
                            self.state = State::Over;
                            break Some(Fault::EndsEarly);
                        }
                    }
                }
                (State::Root | State::Opening | State::Element | State::Comma | State::Over, Some(_)) => {
                    break self.pass_broken(window)?;
                }
            }
        };
        *line += 1;
        Ok(Some(window.cut(*line, fault)))
    }

    fn open_array<R: Read>(&mut self, window: &mut Window<R>) {
        window.advance(1);
        self.element = Layout::default();
        self.state = State::Element;
    }

    fn close_array<R: Read>(&mut self, window: &mut Window<R>) {
        window.advance(1);
        window.begin();
        self.state = if self.envelope.is_some() { State::Envelope } else { State::Over };
    }

    /// Moves behind the value at the cursor, or behind all that its broken structure makes doubtful.
    fn value<R: Read>(&mut self, window: &mut Window<R>) -> io::Result<Option<Fault>> {
        self.boundary.begin();
        let is_root = self.state == State::Root;
        match pass_value(window, &mut self.boundary)? {
            // What a root value leaves open behind a key may be what comes next: that is a piece of it, then.
            Passed::Whole { clean } if clean || !is_root => {
                self.state = if is_root { State::Root } else { State::Comma };
                Ok(None)
            }
            Passed::Whole { .. } | Passed::Broken => self.pass_broken(window),
            Passed::EndsEarly => {
                self.state = State::Over;
                Ok(Some(Fault::EndsEarly))
            }
        }
    }

    /// Moves to where records go on.
    fn pass_broken<R: Read>(&mut self, window: &mut Window<R>) -> io::Result<Option<Fault>> {
        let in_elements = matches!(self.state, State::Element | State::Comma);
        let has_roots = self.envelope.is_some() || self.state == State::Root;
        let candidates =
            Candidates { root: has_roots.then_some(&self.root), element: in_elements.then_some(&self.element) };
        self.state = match candidates.find(window, &mut self.probe)? {
            Resumed::Root => State::Root,
            Resumed::Element => State::Element,
            Resumed::End => State::Over,
        };
        Ok(Some(Fault::Broken))
    }
}

/// How moving behind a value went.
pub(super) enum Passed {
    Whole { clean: bool },
    Broken,
    EndsEarly,
}

/// Moves behind the value at the cursor, or to the byte that breaks it.
pub(super) fn pass_value<R: Read>(window: &mut Window<R>, boundary: &mut Boundary) -> io::Result<Passed> {
    loop {
        let (length, passed) = match boundary.feed(window.ahead()) {
            Step::More => (window.ahead().len(), None),
            Step::Ended { at, clean } => (at, Some(Passed::Whole { clean })),
            Step::Broken { at } => (at, Some(Passed::Broken)),
        };
        window.advance(length);
        if let Some(passed) = passed {
            return Ok(passed);
        }
        if !window.fill()? {
            return Ok(Passed::EndsEarly);
        }
    }
}

/// Moves behind commas that separate nothing, so that a million of them are one bad record.
fn pass_commas<R: Read>(window: &mut Window<R>) -> io::Result<()> {
    while window.peek()? == Some(b',') {
        window.advance(1);
        window.skip_space()?;
    }
    Ok(())
}

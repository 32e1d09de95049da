//! Two transactions, a statement of one or the other at a time, in every order there is.

use super::postgres::Postgres;
use super::session::{Answer, Session};
use crate::transaction::Role;
use std::time::Duration;

/// How long an answer is waited for before it is asked whether a lock is in the way.
const LOOK_AFTER: Duration = Duration::from_millis(1);

/// A deadlock is ended by the server; longer than it needs for that.
const STUCK_AFTER: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    /// PostgreSQL's snapshot isolation, as Redshift's SNAPSHOT.
    RepeatableRead,
    Serializable,
}

impl Isolation {
    pub(super) const BOTH: [Self; 2] = [Self::RepeatableRead, Self::Serializable];

    fn begin(self) -> &'static str {
        match self {
            Self::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Self::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }
}

/// A statement; the role is the load transaction's, none for what is not in its list.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) role: Option<Role>,
    pub(super) sql: String,
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Committed,
    /// Rolled back: the failing statement's role, none at COMMIT, and the text.
    Failed(Option<Role>, String),
}

/// Which of several is next, each time it is asked, so that all sequences of answers are had once.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// What was chosen, out of how many.
    made: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    fn next(&mut self, options: usize) -> usize {
        if options == 1 {
            return 0;
        }
        if self.at == self.made.len() {
            self.made.push((0, options));
        }
        let (chosen, before) = self.made[self.at];
        assert_eq!(before, options, "the same choices lead to the same place");
        self.at += 1;
        chosen
    }

    /// Goes back to the last choice that has something left; false where nothing has.
    pub(super) fn go_on(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, options)) = self.made.pop() {
            if chosen + 1 < options {
                self.made.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

pub(super) struct Race {
    sessions: [Session; 2],
    pub(super) observer: Session,
}

/// Where one of the two is.
enum At {
    /// Its next statement, by number.
    Idle(usize),
    /// This one waits for a lock.
    Blocked(usize),
    Over(Ending),
}

impl Race {
    pub(super) fn new(postgres: &Postgres) -> Self {
        Self { sessions: [Session::open(postgres), Session::open(postgres)], observer: Session::open(postgres) }
    }

    /// Both lists in the order that the choices give.
    pub(super) fn run(&mut self, isolation: Isolation, lists: [&[Step]; 2], choices: &mut Choices) -> [Ending; 2] {
        let mut at = [At::Idle(0), At::Idle(0)];
        for session in &mut self.sessions {
            session.run(isolation.begin()).expect("BEGIN takes neither lock nor snapshot");
        }
        loop {
            let idle: Vec<usize> = (0..2).filter(|one| matches!(at[*one], At::Idle(_))).collect();
            if idle.is_empty() {
                match at {
                    [At::Over(first), At::Over(second)] => return [first, second],
                    mut stuck => {
                        self.wait_for_any(&mut stuck, lists);
                        at = stuck;
                        continue;
                    }
                }
            }
            let one = idle[choices.next(idle.len())];
            let At::Idle(step) = at[one] else { unreachable!("chosen among the idle") };
            self.sessions[one].send(&lists[one][step].sql);
            at[one] = self.look(one, step, lists);
            // What one did may have let the other go on.
            let other = 1 - one;
            if let At::Blocked(step) = at[other] {
                at[other] = self.look(other, step, lists);
            }
        }
    }

    /// One list alone.
    pub(super) fn run_alone(&mut self, isolation: Isolation, list: &[Step]) -> Ending {
        self.sessions[0].run(isolation.begin()).expect("BEGIN takes neither lock nor snapshot");
        for (number, step) in list.iter().enumerate() {
            let answer = self.sessions[0].run(&step.sql);
            if let At::Over(ending) = self.after(0, number, answer, list) {
                return ending;
            }
        }
        unreachable!("a list ends with COMMIT")
    }

    /// Where a session is whose statement was sent: it has its answer, or it waits for the other one.
    fn look(&mut self, one: usize, step: usize, lists: [&[Step]; 2]) -> At {
        loop {
            if let Some(answer) = self.sessions[one].answer(LOOK_AFTER) {
                return self.after(one, step, answer, lists[one]);
            }
            let (waiting, by) = (&self.sessions[one].pid, &self.sessions[1 - one].pid);
            if self.observer.sees_blocked(waiting, by) {
                return At::Blocked(step);
            }
        }
    }

    /// Both wait, or one for something that is not the other's: the server ends it.
    fn wait_for_any(&mut self, at: &mut [At; 2], lists: [&[Step]; 2]) {
        let deadline = std::time::Instant::now() + STUCK_AFTER;
        while std::time::Instant::now() < deadline {
            for one in 0..2 {
                let At::Blocked(step) = at[one] else { continue };
                if let Some(answer) = self.sessions[one].answer(LOOK_AFTER) {
                    at[one] = self.after(one, step, answer, lists[one]);
                    return;
                }
            }
        }
        panic!("both transactions wait for ever");
    }

    fn after(&mut self, one: usize, step: usize, answer: Answer, list: &[Step]) -> At {
        match answer {
            Ok(_) if step + 1 == list.len() => At::Over(Ending::Committed),
            Ok(_) => At::Idle(step + 1),
            Err(message) => {
                // The Data API rolls a failed batch back by itself.
                self.sessions[one].run("ROLLBACK").expect("ROLLBACK always works");
                At::Over(Ending::Failed(list[step].role, message))
            }
        }
    }
}

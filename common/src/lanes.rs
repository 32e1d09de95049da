//! The two lanes, live and backfill, and which of them goes next. Pure.

use crate::load_request::Lane;

/// Of ten turns that both lanes want, live data has nine: backfill always ends.
const LIVE_TURNS: u32 = 9;

/// One of something for each lane.
#[derive(Clone, Debug, Default)]
pub struct PerLane<T> {
    live: T,
    backfill: T,
}

impl<T> PerLane<T> {
    /// What each has.
    pub const fn new(live: T, backfill: T) -> Self {
        Self { live, backfill }
    }

    /// What a lane has.
    pub fn get(&self, lane: Lane) -> &T {
        match lane {
            Lane::Live => &self.live,
            Lane::Backfill => &self.backfill,
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backfill => &mut self.backfill,
        }
    }
}

/// Whose turn it is where both lanes want it.
#[derive(Debug, Default)]
pub struct Turns {
    /// How often live data went first since backfill last went.
    live_went_first: u32,
}

impl Turns {
    /// Who goes first now.
    pub fn next(&self) -> Lane {
        if self.live_went_first < LIVE_TURNS { Lane::Live } else { Lane::Backfill }
    }

    /// Notes who went; `contested` where the other lane wanted the turn too.
    pub fn went(&mut self, lane: Lane, contested: bool) {
        match lane {
            Lane::Live => self.live_went_first += u32::from(contested),
            Lane::Backfill => self.live_went_first = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backfill_has_every_tenth_turn_that_both_want_and_all_that_it_alone_wants() {
        let mut turns = Turns::default();
        let mut contested = |n: usize| -> String {
            let lanes = (0..n).map(|_| {
                let lane = turns.next();
                turns.went(lane, true);
                if lane == Lane::Live { 'l' } else { 'b' }
            });
            lanes.collect()
        };
        assert_eq!(contested(21), "lllllllllblllllllllbl");
        turns.went(Lane::Live, false);
        turns.went(Lane::Backfill, false);
        assert_eq!(turns.next(), Lane::Live);
    }
}

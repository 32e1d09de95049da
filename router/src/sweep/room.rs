//! Pure: how many objects without a seal one sweep knows by name.

/// So many that can be asked for, and as many that cannot: neither keeps the others out. A sweep counts what is beyond
/// that, and a later one comes to it.
const UNSEALED_MAX: usize = 50_000;

/// Room for names that is left.
#[derive(Debug)]
pub(super) struct Room {
    askable: usize,
    others: usize,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { askable: UNSEALED_MAX, others: UNSEALED_MAX }
    }

    /// Whether there is room for one more; `is_askable`: it is neither archived nor given up.
    pub(super) fn is_left(&mut self, is_askable: bool) -> bool {
        *self.of(is_askable) > 0
    }

    /// One is named.
    pub(super) fn take(&mut self, is_askable: bool) {
        let left = self.of(is_askable);
        *left = left.saturating_sub(1);
    }

    fn of(&mut self, is_askable: bool) -> &mut usize {
        if is_askable { &mut self.askable } else { &mut self.others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_for_keeps_nothing_out_that_can() {
        let mut room = Room::new();
        for _ in 0..UNSEALED_MAX {
            assert!(room.is_left(false));
            room.take(false);
        }
        assert_eq!((room.is_left(false), room.is_left(true)), (false, true));
        room.take(false);
        room.take(true);
        assert!(room.is_left(true));
    }
}

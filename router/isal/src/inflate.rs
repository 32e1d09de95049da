//! Inflate of a gzip member's body and trailer; the header is the caller's.

use crate::clamped;
use isal_sys::igzip_lib as c;

/// A decoder for one member after the other.
pub struct Inflate {
    state: Box<c::inflate_state>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Input bytes used.
    pub read: usize,
    /// Output bytes written.
    pub written: usize,
    /// The member ended, and its checksum and length are right.
    pub ended: bool,
}

/// The bytes are no deflate data, or not those that the trailer speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// ISA-L's word for it.
    pub code: i32,
}

// SAFETY: outside of `step` the state's pointers are null: nothing is tied to a thread.
unsafe impl Send for Inflate {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Inflate {}

impl Default for Inflate {
    fn default() -> Self {
        // SAFETY: a C struct of integers, arrays of them, unions of those and pointers: all zeros is a value of it.
        let mut state: Box<c::inflate_state> = unsafe { Box::new_zeroed().assume_init() };
        // SAFETY: initialises the struct it is given.
        unsafe { c::isal_inflate_init(&raw mut *state) };
        state.crc_flag = c::ISAL_GZIP_NO_HDR_VER;
        Self { state }
    }
}

impl Inflate {
    /// Begins the next member, behind its header.
    pub fn restart(&mut self) {
        // SAFETY: the state was initialised by `isal_inflate_init`.
        unsafe { c::isal_inflate_reset(&raw mut *self.state) };
        self.state.crc_flag = c::ISAL_GZIP_NO_HDR_VER;
    }

    /// How much of the member's checksum and length was read so far, and whether it is right. None: the body goes on.
    pub fn trailer(&self) -> Option<(usize, bool)> {
        let state = &*self.state;
        let is_there = state.block_state == c::isal_block_state_ISAL_CHECKSUM_CHECK;
        let expected = (u64::from(state.crc) | u64::from(state.total_out) << 32).to_le_bytes();
        let read = usize::try_from(state.tmp_in_size).unwrap_or_default().min(expected.len());
        let is_right = (0..read).all(|n| state.tmp_in_buffer[n] == expected[n]);
        is_there.then_some((read, is_right))
    }

    /// Decodes until the input is used up, the output is full, or the member ends.
    pub fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Damaged> {
        let state = &mut *self.state;
        let (given, room) = (clamped(input.len()), clamped(out.len()));
        state.next_in = input.as_ptr().cast_mut();
        state.avail_in = given;
        state.next_out = out.as_mut_ptr();
        state.avail_out = room;
        // SAFETY: both pointers lead to as many bytes as `avail_in` and `avail_out` say; input is only read.
        let code = unsafe { c::isal_inflate(state) };
        state.next_in = std::ptr::null_mut();
        state.next_out = std::ptr::null_mut();
        if code != c::ISAL_DECOMP_OK as i32 {
            return Err(Damaged { code });
        }
        Ok(Progress {
            read: (given - state.avail_in) as usize,
            written: (room - state.avail_out) as usize,
            ended: state.block_state == c::isal_block_state_ISAL_BLOCK_FINISH,
        })
    }
}

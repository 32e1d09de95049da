//! Raw deflate, block by block.

use crate::clamped;
use isal_sys::igzip_lib as c;

/// Output room added at a time.
const ROOM_BYTES: usize = 64 << 10;

/// An encoder at ISA-L's level 1, its best ratio for the time.
pub struct Deflate {
    stream: Box<c::isal_zstream>,
    /// ISA-L's scratch space; `stream` points to it. In words, because ISA-L keeps structs of integers there.
    _level_buf: Box<[u64]>,
}

// SAFETY: the stream's pointers lead to memory that this value owns (`_level_buf`), to constant tables of the library,
// or nowhere: nothing is tied to a thread.
unsafe impl Send for Deflate {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Deflate {}

impl Default for Deflate {
    fn default() -> Self {
        let mut level_buf = vec![0; (c::ISAL_DEF_LVL1_DEFAULT as usize).div_ceil(size_of::<u64>())].into_boxed_slice();
        // SAFETY: a C struct of integers, arrays of them and pointers: all zeros is a value of it.
        let mut stream: Box<c::isal_zstream> = unsafe { Box::new_zeroed().assume_init() };
        // SAFETY: initialises the struct it is given.
        unsafe { c::isal_deflate_init(&raw mut *stream) };
        stream.level = 1;
        stream.level_buf = level_buf.as_mut_ptr().cast();
        stream.level_buf_size = clamped(size_of_val::<[u64]>(&level_buf));
        Self { stream, _level_buf: level_buf }
    }
}

impl Deflate {
    /// Appends `raw` to `out` as deflate blocks that refer to nothing before them and end at a byte (sync flush); none
    /// of them is final.
    pub fn block(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let stream = &mut *self.stream;
        // SAFETY: the stream was initialised by `isal_deflate_init`.
        unsafe { c::isal_deflate_reset(stream) };
        stream.flush = c::SYNC_FLUSH as u16;
        stream.end_of_stream = 0;
        stream.gzip_flag = c::IGZIP_DEFLATE as u16;
        let mut left = raw;
        loop {
            let filled = out.len();
            out.resize(filled + ROOM_BYTES, 0);
            let piece = &left[..clamped(left.len()) as usize];
            stream.next_in = piece.as_ptr().cast_mut();
            stream.avail_in = clamped(piece.len());
            stream.next_out = out[filled..].as_mut_ptr();
            stream.avail_out = clamped(ROOM_BYTES);
            // SAFETY: both pointers lead to as many bytes as `avail_in` and `avail_out` say; input is only read.
            let code = unsafe { c::isal_deflate(stream) };
            assert_eq!(code, c::COMP_OK as i32, "level, buffer and flush are constants that ISA-L knows");
            let room_left = stream.avail_out as usize;
            left = &left[piece.len() - stream.avail_in as usize..];
            stream.next_in = std::ptr::null_mut();
            stream.next_out = std::ptr::null_mut();
            out.truncate(filled + ROOM_BYTES - room_left);
            // Room left over: the flush is complete.
            if left.is_empty() && room_left > 0 {
                return;
            }
        }
    }
}

//! ISA-L (igzip) through its C interface: inflate of whole files, deflate of single blocks.

use crate::decode::BLOCK;
use isal_sys::igzip_lib as igzip;
use std::error::Error;
use std::fs::File;
use std::io::Read;

/// Hands the decompressed bytes to `sink`, all members of the file.
pub fn each_block(
    mut file: File,
    mut sink: impl FnMut(&[u8]) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (mut compressed, mut block) = (vec![0_u8; BLOCK], vec![0_u8; BLOCK]);
    // SAFETY: the struct is plain C data, and all zeros is a value of it.
    let mut state: Box<igzip::inflate_state> = Box::new(unsafe { std::mem::zeroed() });
    // SAFETY: the state lives to the end of this function.
    unsafe { igzip::isal_inflate_init(&mut *state) };
    state.crc_flag = igzip::IGZIP_GZIP;
    let mut in_member = false;
    loop {
        if state.avail_in == 0 {
            let length = file.read(&mut compressed)?;
            if length == 0 {
                return if in_member { Err("the file ends inside a gzip member".into()) } else { Ok(()) };
            }
            (state.next_in, state.avail_in) = (compressed.as_mut_ptr(), length as u32);
        }
        in_member = true;
        (state.next_out, state.avail_out) = (block.as_mut_ptr(), BLOCK as u32);
        // SAFETY: next_in and next_out point to as many bytes as avail_in and avail_out say, in buffers that
        // nothing else touches meanwhile.
        let answer = unsafe { igzip::isal_inflate(&mut *state) };
        if answer != igzip::ISAL_DECOMP_OK as i32 {
            return Err(format!("igzip could not decompress: {answer}").into());
        }
        let length = BLOCK - state.avail_out as usize;
        sink(&block[..length])?;
        if state.block_state == igzip::isal_block_state_ISAL_BLOCK_FINISH {
            // SAFETY: an initialised state; reset keeps next_in and avail_in.
            unsafe { igzip::isal_inflate_reset(&mut *state) };
            state.crc_flag = igzip::IGZIP_GZIP;
            in_member = false;
        }
    }
}

/// Raw deflate of one block at a time, each byte-aligned, not final, and independent of the others.
pub struct Deflate {
    stream: Box<igzip::isal_zstream>,
    // What the stream's level_buf points to.
    level_buffer: Vec<u8>,
    level: u32,
}

impl Deflate {
    pub fn new(level: u32) -> Result<Self, Box<dyn Error>> {
        let bytes = match level {
            0 => igzip::ISAL_DEF_LVL0_DEFAULT,
            1 => igzip::ISAL_DEF_LVL1_DEFAULT,
            2 => igzip::ISAL_DEF_LVL2_DEFAULT,
            3 => igzip::ISAL_DEF_LVL3_DEFAULT,
            _ => return Err("igzip has levels 0 to 3".into()),
        };
        // SAFETY: plain C data, for which zeros are a value; isal_deflate_stateless_init sets what matters.
        let stream = Box::new(unsafe { std::mem::zeroed() });
        Ok(Self { stream, level_buffer: vec![0; bytes as usize], level })
    }

    /// Appends the compressed block.
    pub fn block(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
        // Deflate's stored blocks cost 5 bytes per 64 KiB; the rest is for headers and the flush.
        let room = raw.len() + raw.len() / 1024 + 1024;
        out.reserve(room);
        let stream = &mut *self.stream;
        // SAFETY: the stream is a whole struct of ours.
        unsafe { igzip::isal_deflate_stateless_init(stream) };
        (stream.level, stream.level_buf, stream.level_buf_size) =
            (self.level, self.level_buffer.as_mut_ptr(), self.level_buffer.len() as u32);
        stream.flush = igzip::FULL_FLUSH as u16;
        stream.end_of_stream = 0;
        (stream.next_in, stream.avail_in) = (raw.as_ptr().cast_mut(), raw.len() as u32);
        (stream.next_out, stream.avail_out) = (out.spare_capacity_mut().as_mut_ptr().cast(), room as u32);
        // SAFETY: igzip reads avail_in bytes, writes at most avail_out bytes into the spare room, and uses the
        // level buffer, which lives as long as self.
        let answer = unsafe { igzip::isal_deflate_stateless(stream) };
        if answer != igzip::COMP_OK as i32 {
            return Err(format!("igzip could not compress: {answer}").into());
        }
        let written = room - stream.avail_out as usize;
        // SAFETY: igzip has written so many bytes there.
        unsafe { out.set_len(out.len() + written) };
        Ok(())
    }
}

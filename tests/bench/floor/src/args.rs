//! The command line.

use crate::decode::Decoder;
use crate::encode::Codec;
use std::error::Error;
use std::path::PathBuf;

const USAGE: &str = "usage: floor FILE.gz -o DIR --key POINTER [--codec gzip:LEVEL|zstd:LEVEL|isal:LEVEL] \
                     [--decoder zlib-rs|isal] [--block-kib N]";

pub struct Args {
    pub file: PathBuf,
    pub out: PathBuf,
    /// Members on the way to the event type.
    pub key: Vec<String>,
    pub codec: Codec,
    pub decoder: Decoder,
    /// Raw bytes compressed at a time.
    pub block: usize,
}

pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, Box<dyn Error>> {
    let (mut file, mut out, mut key, mut codec, mut decoder, mut block) = (None, None, None, None, None, None);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "-o" => out = Some(PathBuf::from(value()?)),
            "--key" => key = Some(value()?),
            "--codec" => codec = Some(value()?.parse()?),
            "--decoder" => decoder = Some(value()?.parse()?),
            "--block-kib" => block = Some(value()?.parse::<usize>()? << 10),
            _ if file.is_none() && !word.starts_with('-') => file = Some(PathBuf::from(word)),
            _ => return Err(format!("{word} is not known\n{USAGE}").into()),
        }
    }
    let (Some(file), Some(out), Some(key)) = (file, out, key) else { return Err(USAGE.into()) };
    let members = key.strip_prefix('/').ok_or("--key is not a JSON pointer: write it like /event")?;
    let codec = codec.unwrap_or(Codec::Gzip(2));
    Ok(Args {
        file,
        out,
        key: members.split('/').map(|name| name.replace("~1", "/").replace("~0", "~")).collect(),
        codec,
        decoder: decoder.unwrap_or(codec.own_decoder()),
        block: block.unwrap_or(codec.own_block()),
    })
}

//! COPY … FROM 's3://…' as JSON, options in any order (Developer Guide: `r_COPY`, `copy-parameters-*`). What JSON
//! does not allow or the sandbox does not do is refused by name.

use sqlparser::tokenizer::Token;

use super::{Reader, RelationName};
use crate::redshift::error::{SqlError, SqlResult};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CopyStatement {
    pub(crate) table: RelationName,
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) source: String,
    pub(crate) manifest: bool,
    pub(crate) format: CopyFormat,
    /// One for all files of the COPY; `None` reads them as they are.
    pub(crate) compression: Option<Compression>,
    pub(crate) time_format: TimeFormat,
    pub(crate) truncate_columns: bool,
    pub(crate) accept_any_date: bool,
    pub(crate) replace_invalid: Option<char>,
    pub(crate) blanks_as_null: bool,
    pub(crate) empty_as_null: bool,
    pub(crate) round_decimals: bool,
    pub(crate) trim_blanks: bool,
    /// Errors at which the load fails; 0 and 1 both mean the first one.
    pub(crate) max_error: u64,
    pub(crate) no_load: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CopyFormat {
    Auto,
    AutoIgnoreCase,
    NoShred,
    /// URL of the JSONPaths file.
    Paths(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// `YYYY-MM-DD HH:MI:SS[OF]`
    Default,
    Auto,
    EpochSeconds,
    EpochMilliseconds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Bzip2,
    Zstd,
}

impl Compression {
    /// Its word in messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Zstd => "zstd",
        }
    }
}

const MAX_ERROR_LIMIT: u64 = 100_000;

pub(super) fn copy(reader: &mut Reader<'_>) -> SqlResult<CopyStatement> {
    reader.expect_word("copy")?;
    let table = reader.relation()?;
    let columns = if reader.peek() == Token::LParen { Some(reader.in_parentheses(Reader::identifier)?) } else { None };
    reader.expect_word("from")?;
    let source = reader.string()?;
    if !source.starts_with("s3://") {
        return Err(SqlError::unsupported(format!("COPY from '{source}'"), "copy from an 's3://bucket/key' URL"));
    }
    let mut copy = CopyStatement {
        table,
        columns,
        source,
        manifest: false,
        format: CopyFormat::Auto,
        compression: None,
        time_format: TimeFormat::Default,
        truncate_columns: false,
        accept_any_date: false,
        replace_invalid: None,
        blanks_as_null: false,
        empty_as_null: false,
        round_decimals: false,
        trim_blanks: false,
        max_error: 0,
        no_load: false,
    };
    let mut seen = Seen::default();
    while reader.peek() != Token::EOF {
        option(reader, &mut copy, &mut seen)?;
    }
    if !seen.authorization {
        return Err(SqlError::new("COPY needs credentials: add IAM_ROLE default or IAM_ROLE 'arn:…'"));
    }
    if !seen.json {
        return Err(SqlError::unsupported("COPY of delimited text", "add FORMAT JSON 'auto' or a JSONPaths file"));
    }
    if seen.max_error && seen.ignore_all_errors {
        return Err(SqlError::new("MAXERROR and IGNOREALLERRORS cannot be used together"));
    }
    Ok(copy)
}

#[derive(Default)]
struct Seen {
    authorization: bool,
    json: bool,
    max_error: bool,
    ignore_all_errors: bool,
}

fn option(reader: &mut Reader<'_>, copy: &mut CopyStatement, seen: &mut Seen) -> SqlResult<()> {
    let Some(word) = reader.peek_word() else { return Err(reader.unexpected()) };
    if !KNOWN.contains(&word.as_str()) {
        return Err(refused(&word).unwrap_or_else(|| reader.unexpected()));
    }
    reader.any_word()?;
    match word.as_str() {
        "iam_role" => {
            seen.authorization = true;
            if !reader.word("default") {
                reader.string()?;
            }
        }
        "credentials" => {
            seen.authorization = true;
            reader.word("as");
            reader.string()?;
        }
        "region" => {
            reader.word("as");
            reader.string()?;
        }
        "manifest" => copy.manifest = true,
        "format" => {
            reader.word("as");
            match reader.peek_word() {
                Some(format) if format == "json" => {}
                Some(format) => return Err(refused(&format).unwrap_or_else(|| reader.unexpected())),
                None => return Err(reader.unexpected()),
            }
        }
        "json" => {
            seen.json = true;
            reader.word("as");
            if matches!(reader.peek(), Token::SingleQuotedString(_)) {
                copy.format = json_option(&reader.string()?)?;
            }
        }
        "gzip" => compressed(copy, Compression::Gzip)?,
        "bzip2" => compressed(copy, Compression::Bzip2)?,
        "zstd" => compressed(copy, Compression::Zstd)?,
        "timeformat" => {
            reader.word("as");
            copy.time_format = time_format(&reader.string()?)?;
        }
        "dateformat" => {
            reader.word("as");
            let format = reader.string()?;
            if format != "auto" && format != "YYYY-MM-DD" {
                return Err(SqlError::unsupported(format!("DATEFORMAT '{format}'"), "use 'auto'"));
            }
        }
        "truncatecolumns" => copy.truncate_columns = true,
        "acceptanydate" => copy.accept_any_date = true,
        "acceptinvchars" => {
            reader.word("as");
            copy.replace_invalid = Some('?');
            if matches!(reader.peek(), Token::SingleQuotedString(_)) {
                let text = reader.string()?;
                let replacement = text.chars().next().filter(|c| text.len() == 1 && *c != '\0');
                copy.replace_invalid =
                    Some(replacement.ok_or_else(|| SqlError::new("ACCEPTINVCHARS needs one ASCII character"))?);
            }
        }
        "blanksasnull" => copy.blanks_as_null = true,
        "emptyasnull" => copy.empty_as_null = true,
        "roundec" => copy.round_decimals = true,
        "trimblanks" => copy.trim_blanks = true,
        "maxerror" => {
            reader.word("as");
            seen.max_error = true;
            copy.max_error = reader.number()?;
            if copy.max_error > MAX_ERROR_LIMIT {
                return Err(SqlError::new(format!("MAXERROR must be between 0 and {MAX_ERROR_LIMIT}")));
            }
        }
        "ignoreallerrors" => {
            seen.ignore_all_errors = true;
            copy.max_error = u64::MAX;
        }
        "noload" => copy.no_load = true,
        // Compression and statistics mean nothing here.
        "compupdate" | "statupdate" => {
            let _set = ["on", "off", "preset", "true", "false"].iter().any(|value| reader.word(value));
        }
        "comprows" => {
            reader.number()?;
        }
        "encoding" => {
            reader.word("as");
            let encoding = reader.any_word()?;
            if encoding != "utf8" {
                return Err(SqlError::unsupported(format!("ENCODING {encoding}"), "write files in UTF-8"));
            }
        }
        // Identity columns do not exist here, so there is nothing to override.
        "explicit_ids" => {}
        _ => return Err(reader.unexpected()),
    }
    Ok(())
}

fn compressed(copy: &mut CopyStatement, compression: Compression) -> SqlResult<()> {
    match copy.compression.replace(compression) {
        None => Ok(()),
        // PostgreSQL's words for an option that was given already.
        Some(_) => Err(SqlError::new("conflicting or redundant options")),
    }
}

const KNOWN: [&str; 26] = [
    "iam_role",
    "credentials",
    "region",
    "manifest",
    "format",
    "json",
    "gzip",
    "bzip2",
    "zstd",
    "timeformat",
    "dateformat",
    "truncatecolumns",
    "acceptanydate",
    "acceptinvchars",
    "blanksasnull",
    "emptyasnull",
    "roundec",
    "trimblanks",
    "maxerror",
    "ignoreallerrors",
    "noload",
    "compupdate",
    "statupdate",
    "comprows",
    "encoding",
    "explicit_ids",
];

fn refused(word: &str) -> Option<SqlError> {
    Some(match word {
        "lzop" => SqlError::unsupported("COPY … LZOP", "write the files with gzip, zstd or bzip2"),
        "csv" | "avro" | "parquet" | "orc" | "shapefile" | "fixedwidth" => {
            SqlError::unsupported(format!("FORMAT {}", word.to_ascii_uppercase()), "load JSON")
        }
        "access_key_id" | "secret_access_key" | "session_token" | "with" => {
            SqlError::unsupported("access keys in COPY", "use IAM_ROLE")
        }
        "master_symmetric_key" | "encrypted" | "ssh" | "job" | "parallel" | "ignoreheader" => {
            SqlError::unsupported(format!("COPY … {}", word.to_ascii_uppercase()), "leave the option out")
        }
        "delimiter" | "escape" | "fillrecord" | "ignoreblanklines" | "null" | "readratio" | "removequotes" => {
            SqlError::new(format!("{} is not supported with JSON", word.to_ascii_uppercase()))
        }
        _ => return None,
    })
}

fn json_option(option: &str) -> SqlResult<CopyFormat> {
    Ok(match option {
        "auto" => CopyFormat::Auto,
        "auto ignorecase" => CopyFormat::AutoIgnoreCase,
        "noshred" => CopyFormat::NoShred,
        url if url.starts_with("s3://") => CopyFormat::Paths(url.to_owned()),
        other => {
            return Err(SqlError::new(format!(
                "Invalid JSON option '{other}': use 'auto', 'auto ignorecase', 'noshred' or the URL of a JSONPaths file"
            )));
        }
    })
}

/// The three keywords are case-sensitive (Developer Guide: `copy-parameters-data-conversion`).
fn time_format(format: &str) -> SqlResult<TimeFormat> {
    Ok(match format {
        "auto" => TimeFormat::Auto,
        "epochsecs" => TimeFormat::EpochSeconds,
        "epochmillisecs" => TimeFormat::EpochMilliseconds,
        "YYYY-MM-DD HH:MI:SS" | "YYYY-MM-DD HH24:MI:SS" => TimeFormat::Default,
        other => {
            return Err(SqlError::unsupported(
                format!("TIMEFORMAT '{other}'"),
                "use 'auto', 'epochsecs' or 'epochmillisecs'",
            ));
        }
    })
}

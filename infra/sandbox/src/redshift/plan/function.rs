//! Calls of scalar functions. A function is either right here or refused by name.

use sqlparser::ast::{DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::cast::Mode;
use super::literal::text_literal;
use super::operator::common_type;
use super::{Planner, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::object_name;
use crate::redshift::sql_type::{SqlType, VARCHAR_MAX};

const TEXT: SqlType = SqlType::Varchar(VARCHAR_MAX);

/// What `version()` answers: Redshift's shape, plainly not Redshift's build.
const VERSION: &str = "PostgreSQL 8.0.2 compatible, Redshift Data API sandbox of Log Router";

impl Planner<'_> {
    pub(super) fn function(&mut self, call: &Function) -> SqlResult<Typed> {
        let name = object_name(&call.name)?.name;
        if matches!(call.args, FunctionArguments::None) {
            return self.keyword_value(&name).ok_or_else(|| self.no_such_column(&name));
        }
        if call.over.is_some() {
            return self.window_function(&name, call);
        }
        if let Some(aggregate) = self.aggregate(&name, call)? {
            return Ok(aggregate);
        }
        if call.filter.is_some() || !call.within_group.is_empty() || call.null_treatment.is_some() {
            return Err(not_supported(&name));
        }
        let arguments = plain_arguments(&name, call)?;
        if let Some(planned) = self.time_function(&name, &arguments)? {
            return Ok(planned);
        }
        if let Some(planned) = self.json_function(&name, &arguments)? {
            return Ok(planned);
        }
        if let Some(planned) = self.text_function(&name, &arguments)? {
            return Ok(planned);
        }
        if let Some(planned) = self.number_function(&name, &arguments)? {
            return Ok(planned);
        }
        if let Some(planned) = self.general_function(&name, &arguments)? {
            return Ok(planned);
        }
        let types = arguments
            .iter()
            .map(|argument| Ok(self.expression(argument)?.ty.catalog_name()))
            .collect::<SqlResult<Vec<_>>>()?;
        Err(not_supported(&format!("{name}({})", types.join(", "))))
    }

    fn general_function(&mut self, name: &str, arguments: &[&Expr]) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, arguments) {
            ("coalesce" | "nvl" | "ifnull", [_, ..]) => {
                let values = arguments.iter().map(|a| self.expression(a)).collect::<SqlResult<Vec<_>>>()?;
                let (ty, values) = self.unify(values, "COALESCE")?;
                match values.as_slice() {
                    [only] => Typed::new(only, ty),
                    _ => Typed::new(format!("coalesce({})", values.join(", ")), ty),
                }
            }
            ("nvl2", [tested, present, absent]) => {
                let tested = self.expression(tested)?;
                let results = vec![self.expression(present)?, self.expression(absent)?];
                let (ty, results) = self.unify(results, "NVL2")?;
                let sql = format!("CASE WHEN {} IS NOT NULL THEN {} ELSE {} END", tested.sql, results[0], results[1]);
                Typed::new(sql, ty)
            }
            ("nullif", [value, unwanted]) => {
                let (value, unwanted) = (self.expression(value)?, self.expression(unwanted)?);
                let value = if value.ty == SqlType::Unknown { self.as_text(value)? } else { value };
                let equal = self.compare(value.clone(), "=", unwanted)?;
                Typed::new(format!("CASE WHEN {} THEN NULL ELSE {} END", equal.sql, value.sql), value.ty)
            }
            ("greatest" | "least", [_, ..]) => {
                let values = arguments.iter().map(|a| self.expression(a)).collect::<SqlResult<Vec<_>>>()?;
                let (ty, values) = self.unify(values, &name.to_ascii_uppercase())?;
                let function = if name == "greatest" { "max" } else { "min" };
                Typed::new(ignoring_nulls(function, &values), ty)
            }
            ("decode", [value, pairs @ ..]) if pairs.len() >= 2 => self.decode(value, pairs)?,
            ("current_database", []) => Typed::new(text_literal(&self.facts.database), SqlType::Varchar(128)),
            ("current_schema", []) => {
                let schema = self.facts.search_path.first().map_or("public", String::as_str);
                Typed::new(text_literal(schema), SqlType::Varchar(128))
            }
            ("current_user" | "user", []) => Typed::new(text_literal(&self.facts.user), SqlType::Varchar(128)),
            ("version", []) => Typed::new(text_literal(VERSION), SqlType::Varchar(256)),
            ("pg_last_copy_count", []) => Typed::new(self.facts.last_copy_count.to_string(), SqlType::BigInt),
            ("pg_last_copy_id", []) => Typed::new(self.facts.last_copy_id.to_string(), SqlType::Integer),
            ("pg_backend_pid", []) => Typed::new(self.facts.process_id.to_string(), SqlType::Integer),
            _ => return Ok(None),
        }))
    }

    /// Unlike CASE, NULL equals NULL (Developer Guide: `r_DECODE_expression`).
    fn decode(&mut self, value: &Expr, pairs: &[&Expr]) -> SqlResult<Typed> {
        let value = self.expression(value)?;
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for pair in pairs.chunks_exact(2) {
            let (left, right) = {
                let wanted = self.expression(pair[0])?;
                self.comparable(value.clone(), "=", wanted)?
            };
            tests.push(format!("{} IS {}", left.sql, right.sql));
            results.push(self.expression(pair[1])?);
        }
        if let [otherwise] = pairs.chunks_exact(2).remainder() {
            results.push(self.expression(otherwise)?);
        }
        let (ty, results) = self.unify(results, "DECODE")?;
        let mut sql = String::from("CASE");
        for (test, result) in tests.iter().zip(&results) {
            sql.push_str(&format!(" WHEN {test} THEN {result}"));
        }
        if let Some(otherwise) = results.get(tests.len()) {
            sql.push_str(&format!(" ELSE {otherwise}"));
        }
        sql.push_str(" END");
        Ok(Typed::new(sql, ty))
    }

    fn text_function(&mut self, name: &str, arguments: &[&Expr]) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, arguments) {
            ("lower", [text]) => Typed::new(format!("rs_lower({})", self.text(text)?), TEXT),
            ("upper", [text]) => Typed::new(format!("rs_upper({})", self.text(text)?), TEXT),
            ("initcap", [text]) => Typed::new(format!("rs_initcap({})", self.text(text)?), TEXT),
            ("reverse", [text]) => Typed::new(format!("rs_reverse({})", self.text(text)?), TEXT),
            ("length" | "len" | "char_length" | "character_length" | "textlen", [text]) => {
                Typed::new(format!("rs_length({})", self.text(text)?), SqlType::Integer)
            }
            ("octet_length", [text]) => Typed::new(format!("rs_octet_length({})", self.text(text)?), SqlType::Integer),
            ("ascii", [text]) => Typed::new(format!("rs_ascii({})", self.text(text)?), SqlType::Integer),
            ("chr", [code]) => Typed::new(format!("rs_chr({})", self.integer(code)?), SqlType::Varchar(4)),
            ("substring" | "substr", [text, from]) => self.substring(text, from, None)?,
            ("substring" | "substr", [text, from, length]) => self.substring(text, from, Some(length))?,
            ("left" | "right", [text, count]) => {
                let (text, count) = (self.text(text)?, self.integer(count)?);
                Typed::new(format!("rs_{name}({text}, {count})"), TEXT)
            }
            ("trim" | "btrim", [text]) => self.trim("trim", text, None)?,
            ("trim" | "btrim", [text, set]) => self.trim("trim", text, Some(set))?,
            ("ltrim" | "rtrim", [text]) => self.trim(name, text, None)?,
            ("ltrim" | "rtrim", [text, set]) => self.trim(name, text, Some(set))?,
            ("replace" | "translate", [text, from, to]) => {
                let (text, from, to) = (self.text(text)?, self.text(from)?, self.text(to)?);
                let function = if name == "replace" { "replace" } else { "rs_translate" };
                Typed::new(format!("{function}({text}, {from}, {to})"), TEXT)
            }
            ("split_part", [text, delimiter, part]) => {
                let (text, delimiter, part) = (self.text(text)?, self.text(delimiter)?, self.integer(part)?);
                Typed::new(format!("rs_split_part({text}, {delimiter}, {part})"), TEXT)
            }
            ("strpos", [text, wanted]) | ("charindex", [wanted, text]) => {
                let (text, wanted) = (self.text(text)?, self.text(wanted)?);
                Typed::new(format!("rs_strpos({text}, {wanted})"), SqlType::Integer)
            }
            ("concat", [left, right]) => Typed::new(format!("({} || {})", self.text(left)?, self.text(right)?), TEXT),
            ("repeat" | "replicate", [text, times]) => {
                let (text, times) = (self.text(text)?, self.integer(times)?);
                Typed::new(format!("rs_repeat({text}, {times})"), TEXT)
            }
            ("lpad" | "rpad", [text, length]) => {
                let (text, length) = (self.text(text)?, self.integer(length)?);
                Typed::new(format!("rs_{name}({text}, {length}, ' ')"), TEXT)
            }
            ("lpad" | "rpad", [text, length, fill]) => {
                let (text, length, fill) = (self.text(text)?, self.integer(length)?, self.text(fill)?);
                Typed::new(format!("rs_{name}({text}, {length}, {fill})"), TEXT)
            }
            _ => return Ok(None),
        }))
    }

    fn number_function(&mut self, name: &str, arguments: &[&Expr]) -> SqlResult<Option<Typed>> {
        Ok(Some(match (name, arguments) {
            ("abs", [value]) => {
                let value = self.number(value)?;
                let sql = match value.ty {
                    SqlType::Decimal { .. } => format!("rs_dabs({})", value.sql),
                    ty if ty.is_float() => format!("abs({})", value.sql),
                    ty => format!("rs_abs({}, {})", value.sql, ty.integer_bits()),
                };
                Typed::new(sql, value.ty)
            }
            ("mod", [left, right]) => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                self.arithmetic(left, "%", right)?
            }
            ("ceil" | "ceiling", [value]) => self.ceil_floor("ceil", value)?,
            ("floor", [value]) => self.ceil_floor("floor", value)?,
            ("trunc", [at]) if self.expression(at)?.ty.is_time() => {
                let at = self.expression(at)?;
                self.cast(at, SqlType::Date, Mode::Implicit)?
            }
            ("round" | "trunc", [value]) => self.round(name, value, None)?,
            ("round" | "trunc", [value, digits]) => self.round(name, value, Some(digits))?,
            ("sign", [value]) => {
                let value = self.float(value)?;
                Typed::new(format!("CAST(sign({value}) AS REAL)"), SqlType::Double)
            }
            ("sqrt", [value]) => Typed::new(format!("rs_sqrt({})", self.float(value)?), SqlType::Double),
            ("exp", [value]) => Typed::new(format!("rs_exp({})", self.float(value)?), SqlType::Double),
            ("ln" | "dlog1", [value]) => Typed::new(format!("rs_ln({})", self.float(value)?), SqlType::Double),
            ("log" | "dlog10", [value]) => Typed::new(format!("rs_log10({})", self.float(value)?), SqlType::Double),
            ("power" | "pow", [base, exponent]) => {
                let (base, exponent) = (self.float(base)?, self.float(exponent)?);
                Typed::new(format!("rs_pow({base}, {exponent})"), SqlType::Double)
            }
            ("random", []) => {
                Typed::new("(CAST(random() & 9007199254740991 AS REAL) / 9007199254740992.0)", SqlType::Double)
            }
            _ => return Ok(None),
        }))
    }

    fn round(&mut self, name: &str, value: &Expr, digits: Option<&Expr>) -> SqlResult<Typed> {
        let value = self.number(value)?;
        let digits = digits.map_or(Ok("0".to_owned()), |digits| self.integer(digits))?;
        let short = if name == "round" { "round" } else { "trunc" };
        match value.ty {
            SqlType::Decimal { precision, scale } => {
                let sql = format!("rs_d{short}({}, {scale}, {digits})", value.sql);
                let rounded = Typed::new(sql, value.ty);
                // With a constant number of digits the result shows just those.
                match digits.parse::<u8>() {
                    Ok(digits) if digits < scale => {
                        let ty =
                            SqlType::Decimal { precision: (precision - scale + digits + 1).min(38), scale: digits };
                        self.cast(rounded, ty, Mode::Implicit)
                    }
                    _ => Ok(rounded),
                }
            }
            ty if ty.is_float() => Ok(Typed::new(format!("rs_f{short}({}, {digits})", value.sql), ty)),
            ty => {
                let exact = self.cast(value, SqlType::Decimal { precision: 19, scale: 0 }, Mode::Implicit)?;
                let rounded = Typed::new(format!("rs_d{short}({}, 0, {digits})", exact.sql), exact.ty);
                self.cast(rounded, ty, Mode::Implicit)
            }
        }
    }

    pub(super) fn ceil_floor(&mut self, name: &str, value: &Expr) -> SqlResult<Typed> {
        let value = self.number(value)?;
        match value.ty {
            SqlType::Decimal { precision, scale } => {
                let whole = Typed::new(format!("rs_d{name}({}, {scale})", value.sql), value.ty);
                let ty = SqlType::Decimal { precision: (precision - scale + 1).min(38), scale: 0 };
                self.cast(whole, ty, Mode::Implicit)
            }
            ty if ty.is_float() => Ok(Typed::new(format!("rs_f{name}({})", value.sql), ty)),
            _ => Ok(value),
        }
    }

    pub(super) fn substring(&mut self, text: &Expr, from: &Expr, length: Option<&Expr>) -> SqlResult<Typed> {
        let (text, from) = (self.text(text)?, self.integer(from)?);
        let sql = match length {
            Some(length) => format!("rs_substring({text}, {from}, {})", self.integer(length)?),
            None => format!("rs_substring({text}, {from})"),
        };
        Ok(Typed::new(sql, TEXT))
    }

    pub(super) fn trim(&mut self, name: &str, text: &Expr, set: Option<&Expr>) -> SqlResult<Typed> {
        let text = self.text(text)?;
        let set = set.map_or(Ok("' '".to_owned()), |set| self.text(set))?;
        Ok(Typed::new(format!("{name}({text}, {set})"), TEXT))
    }

    pub(super) fn integer(&mut self, expression: &Expr) -> SqlResult<String> {
        let value = self.expression(expression)?;
        Ok(self.cast(value, SqlType::BigInt, Mode::Implicit)?.sql)
    }

    pub(super) fn float(&mut self, expression: &Expr) -> SqlResult<String> {
        let value = self.expression(expression)?;
        Ok(self.cast(value, SqlType::Double, Mode::Implicit)?.sql)
    }

    pub(super) fn number(&mut self, expression: &Expr) -> SqlResult<Typed> {
        let value = self.expression(expression)?;
        match value.ty {
            ty if ty.is_numeric() => Ok(value),
            SqlType::Unknown | SqlType::Super => self.cast(value, SqlType::Double, Mode::Implicit),
            other => Err(SqlError::new(format!("function needs a number, not {}", other.catalog_name()))),
        }
    }
}

/// GREATEST and LEAST leave NULLs out; the embedded database's own would answer NULL.
fn ignoring_nulls(function: &str, values: &[String]) -> String {
    let [_, _, ..] = values else { return values.join("") };
    let guarded: Vec<String> = (0..values.len())
        .map(|first| {
            let mut order = values.to_vec();
            order.rotate_left(first);
            format!("coalesce({})", order.join(", "))
        })
        .collect();
    format!("{function}({})", guarded.join(", "))
}

pub(super) fn not_supported(function: &str) -> SqlError {
    SqlError::unsupported(
        format!("the function {}", function.to_ascii_uppercase()),
        "check its name and arguments, or compute it another way",
    )
}

/// Positional arguments only, no DISTINCT, no `*`.
pub(super) fn plain_arguments<'e>(name: &str, call: &'e Function) -> SqlResult<Vec<&'e Expr>> {
    let FunctionArguments::List(list) = &call.args else { return Err(not_supported(name)) };
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) || !list.clauses.is_empty() {
        return Err(not_supported(name));
    }
    list.args.iter().map(|argument| positional(name, argument)).collect()
}

pub(super) fn positional<'e>(name: &str, argument: &'e FunctionArg) -> SqlResult<&'e Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
        _ => Err(not_supported(name)),
    }
}

/// Types that must agree, for callers outside expressions.
pub(super) fn agree(left: SqlType, right: SqlType, place: &str) -> SqlResult<SqlType> {
    common_type(left, right).ok_or_else(|| {
        SqlError::new(format!("{place} types {} and {} cannot be matched", left.catalog_name(), right.catalog_name()))
    })
}

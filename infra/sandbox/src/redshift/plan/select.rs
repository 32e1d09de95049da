//! One SELECT: FROM, WHERE, GROUP BY, HAVING, select list, ORDER BY, in the order they are evaluated.

use sqlparser::ast::{
    Distinct, ExcludeSelectItem, Expr, GroupByExpr, OrderByExpr, Select, SelectItem, SelectItemQualifiedWildcardKind,
    TopQuantity, WildcardAdditionalOptions,
};

use super::query::ordinal;
use super::scope::Scope;
use super::window::order_direction;
use super::{OutputColumn, Planner, Rows, Typed};
use crate::redshift::error::{SqlError, SqlResult};
use crate::redshift::parse::{fold_ident, object_name};
use crate::redshift::sql_type::SqlType;

struct Item {
    name: String,
    value: Typed,
}

impl Planner<'_> {
    pub(super) fn select(&mut self, select: &Select, order: &[OrderByExpr], limit: &str) -> SqlResult<Rows> {
        refuse_unknown_clauses(select)?;
        self.scopes.push(Scope::default());
        let planned = self.select_in_scope(select, order, limit);
        self.scopes.pop();
        planned
    }

    fn select_in_scope(&mut self, select: &Select, order: &[OrderByExpr], limit: &str) -> SqlResult<Rows> {
        let from = self.from(&select.from)?;
        let filter = select.selection.as_ref().map(|filter| self.condition(filter, "WHERE")).transpose()?;
        let keys = self.group_keys(select)?;
        let scope = self.scope();
        scope.loose.clear();
        scope.group_keys.clone_from(&keys);
        scope.allow_aggregates = true;
        let items = self.items(&select.projection, select.exclude.as_ref())?;
        let having = select.having.as_ref().map(|having| self.condition(having, "HAVING")).transpose()?;
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => {
                return Err(SqlError::unsupported("DISTINCT ON", "use ROW_NUMBER() in a sub-SELECT"));
            }
        };
        let order = self.order(&items, order, distinct)?;
        let scope = self.scope();
        let grouped = !keys.is_empty() || scope.saw_aggregate || having.is_some();
        if let (true, Some(column)) = (grouped, scope.loose.first()) {
            return Err(SqlError::new(format!(
                "column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
            )));
        }
        let list: Vec<String> =
            items.iter().enumerate().map(|(i, item)| format!("{} AS c{}", item.value.sql, i + 1)).collect();
        let mut sql = format!("SELECT {}{}", if distinct { "DISTINCT " } else { "" }, list.join(", "));
        if !from.is_empty() {
            sql.push_str(&format!(" FROM {from}"));
        }
        if let Some(filter) = filter {
            sql.push_str(&format!(" WHERE {filter}"));
        }
        if !keys.is_empty() {
            let keys: Vec<String> = keys.iter().map(|key| not_a_position(key)).collect();
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        if let Some(having) = having {
            sql.push_str(&format!(" HAVING {having}"));
        }
        sql.push_str(&order);
        sql.push_str(&match &select.top {
            Some(top) if top.percent || top.with_ties => {
                return Err(SqlError::unsupported("TOP with PERCENT or WITH TIES", "use LIMIT"));
            }
            Some(_) if !limit.is_empty() => return Err(SqlError::new("TOP and LIMIT cannot be used together")),
            Some(top) => match &top.quantity {
                Some(TopQuantity::Constant(rows)) => format!(" LIMIT {rows}"),
                _ => return Err(SqlError::new("TOP needs a constant number of rows")),
            },
            None => limit.to_owned(),
        });
        let columns = items.into_iter().enumerate().map(|(i, item)| OutputColumn {
            name: item.name,
            sql_name: format!("c{}", i + 1),
            ty: item.value.ty,
        });
        Ok(Rows { sql, columns: columns.collect() })
    }

    /// GROUP BY expressions, select list positions, or select list aliases that name no column.
    fn group_keys(&mut self, select: &Select) -> SqlResult<Vec<String>> {
        let expressions = match &select.group_by {
            GroupByExpr::Expressions(expressions, modifiers) if modifiers.is_empty() => expressions,
            GroupByExpr::Expressions(..) => {
                return Err(SqlError::unsupported("GROUP BY with a modifier", "use UNION ALL of the groupings"));
            }
            GroupByExpr::All(_) => return Err(SqlError::unsupported("GROUP BY ALL", "name the columns")),
        };
        let mut keys = Vec::with_capacity(expressions.len());
        for expression in expressions {
            let meant = match ordinal(expression, select.projection.len())? {
                Some(position) => match &select.projection[position - 1] {
                    SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
                        expression
                    }
                    _ => return Err(SqlError::unsupported("GROUP BY the position of a *", "name the column")),
                },
                None => self.alias_meant(expression, &select.projection)?.unwrap_or(expression),
            };
            if matches!(meant, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)) {
                return Err(SqlError::unsupported("ROLLUP, CUBE and GROUPING SETS", "use UNION ALL of the groupings"));
            }
            keys.push(self.expression(meant)?.sql);
        }
        Ok(keys)
    }

    fn alias_meant<'s>(&mut self, expression: &Expr, items: &'s [SelectItem]) -> SqlResult<Option<&'s Expr>> {
        let Expr::Identifier(ident) = expression else { return Ok(None) };
        let name = fold_ident(ident);
        if self.find_column(&name)?.is_some() {
            return Ok(None);
        }
        Ok(items.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if fold_ident(alias) == name => Some(expr),
            _ => None,
        }))
    }

    fn items(&mut self, projection: &[SelectItem], exclude: Option<&ExcludeSelectItem>) -> SqlResult<Vec<Item>> {
        let mut items: Vec<Item> = Vec::with_capacity(projection.len());
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expression) => {
                    let value = self.expression(expression)?;
                    items.push(Item { name: output_name(expression, &value), value });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let value = self.expression(expr)?;
                    let name = fold_ident(alias);
                    self.scope().aliases.push((name.clone(), value.clone()));
                    items.push(Item { name, value });
                }
                SelectItem::Wildcard(options) => items.extend(self.wildcard(None, options)?),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let name = object_name(name)?;
                    items.extend(self.wildcard(Some((name.schema.as_deref(), &name.name)), options)?);
                }
                other => return Err(SqlError::unsupported(format!("the select list entry {other}"), "name columns")),
            }
        }
        if let Some(exclude) = exclude {
            drop_excluded(&mut items, exclude)?;
        }
        Ok(items)
    }

    fn wildcard(
        &mut self,
        table: Option<(Option<&str>, &str)>,
        options: &WildcardAdditionalOptions,
    ) -> SqlResult<Vec<Item>> {
        if options.opt_ilike.is_some()
            || options.opt_except.is_some()
            || options.opt_replace.is_some()
            || options.opt_rename.is_some()
            || options.opt_alias.is_some()
        {
            return Err(SqlError::unsupported("this option of *", "use EXCLUDE or name the columns"));
        }
        let relations = self.scope().relations.clone();
        let mut items = Vec::new();
        let mut found = false;
        for relation in &relations {
            if table.is_some_and(|(schema, name)| !relation.answers_to(schema, name)) {
                continue;
            }
            found = true;
            for column in &relation.columns {
                if table.is_none() && relation.merged.contains(&column.name) {
                    continue;
                }
                let sql = match relation.alias.as_str() {
                    "" => column.sql_name.clone(),
                    alias => format!("{alias}.{}", column.sql_name),
                };
                let scope = self.scope();
                if !scope.group_keys.contains(&sql) {
                    scope.loose.push(format!("{}.{}", relation.name, column.name));
                }
                items.push(Item { name: column.name.clone(), value: Typed::new(sql, column.ty) });
            }
        }
        match table {
            _ if found => {}
            Some((_, name)) => return Err(SqlError::new(format!("missing FROM-clause entry for table \"{name}\""))),
            None => return Err(SqlError::new("SELECT * with no tables specified is not valid")),
        }
        if let Some(exclude) = &options.opt_exclude {
            drop_excluded(&mut items, exclude)?;
        }
        Ok(items)
    }

    /// Output columns by name or position, else any expression over the tables.
    fn order(&mut self, items: &[Item], terms: &[OrderByExpr], distinct: bool) -> SqlResult<String> {
        let mut parts = Vec::with_capacity(terms.len());
        for term in terms {
            let direction = order_direction(term)?;
            if let Some(position) = ordinal(&term.expr, items.len())? {
                parts.push(format!("{position} {direction}"));
                continue;
            }
            if let Expr::Identifier(ident) = &term.expr {
                let name = fold_ident(ident);
                let mut named = items.iter().enumerate().filter(|(_, item)| item.name == name);
                if let Some((position, first)) = named.next() {
                    if named.any(|(_, other)| other.value.sql != first.value.sql) {
                        return Err(SqlError::new(format!("ORDER BY \"{name}\" is ambiguous")));
                    }
                    parts.push(format!("{} {direction}", position + 1));
                    continue;
                }
            }
            let value = self.expression(&term.expr)?;
            match items.iter().position(|item| item.value.sql == value.sql) {
                Some(position) => parts.push(format!("{} {direction}", position + 1)),
                None if distinct => {
                    return Err(SqlError::new("for SELECT DISTINCT, ORDER BY expressions must appear in target list"));
                }
                None => parts.push(format!("{} {direction}", not_a_position(&value.sql))),
            }
        }
        Ok(if parts.is_empty() { String::new() } else { format!(" ORDER BY {}", parts.join(", ")) })
    }
}

/// The embedded database reads a bare integer in GROUP BY and ORDER BY as a position.
fn not_a_position(sql: &str) -> String {
    let digits = sql.strip_prefix('-').unwrap_or(sql);
    if digits.bytes().all(|b| b.is_ascii_digit()) { format!("({sql} + 0)") } else { sql.to_owned() }
}

fn drop_excluded(items: &mut Vec<Item>, exclude: &ExcludeSelectItem) -> SqlResult<()> {
    let names = match exclude {
        ExcludeSelectItem::Single(name) => std::slice::from_ref(name),
        ExcludeSelectItem::Multiple(names) => names,
    };
    for name in names {
        let name = object_name(name)?.name;
        let before = items.len();
        items.retain(|item| item.name != name);
        if items.len() == before {
            return Err(SqlError::new(format!("column \"{name}\" in the EXCLUDE list does not exist")));
        }
    }
    Ok(())
}

/// What `PostgreSQL` calls a column without alias.
fn output_name(expression: &Expr, value: &Typed) -> String {
    match expression {
        Expr::Identifier(ident) => fold_ident(ident),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold_ident).unwrap_or_default(),
        Expr::Function(function) => object_name(&function.name).map(|name| name.name).unwrap_or_default(),
        Expr::Nested(inner) => output_name(inner, value),
        Expr::Cast { expr, .. } => match output_name(expr, value) {
            name if name == "?column?" => value.ty.driver_name().to_owned(),
            name => name,
        },
        Expr::Case { .. } => "case".to_owned(),
        Expr::Extract { .. } => "date_part".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Exists { .. } => "?column?".to_owned(),
        Expr::TypedString(_) => value.ty.driver_name().to_owned(),
        Expr::Value(_) if value.ty == SqlType::Boolean => "bool".to_owned(),
        _ => "?column?".to_owned(),
    }
}

fn refuse_unknown_clauses(select: &Select) -> SqlResult<()> {
    let unknown = if select.into.is_some() {
        Some(("SELECT INTO", "use CREATE TABLE … AS"))
    } else if select.qualify.is_some() {
        Some(("QUALIFY", "filter in a query around this one"))
    } else if !select.connect_by.is_empty() {
        Some(("CONNECT BY", "use joins"))
    } else if !select.named_window.is_empty() {
        Some(("the WINDOW clause", "write the window in OVER (…)"))
    } else if !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.value_table_mode.is_some()
        || select.select_modifiers.is_some()
    {
        Some(("this clause of SELECT", "use FROM, WHERE, GROUP BY, HAVING, ORDER BY and LIMIT"))
    } else {
        None
    };
    unknown.map_or(Ok(()), |(form, instead)| Err(SqlError::unsupported(form, instead)))
}

//! Fields that a frozen table leaves out: told once each, in the table `changes`.

use crate::batch::new_name;
use crate::mapping::frozen::LeftOut;
use crate::mapping::name::path_text;
use crate::sql::ddl::{Change, insert_changes};
use crate::sql::{BATCH_MAX_ENTRIES, Names, ask};
use crate::warehouse::{Warehouse, WarehouseError};
use common::event_name::EventName;
use std::collections::BTreeSet;

/// Fields of one table that are told: where keys are data, new ones come for ever.
const TOLD_MAX: usize = 1_000;

/// Said once instead of the fields beyond [`TOLD_MAX`].
const FURTHER: &str = "further fields are left out";

/// As `changes` spells it.
pub(crate) const LEFT_OUT: &str = "left out";

/// What was told of one table. Losing it costs a question, and at worst a field is told again.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Details of the rows in `changes`; `None` until they are needed.
    details: Option<BTreeSet<String>>,
    /// Fields that the batch in work leaves out.
    now: usize,
}

impl Told {
    /// How many fields the batch in work leaves out, if any.
    pub(crate) fn fields_left_out(&self) -> Option<usize> {
        Some(self.now).filter(|now| *now > 0)
    }

    /// Tells of fields that were not told of before. `why` is for people.
    pub(crate) async fn tell(
        &mut self,
        warehouse: &Warehouse,
        names: &Names,
        event: &EventName,
        fields: &LeftOut,
        why: &str,
    ) -> Result<(), WarehouseError> {
        self.now = fields.len();
        if fields.is_empty() {
            return Ok(());
        }
        if self.details.is_none() {
            let rows = warehouse.query("left out", &ask::change_details(names, event, LEFT_OUT)).await?;
            self.details = Some(rows.into_iter().filter_map(|mut row| row.pop().flatten()).collect());
        }
        let details = self.details.get_or_insert_default();
        let news = news(details, fields, why);
        if news.is_empty() {
            return Ok(());
        }
        let changes = news.iter().map(|detail| Change { what: LEFT_OUT, detail: detail.clone() });
        let name = new_name("left-out");
        let statements = insert_changes(names, event, &name, &changes.collect::<Vec<_>>());
        for some in statements.chunks(BATCH_MAX_ENTRIES) {
            warehouse.batch(&name, some.to_vec()).await?;
        }
        tracing::warn!(
            event = event.as_str(),
            fields = news.len(),
            first = news[0],
            "new fields are left out of the table; they stay in the parts, and the table changes names them"
        );
        details.extend(news);
        Ok(())
    }
}

/// What is to be told of these fields, and was not.
fn news(told: &BTreeSet<String>, fields: &LeftOut, why: &str) -> Vec<String> {
    let mut news = Vec::new();
    for detail in fields.iter().map(|path| detail(path, why)).filter(|detail| !told.contains(detail)) {
        if told.len() + news.len() >= TOLD_MAX {
            if !told.contains(FURTHER) {
                news.push(FURTHER.to_owned());
            }
            break;
        }
        news.push(detail);
    }
    news
}

fn detail(path: &[String], why: &str) -> String {
    format!("{}: {why}", path_text(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_fields_are_told_and_then_that_there_are_more() {
        let fields = |range: std::ops::Range<usize>| range.map(|n| vec![format!("f{n:05}")]).collect::<LeftOut>();
        let mut told = BTreeSet::from_iter(news(&BTreeSet::new(), &fields(0..999), "frozen"));
        assert_eq!(told.len(), 999);
        let second = news(&told, &fields(0..5_000), "frozen");
        assert_eq!(second, [r#"["f00999"]: frozen"#, FURTHER]);
        told.extend(second);
        assert!(news(&told, &fields(0..9_000), "frozen").is_empty());
    }

    #[test]
    fn a_field_is_told_by_its_path_and_the_reason() {
        assert_eq!(detail(&["user".into(), "it's".into()], "frozen"), r#"["user","it's"]: frozen"#);
    }
}

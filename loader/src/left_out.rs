//! Fields that a frozen table leaves out: told once each, in the table `changes`.

use crate::batch::new_name;
use crate::mapping::frozen::LeftOut;
use crate::mapping::name::path_text;
use crate::sql::ddl::{Change, insert_changes};
use crate::sql::{Names, ask};
use crate::warehouse::{Warehouse, WarehouseError};
use common::event_name::EventName;
use std::collections::BTreeSet;

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
        let news: Vec<String> =
            fields.iter().map(|path| detail(path, why)).filter(|detail| !details.contains(detail)).collect();
        if news.is_empty() {
            return Ok(());
        }
        let changes = news.iter().map(|detail| Change { what: LEFT_OUT, detail: detail.clone() });
        let name = new_name("left-out");
        let statements = insert_changes(names, event, &name, &changes.collect::<Vec<_>>());
        warehouse.batch(&name, statements).await?;
        tracing::warn!(
            event = event.as_str(),
            fields = news.len(),
            first = news[0],
            "new fields are left out of the table; they stay in the parts, and the table changes names them all"
        );
        details.extend(news);
        Ok(())
    }
}

fn detail(path: &[String], why: &str) -> String {
    format!("{}: {why}", path_text(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_told_by_its_path_and_the_reason() {
        assert_eq!(detail(&["user".into(), "it's".into()], "frozen"), r#"["user","it's"]: frozen"#);
    }
}

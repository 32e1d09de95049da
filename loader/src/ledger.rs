//! Asking the ledger which sources are loaded: the only answer that counts.

use crate::batch::Member;
use crate::sql::{Names, ask};
use crate::warehouse::{Warehouse, WarehouseError, number, required};
use common::event_name::EventName;
use std::collections::HashMap;

/// The highest loaded generation of each source that is loaded at all.
pub(crate) type Loaded = HashMap<String, u32>;

/// Asks for all members' sources.
pub(crate) async fn loaded<D>(
    warehouse: &Warehouse,
    names: &Names,
    event: &EventName,
    members: &[Member<D>],
) -> Result<Loaded, WarehouseError> {
    let mut loaded = Loaded::new();
    for sql in ask::loaded_sources(names, event, members.iter().map(|member| &member.request().source_id)) {
        for row in warehouse.query("ledger", &sql).await? {
            loaded.insert(required(&row, 0)?.to_owned(), number(&row, 1)?);
        }
    }
    Ok(loaded)
}

/// Parts members into those that the ledger has, at this generation or a higher one, and those still owed.
pub(crate) fn part<D>(members: Vec<Member<D>>, loaded: &Loaded) -> (Vec<Member<D>>, Vec<Member<D>>) {
    members.into_iter().partition(|member| {
        let request = member.request();
        loaded.get(request.source_id.as_str()).is_some_and(|generation| *generation >= request.generation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::held;
    use common::source::SourceId;

    #[test]
    fn a_lower_loaded_generation_still_owes_the_higher_one() {
        let ids = |members: &[Member<u32>]| -> Vec<String> {
            members.iter().map(|member| member.request().source_id.to_string()).collect()
        };
        let [a, b, c] = ["a", "b", "c"].map(|key| SourceId::new("raw", key, "e").to_string());
        let members = crate::batch::members(vec![held("a", 0, 1), held("b", 1, 2), held("c", 0, 3)]);
        let (done, owed) = part(members, &Loaded::from([(a.clone(), 0), (b.clone(), 0)]));
        assert_eq!(ids(&done), [a]);
        assert!(ids(&owed).len() == 2 && ids(&owed).contains(&b) && ids(&owed).contains(&c));
    }
}

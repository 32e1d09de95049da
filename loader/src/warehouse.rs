//! The warehouse as loads see it: the Data API's client, and the class of what it says outside the load transaction.

use crate::verdict::{self, Class};
pub(crate) use common::warehouse::{Ended, Failure, Row, Warehouse, WarehouseError, number, required};

/// A failure that has a class.
pub(crate) trait Classed {
    fn class(&self) -> Class;
}

impl Classed for WarehouseError {
    fn class(&self) -> Class {
        match self {
            WarehouseError::Unanswered { .. } => Class::Transient,
            WarehouseError::Refused(error) if error.is_transient() => Class::Transient,
            WarehouseError::Refused(error) => match verdict::classify(None, &error.to_string()) {
                Class::Transient => Class::Transient,
                _ => Class::Configuration,
            },
            WarehouseError::Failed(failure) => verdict::classify(None, &failure.message),
            WarehouseError::TooLarge { .. } => Class::TooLarge,
            WarehouseError::Unexpected { .. } => Class::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_submitted_is_a_persons_or_the_batchs_fault_and_what_was_not_answered_is_nobodys() {
        use common::aws_error::AwsError;
        let denied = || AwsError::refused("ExecuteStatement", "q", "AccessDeniedException", "no", true);
        assert_eq!(WarehouseError::Refused(denied()).class(), Class::Configuration);
        assert_eq!(WarehouseError::Unanswered { name: "q".into(), cause: denied() }.class(), Class::Transient);
        assert_eq!(WarehouseError::TooLarge { entries: 41, bytes: 1 }.class(), Class::TooLarge);
    }
}

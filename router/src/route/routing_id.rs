//! The routing id: which settings and which code decided the routed bytes.

use common::settings::RouterSettings;
use common::source::hex16;

/// Raised with every change of the code that changes routed bytes, names or boundaries: what one
/// version routed must never be mixed with what another routed. `object/golden.rs` fails until it is.
pub const ROUTING_VERSION: u32 = 1;

/// 8 hex digits over the version and every setting that changes routed output. How it is
/// compressed, buffered or uploaded is not among them.
pub fn routing_id(settings: &RouterSettings) -> String {
    let output = serde_json::json!({
        "version": ROUTING_VERSION,
        "event_type": settings.event_type,
        "lineage": settings.lineage,
        "part_max_bytes": settings.part_max_bytes,
        "max_event_types": settings.max_event_types,
        "max_object_bytes": settings.max_object_bytes,
        "codec": "gzip",
    });
    let mut id = hex16(&[output.to_string().as_bytes()]);
    id.truncate(8);
    id
}

//! The summary: tables, quarantine, balance, two SELECTs, and what to try next.

use crate::sql_command::query;
use crate::sql_output::Format;
use anyhow::Context;
use common::clients::Clients;
use common::objects;
use common::quarantine::Reason;
use common::seal::Seal;
use common::settings::Settings;
use flate2::read::MultiGzDecoder;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

/// Two questions that a data scientist of the shop might ask.
const SELECTS: [&str; 2] = [
    "SELECT page_path, COUNT(*) AS views FROM events.page_view GROUP BY page_path ORDER BY views DESC, page_path LIMIT 5",
    "SELECT event, rows FROM log_router.tables ORDER BY rows DESC, event LIMIT 5",
];

/// What the pipeline made, counted where it ended up.
pub(super) struct Report {
    records_in: u64,
    /// Rows by event table.
    tables: BTreeMap<String, u64>,
    /// Quarantine lines by reason.
    quarantined: BTreeMap<Reason, u64>,
    files: usize,
}

impl Report {
    pub(super) async fn collect(settings: &Settings, clients: &Clients, records_in: u64) -> anyhow::Result<Self> {
        let prefix = format!("{}id/", settings.keys.seals);
        let keys = objects::list(&clients.s3, &settings.routed.bucket, &prefix).await?;
        let mut report = Self { records_in, tables: BTreeMap::new(), quarantined: BTreeMap::new(), files: keys.len() };
        for key in keys {
            let seal = Seal::parse(&key, &objects::get(&clients.s3, &settings.routed.bucket, &key).await?)?;
            for sealed in &seal.quarantine {
                let stored = objects::get(&clients.s3, &settings.quarantine_bucket, &sealed.key).await?;
                let lines = BufReader::new(MultiGzDecoder::new(&stored[..])).lines().count() as u64;
                *report.quarantined.entry(sealed.reason).or_default() += lines;
            }
            for event in seal.events {
                report.tables.entry(event.event.to_string()).or_default();
            }
        }
        for (table, rows) in &mut report.tables {
            let sql = format!("SELECT COUNT(*) FROM \"{}\".\"{table}\"", settings.loader.schema);
            let counted = query(&clients.redshift, &settings.loader, &sql).await?;
            *rows = counted.number().context("COUNT gives a number")?;
        }
        Ok(report)
    }

    fn loaded(&self) -> u64 {
        self.tables.values().sum()
    }

    fn set_aside(&self) -> u64 {
        self.quarantined.values().sum()
    }

    pub(super) fn balances(&self) -> bool {
        self.records_in == self.loaded() + self.set_aside()
    }

    pub(super) async fn print(&self, settings: &Settings, clients: &Clients) -> anyhow::Result<()> {
        println!("\nRows per table");
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by_key(|(table, rows)| (std::cmp::Reverse(**rows), table.as_str()));
        for (table, rows) in tables {
            println!("  {:<28}{rows:>8}", format!("{}.{table}", settings.loader.schema));
        }
        println!("\nQuarantined by reason");
        for (reason, lines) in &self.quarantined {
            println!("  {reason:<28}{lines:>8}");
        }
        let (sign, verdict) = if self.balances() { ("=", "balanced") } else { ("≠", "NOT BALANCED") };
        println!("\nBalance of {} files: {verdict}", self.files);
        println!("  records in {} {sign} loaded {} + quarantined {}", self.records_in, self.loaded(), self.set_aside());
        for sql in SELECTS {
            println!("\n{sql}");
            let rows = query(&clients.redshift, &settings.loader, sql).await?;
            print!("{}", Format::Table.render(&rows));
        }
        println!("\nTry next");
        println!(
            "  cargo run -p sandbox -- up          keep a sandbox running, with the AWS CLI against it (README.md)"
        );
        println!("  cargo run -p router -- split FILE -o DIR    route a log file of your own, without AWS");
        println!("  docs/semantics.md                   what is guaranteed, and the test that shows it");
        Ok(())
    }
}

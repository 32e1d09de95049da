#!/usr/bin/env bash
# Drives the sandbox as a person would, with the AWS CLI: S3, SQS, the Data API, and a hostile log file
# from `aws s3 cp` to tables counted to the row. Installs the CLI itself.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
target="${CARGO_TARGET_DIR:-$root/target}/debug"
cache="${CI_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/log-router-ci}"
work=$(mktemp -d)
sandbox_pid=

finish() {
  if [ -n "$sandbox_pid" ]; then kill -TERM "$sandbox_pid" 2>/dev/null || true; wait "$sandbox_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT

if [ ! -x "$cache/awscli/bin/aws" ]; then
  python3 -m venv "$cache/awscli"
  "$cache/awscli/bin/pip" install --quiet --disable-pip-version-check awscli
fi
cargo build --workspace --bins --locked --quiet

fail() { echo "FAILED: $*" >&2; exit 1; }
same() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; echo "ok: $1"; }
contains() { case "$3" in *"$2"*) echo "ok: $1" ;; *) fail "$1: no '$2' in '$3'" ;; esac; }

"$target/sandbox" up --port 0 --dir "$work/sandbox" --config log-router.toml >"$work/ready" 2>"$work/sandbox.log" &
sandbox_pid=$!
for _ in $(seq 100); do grep -q AWS_ENDPOINT_URL "$work/ready" && break; sleep 0.1; done
grep -q AWS_ENDPOINT_URL "$work/ready" || fail "the sandbox is not ready: $(cat "$work/sandbox.log")"
# The ready line is what a person copies.
export $(grep -o '[A-Z_]*=[^ ]*' "$work/ready")
# Version 1 of the CLI ignores AWS_ENDPOINT_URL for some services.
aws() { "$cache/awscli/bin/aws" --endpoint-url "$AWS_ENDPOINT_URL" --output text "$@"; }

echo "--- S3"
printf 'hello' >"$work/hello.txt"
aws s3 mb s3://scratch >/dev/null
aws s3 cp "$work/hello.txt" "s3://scratch/a folder/hello+1.txt" >/dev/null
aws s3 cp "$work/hello.txt" s3://scratch/b.txt >/dev/null
contains "ls shows the object with its size" "5 hello+1.txt" "$(aws s3 ls 's3://scratch/a folder/')"
same "cp brings it back" hello "$(aws s3 cp 's3://scratch/a folder/hello+1.txt' -)"
contains "a second conditional put is refused" PreconditionFailed \
  "$(aws s3api put-object --bucket scratch --key b.txt --if-none-match '*' 2>&1 || true)"
head -c 20000000 /dev/urandom >"$work/large"
aws s3 cp "$work/large" s3://scratch/large >/dev/null
same "a multipart upload comes back whole" "$(sha256sum <"$work/large")" "$(aws s3 cp s3://scratch/large - | sha256sum)"
aws s3 rm --recursive s3://scratch >/dev/null
same "rm leaves nothing" "" "$(aws s3 ls --recursive s3://scratch || true)"
contains "an operation that is not there says so" NotImplemented "$(aws s3api get-bucket-acl --bucket scratch 2>&1 || true)"

echo "--- SQS"
queue=$(aws sqs create-queue --queue-name scratch --attributes VisibilityTimeout=60 --query QueueUrl)
aws sqs send-message --queue-url "$queue" --message-body 'a body' >/dev/null
read -r body receipt < <(aws sqs receive-message --queue-url "$queue" --query 'Messages[0].[Body,ReceiptHandle]' | sed 's/a body/a_body/')
same "a message is received" a_body "$body"
same "and invisible" 1 "$(aws sqs get-queue-attributes --queue-url "$queue" --attribute-names ApproximateNumberOfMessagesNotVisible --query 'Attributes.ApproximateNumberOfMessagesNotVisible')"
aws sqs delete-message --queue-url "$queue" --receipt-handle "$receipt"
same "until it is deleted" 0 "$(aws sqs get-queue-attributes --queue-url "$queue" --attribute-names ApproximateNumberOfMessagesNotVisible --query 'Attributes.ApproximateNumberOfMessagesNotVisible')"
contains "a queue that is not there" NonExistentQueue "$(aws sqs get-queue-url --queue-name nowhere 2>&1 || true)"

echo "--- Redshift Data API"
wait_for() {
  local status
  for _ in $(seq 100); do
    status=$(aws redshift-data describe-statement --id "$1" --query Status)
    case "$status" in FINISHED | FAILED | ABORTED) echo "$status"; return ;; esac
    sleep 0.1
  done
}
execute() { aws redshift-data execute-statement --workgroup-name analytics --database dev --sql "$1" --query Id; }
id=$(execute 'CREATE TABLE public.t (n INTEGER, name VARCHAR(10))')
same "a table is created" FINISHED "$(wait_for "$id")"
id=$(aws redshift-data batch-execute-statement --workgroup-name analytics --database dev --query Id \
  --sqls "INSERT INTO public.t VALUES (1, 'one')" "INSERT INTO public.t VALUES (2, 'far too long for ten')")
same "a batch with a failing second statement fails" FAILED "$(wait_for "$id")"
contains "its error names the statement" "Query #2 failed with ERROR" "$(aws redshift-data describe-statement --id "$id" --query Error)"
id=$(execute 'SELECT COUNT(*) FROM public.t')
same "the query runs" FINISHED "$(wait_for "$id")"
same "and the first statement is rolled back" 0 "$(aws redshift-data get-statement-result --id "$id" --query 'Records[0][0].longValue')"

echo "--- A hostile log, put with aws s3 cp, counted exactly, delivered twice"
"$target/generate" hostile --seed 99 --lines 35000 --event-types 30 -o "$work/hostile.json.gz" >"$work/expected.json"
for round in 1 2; do
  if [ "$round" = 1 ]; then
    aws s3 cp "$work/hostile.json.gz" s3://raw-logs/2025/06/01/hostile.json.gz >/dev/null
  else
    body=$(python3 - "$(aws s3api head-object --bucket raw-logs --key 2025/06/01/hostile.json.gz --query ETag)" <<'PY'
import json, sys
print(json.dumps({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
  "s3": {"bucket": {"name": "raw-logs"}, "object": {"key": "2025/06/01/hostile.json.gz", "eTag": sys.argv[1].strip('"')}}}]}))
PY
)
    aws sqs send-message --queue-url "$(aws sqs get-queue-url --queue-name raw-objects --query QueueUrl)" --message-body "$body" >/dev/null
  fi
  "$target/router" run --until-idle 2s 2>"$work/router.log" || fail "router: $(tail -3 "$work/router.log")"
  "$target/loader" run --until-idle 2s 2>"$work/loader.log" || fail "loader: $(tail -3 "$work/loader.log")"
  aws s3 cp --recursive s3://routed-logs/seals/id/ "$work/seals" >/dev/null
  "$target/sandbox" sql --format csv "SELECT DISTINCT table_name FROM svv_columns WHERE table_schema = 'events'" | tail -n +2 >"$work/tables"
  while read -r table; do
    "$target/sandbox" sql --format csv "SELECT '$table' AS t, COUNT(*) AS n, COUNT(DISTINCT _line) AS lines FROM events.\"$table\"" | tail -1
  done <"$work/tables" >"$work/rows.csv"
  python3 - "$work/expected.json" "$work/rows.csv" "$work"/seals/*.json <<'PY'
import json, sys
expected = json.load(open(sys.argv[1]))
seals = [json.load(open(path)) for path in sys.argv[3:]]
assert len(seals) == 1, f"{len(seals)} seals"
counts = seals[0]["counts"]
assert counts["by_type"] == expected["event_types"], "records per event type"
assert counts["by_reason"] == expected["reasons"], "quarantined per reason"
assert counts["read"] == expected["records"] == counts["routed"] + counts["quarantined"], "balance"
rows = {t: (int(n), int(lines)) for t, n, lines in (line.strip().split(",") for line in open(sys.argv[2]))}
assert all(n == lines for n, lines in rows.values()), "a line twice in a table"
assert {t: n for t, (n, _) in rows.items()} == {e["event"]: e["records"] for e in seals[0]["events"]}, "rows per table"
print(f"ok: {counts['read']} records = {sum(n for n, _ in rows.values())} rows in {len(rows)} tables + {counts['quarantined']} quarantined")
PY
done
kill -TERM "$sandbox_pid"
wait "$sandbox_pid" && echo "ok: the sandbox stops cleanly"
sandbox_pid=

"""A sandbox of its own, with what a bench asks of it. Plain HTTP: nothing is signed, and no SDK is needed."""

import contextlib
import datetime
import http.client
import json
import os
import subprocess
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

SETTINGS = """
[raw]
bucket = "raw-logs"
queue = "raw-objects"
[routed]
bucket = "routed-logs"
queue = "routed-parts"
[router]
event_type = ["/event"]
workers = {workers}
spool_dir = "{scratch}"
[loader]
database = "dev"
workgroup = "analytics"
flush_age = "1s"
max_commits_per_minute = 600
"""
NOTIFIED = """<NotificationConfiguration><QueueConfiguration><Queue>arn:aws:sqs:us-east-1:000000000000:raw-objects</Queue>
<Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>"""
PUTS_AT_ONCE = 8


class Sandbox:
    def __init__(self, builds, scratch, workers, cores):
        self.folder = scratch
        self.folder.mkdir(parents=True)
        settings = self.folder / "log-router.toml"
        settings.write_text(SETTINGS.format(workers=workers, scratch=self.folder))
        command = [builds.sandbox(), "up", "--port", "0", "--dir", self.folder / "sandbox", "--config", settings]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cores)
        )
        ready = self.process.stdout.readline()
        variables = dict(word.split("=", 1) for word in ready.split() if "=" in word)
        self.env = {**variables, "LOG_ROUTER_CONFIG": str(settings), "AWS_EC2_METADATA_DISABLED": "true"}
        self.host = urllib.parse.urlsplit(variables["AWS_ENDPOINT_URL"]).netloc

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu(self):
        """User and system seconds so far."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def requests(self):
        connection = http.client.HTTPConnection(self.host)
        connection.request("GET", "/_sandbox/requests")
        return json.load(connection.getresponse())

    def notify(self, wanted):
        """Whether new objects are told of; old ones were not."""
        body = NOTIFIED if wanted else "<NotificationConfiguration/>"
        call(http.client.HTTPConnection(self.host), "PUT", "/raw-logs?notification", body)

    def put(self, objects):
        """Puts (key, bytes, time or None) into the raw bucket."""

        def some(share):
            with contextlib.closing(http.client.HTTPConnection(self.host)) as connection:
                for key, body, at in share:
                    headers = {"x-amz-meta-sandbox-last-modified": at.isoformat()} if at else {}
                    call(connection, "PUT", f"/raw-logs/{urllib.parse.quote(key)}", body, headers)

        objects = list(objects)
        with ThreadPoolExecutor(PUTS_AT_ONCE) as pool:
            list(pool.map(some, (objects[n::PUTS_AT_ONCE] for n in range(PUTS_AT_ONCE))))

    def sql(self, statement):
        """The first value of the first row; None where there is none or the statement failed."""
        connection = http.client.HTTPConnection(self.host)
        where = {"Database": "dev", "WorkgroupName": "analytics"}
        statement_id = self._data_api(connection, "ExecuteStatement", {**where, "Sql": statement})["Id"]
        asked = {"Id": statement_id}
        while True:
            described = self._data_api(connection, "DescribeStatement", {**asked, "WaitTimeSeconds": 30})
            if described["Status"] in ("FAILED", "ABORTED"):
                return None
            if described["Status"] == "FINISHED":
                records = self._data_api(connection, "GetStatementResult", asked)["Records"]
                return next(iter(records[0][0].values())) if records else None

    @staticmethod
    def _data_api(connection, operation, body):
        headers = {"X-Amz-Target": f"RedshiftData.{operation}", "Content-Type": "application/x-amz-json-1.1"}
        return json.loads(call(connection, "POST", "/", json.dumps(body), headers))


def call(connection, method, path, body, headers={}):
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:400]}")
    return text


def hours(first, count, days):
    """So many times, spread evenly over the days."""
    start = datetime.datetime.fromisoformat(f"{first}T00:00:00+00:00")
    return [start + datetime.timedelta(seconds=days * 86_400 * n // count) for n in range(count)]

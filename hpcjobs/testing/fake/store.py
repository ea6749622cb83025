"""All that the pretend Slurm knows, in one folder: jobs in an SQLite file, calls in a journal, scripts in a spool."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Job = dict[str, Any]
FOLDER = "HPCJOBS_FAKE_SLURM"
SCENARIO = "HPCJOBS_FAKE_SCENARIO"
TABLES = """
CREATE TABLE IF NOT EXISTS jobs (key INTEGER PRIMARY KEY, id INTEGER, array INTEGER, live INTEGER, data TEXT);
CREATE INDEX IF NOT EXISTS by_id ON jobs (id);
CREATE INDEX IF NOT EXISTS by_array ON jobs (array);
CREATE INDEX IF NOT EXISTS by_life ON jobs (live);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
"""
SETTLED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "DEADLINE")


class Store:
    """The state folder; safe for any number of processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        new = not (folder / "state.db").exists()
        # A generous timeout: a thousand jobs and a few watchers take turns at one file.
        self.connection = sqlite3.connect(folder / "state.db", timeout=60, isolation_level=None)
        self.connection.execute("PRAGMA synchronous=OFF")
        if new:
            self.spool.mkdir(exist_ok=True)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.executescript(TABLES)

    @contextmanager
    def change(self) -> Iterator[None]:
        """One change at a time: nobody else writes meanwhile; an exception undoes all of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def version(self) -> int:
        """A number that changes when another process has written."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    def fact(self, name: str, default: Any = None) -> Any:
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def set_fact(self, name: str, value: Any) -> None:
        self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def jobs(self, where: str = "1", values: Sequence[object] = ()) -> list[Job]:
        """Jobs in the order of their submission."""
        rows = self.connection.execute(f"SELECT key, data FROM jobs WHERE {where} ORDER BY key", values)  # noqa: S608
        return [{**json.loads(data), "key": key} for key, data in rows]

    def live(self) -> list[Job]:
        """Jobs that have not ended."""
        return self.jobs("live = 1")

    def named(self, number: int) -> list[Job]:
        """The job of a number, or every task of the array of that number."""
        return self.jobs("id = ? OR array = ?", (number, number))

    def save(self, job: Job) -> None:
        """Keep a job as it now is."""
        data = json.dumps({name: value for name, value in job.items() if name != "key"})
        row = (job["id"], job["array_id"], int(is_live(job)), data)
        if job.get("key"):
            update = "UPDATE jobs SET id = ?, array = ?, live = ?, data = ? WHERE key = ?"
            self.connection.execute(update, (*row, job["key"]))
        else:
            insert = "INSERT INTO jobs (id, array, live, data) VALUES (?, ?, ?, ?)"
            job["key"] = self.connection.execute(insert, row).lastrowid

    def next_id(self) -> int:
        """A job number nobody had; to be called within `change`."""
        number = int(self.fact("last_id", 0)) + 1
        self.set_fact("last_id", number)
        return number

    def config(self) -> dict[str, Any]:
        """What the administrator of the pretend cluster decided."""
        return dict(self.fact("config", {}))

    def scenario(self) -> dict[str, Any]:
        """What goes wrong at the moment."""
        return {**self.fact("scenario", {}), **json.loads(os.environ.get(SCENARIO) or "{}")}

    def take(self, name: str) -> bool:
        """Whether a trouble that lasts for a number of calls strikes this one; True lasts for ever."""
        lasts = self.scenario().get(name)
        if not lasts or lasts is True:
            return bool(lasts)
        with self.change():
            spent = self.fact("spent", {})
            spent[name] = spent.get(name, 0) + 1
            self.set_fact("spent", spent)
        return bool(spent[name] <= lasts)

    def note(self, argv: Sequence[str]) -> None:
        """Write a call into the journal: one line in one write, so that lines never mix."""
        entry = {"time": time.time(), "argv": list(argv), "job": os.environ.get("SLURM_JOB_ID", "")}
        descriptor = os.open(self.folder / "journal.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (json.dumps(entry) + "\n").encode())
        finally:
            os.close(descriptor)


def is_live(job: Job) -> bool:
    """Whether a job has not ended: it waits, runs, or its processes still end."""
    return job["state"] not in SETTLED or bool(job.get("completing"))


def open_store() -> Store:
    """The state folder that the environment names."""
    return Store(Path(os.environ[FOLDER]))

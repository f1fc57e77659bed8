"""Paging what Rekognition found into the store: 200 pages of 1,000 persons, over HTTP, with boto3, into a real store.

Compared with what cannot be avoided: parsing the JSON of the pages, and a bare ``executemany`` of the same rows.
Measured where every row is another person, which is the most a page can hold, and where ten rows are one. The server
of the pages is a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import multiprocessing
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from benches.common import save, say
from vidsearch.aws.session import Clients
from vidsearch.cuts import Cut, Stretch
from vidsearch.engine import RunRequest
from vidsearch.engines.rekognition.database import Database
from vidsearch.engines.rekognition.engine import RekognitionEngine
from vidsearch.engines.rekognition.limits import Limiter
from vidsearch.engines.rekognition.ports import Resources
from vidsearch.engines.rekognition.runs import Runs
from vidsearch.jobs import steps
from vidsearch.model import (
    DEFAULT_CASE,
    BoundingBox,
    EnrolledFace,
    FaceDescription,
    Footage,
    Job,
    MediaFacts,
    StartSource,
)
from vidsearch.states import JobState
from vidsearch.store import Store

ROWS = 1000
"""Persons on a page: the most that GetFaceSearch gives."""

STEP_MS = 100
LANDMARKS = ("eyeLeft", "eyeRight", "mouthLeft", "mouthRight", "nose")
FACES = 5
"""Enrolled faces; every fifth row matches one of them."""

OWNER, TOKEN, JOB = "bench", "bench-token", "bench-job"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3, help="the median is told")


def run(given: argparse.Namespace) -> None:
    """Measure both kinds of pages."""
    os.environ.update(AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", AWS_EC2_METADATA_DISABLED="true")
    results: dict[str, Any] = {"pages": given.pages, "rows_per_page": ROWS}
    for name, rows_each in (("every_row_another_person", 1), ("ten_rows_a_person", 10)):
        say(f"{name} …")
        results[name] = measure(given.pages, rows_each, given.rounds)
        say(f"  {results[name]}")
    save("paging", results)


def measure(pages: int, rows_each: int, rounds: int) -> dict[str, Any]:
    """Return seconds of the bare work and of ours, and how much memory ours takes from page to page.

    Seconds of the processor are told too: they do not depend on what else the machine does.
    """
    with serving(pages, rows_each) as url, tempfile.TemporaryDirectory() as scratch:
        bare, ours, memory = [], [], []
        for number in range(rounds):
            bare.append(bare_s(Path(scratch) / f"bare-{number}.db", pages, rows_each))
            seconds, growth = ours_s(Path(scratch) / f"ours-{number}", url, pages)
            ours.append(seconds)
            memory.append(growth)
    (least, least_cpu), (took, took_cpu) = (map(statistics.median, zip(*spent, strict=True)) for spent in (bare, ours))
    return {
        "bare_s": round(least, 2),
        "ours_s": round(took, 2),
        "ratio": round(took / least, 2),
        "bare_cpu_s": round(least_cpu, 2),
        "ours_cpu_s": round(took_cpu, 2),
        "cpu_ratio": round(took_cpu / least_cpu, 2),
        "memory_growth_mb": round(max(memory) / 1e6, 1),
        "page_bytes": len(page_of(0, pages, rows_each)),
    }


def clocks() -> tuple[float, float]:
    """Return (seconds, seconds of the processor)."""
    return time.perf_counter(), time.process_time()


# -- the pages -------------------------------------------------------------------------------------------------------


def page_of(number: int, pages: int, rows_each: int) -> bytes:
    """Return the JSON of a page, sorted by person, as GetFaceSearch gives it."""
    answer: dict[str, Any] = {
        "JobStatus": "SUCCEEDED",
        "VideoMetadata": {"Codec": "h264", "DurationMillis": 21_600_000, "FrameWidth": 1920, "FrameHeight": 1080},
        "Persons": [row_of(number * ROWS + row, rows_each) for row in range(ROWS)],
        "JobId": JOB,
    }
    if number + 1 < pages:
        answer["NextToken"] = f"page{number + 1}"
    return json.dumps(answer).encode()


def row_of(number: int, rows_each: int) -> dict[str, Any]:
    """Return one person at one moment, in full."""
    place = (number * 7919 % 900_001) / 1_000_000
    box = {"Width": 0.05 + place / 20, "Height": 0.0912345678901, "Left": place, "Top": place / 2}
    face = {
        "BoundingBox": box,
        "Confidence": 99.87654321 - place,
        "Landmarks": [{"Type": kind, "X": place + 0.0123456789, "Y": place + 0.0234567891} for kind in LANDMARKS],
        "Pose": {"Roll": 1.234567891, "Yaw": -12.34567891, "Pitch": 3.456789123},
        "Quality": {"Brightness": 45.67891234, "Sharpness": 89.12345678},
    }
    row: dict[str, Any] = {
        "Timestamp": number * STEP_MS % 21_600_000,
        "Person": {"Index": number // rows_each, "BoundingBox": box, "Face": face},
    }
    if number % 5 == 0:
        seen = {"FaceId": f"aws-{number % FACES}", "ExternalImageId": f"s-{face_id(number // 5 % FACES)}"}
        row["FaceMatches"] = [{"Similarity": 95.0 + place, "Face": {**seen, "Confidence": 99.9, "BoundingBox": box}}]
    return row


def face_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:40]


@contextmanager
def serving(pages: int, rows_each: int) -> Iterator[str]:
    """Serve the pages from a process of its own and give its address."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, pages, rows_each), daemon=True)
    server.start()
    try:
        yield ours.recv()
    finally:
        server.terminate()
        server.join()


def serve(told: Connection, pages: int, rows_each: int) -> None:
    """Answer GetFaceSearch until the process is ended."""
    bodies = [page_of(number, pages, rows_each) for number in range(pages)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = bodies[int(str(asked.get("NextToken", "page0")).removeprefix("page"))]
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.send(f"http://127.0.0.1:{httpd.server_port}")
    httpd.serve_forever()


# -- the bare work ---------------------------------------------------------------------------------------------------


def bare_s(path: Path, pages: int, rows_each: int) -> tuple[float, float]:
    """Return the seconds that parsing the pages and one executemany a page take, and those of the processor."""
    spent = [0.0, 0.0]
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(
        "CREATE TABLE rows (number INTEGER, ms INTEGER, left REAL, top REAL, width REAL, height REAL, confidence REAL, "
        "face TEXT, similarity REAL)"
    )
    for number in range(pages):
        body = page_of(number, pages, rows_each)
        begun = clocks()
        persons = json.loads(body)["Persons"]
        db.execute("BEGIN")
        db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [columns(person) for person in persons])
        db.execute("COMMIT")
        spent = [total + now - then for total, now, then in zip(spent, clocks(), begun, strict=True)]
    db.close()
    return spent[0], spent[1]


def columns(row: dict[str, Any]) -> tuple[Any, ...]:
    person = row["Person"]
    box = person["Face"]["BoundingBox"]
    match = row["FaceMatches"][0] if "FaceMatches" in row else None
    return (
        person["Index"],
        row["Timestamp"],
        box["Left"],
        box["Top"],
        box["Width"],
        box["Height"],
        person["Face"]["Confidence"],
        match["Face"]["ExternalImageId"] if match else None,
        match["Similarity"] if match else None,
    )


# -- ours ------------------------------------------------------------------------------------------------------------


class Nothing:
    """Neither cuts nor uploads: the job is done already."""


class Watched(RekognitionEngine):
    """Notes how much memory the process has after each page."""

    memory: list[int]

    def results(self, run_ref: str, cursor: str | None = None) -> Any:
        """Return the page, and look at the memory."""
        page = super().results(run_ref, cursor)
        self.memory.append(psutil.Process().memory_info().rss)
        return page


def ours_s(folder: Path, url: str, pages: int) -> tuple[tuple[float, float], int]:
    """Return the seconds that collecting a job takes, and by how many bytes memory grows in the last quarter.

    Before, the store's page cache of 32 MiB fills.
    """
    clients = Clients("us-east-1", endpoints={"rekognition": url})
    nothing: Any = Nothing()
    with Store(folder / "vidsearch.db") as store:
        engine = Watched(folder, clients, nothing, nothing, Resources("b", "q", "t", "r"), limiter=Limiter.none())
        engine.memory = []
        job = prepare(store, engine, folder)
        work = steps.Work(store, engine, OWNER, lambda footage: None, lambda job: None, lambda job: None)
        gc.collect()
        begun = clocks()
        steps.collect(work, job)
        now = clocks()
        found = store.tracks.count(DEFAULT_CASE)
        engine.close()
        clients.close()
    if len(engine.memory) != pages or not found:
        raise SystemExit(f"{len(engine.memory)} of {pages} pages were read, {found} tracks stored")
    most = pages * 3 // 4
    return (now[0] - begun[0], now[1] - begun[1]), max(engine.memory[most:]) - max(engine.memory[:most])


def prepare(store: Store, engine: RekognitionEngine, folder: Path) -> Job:
    """Return a job that is to be collected, of a run that is done."""
    facts = MediaFacts("mp4", "h264", 1920, 1080, 21_600_000, 0, 25.0)
    with store.atomic():
        camera = store.footage.ensure_camera(DEFAULT_CASE, "north", "UTC")
        footage = store.footage.add(
            DEFAULT_CASE,
            camera.id,
            path="/recordings/bench.mp4",
            size=1,
            mtime_ns=1,
            key="bench",
            start_ms=0,
            start_source=StartSource.USER,
            facts=facts,
        )
        for number in range(FACES):
            enrol(store, engine, number)
    end = facts.duration_ms
    store.jobs.create(footage, engine.NAME, engine.version, engine.settings_key, 0, end, "bench")
    job = store.jobs.claim(OWNER, 600_000, engine.NAME, version=engine.version, settings_key=engine.settings_key)
    if job is None:
        raise SystemExit("there is no job to claim")
    database = Database(folder / "engine.db")
    runs = Runs(database)
    runs.ensure(RunRequest(footage.key, Path(footage.path), facts, 0, end, DEFAULT_CASE), TOKEN, 0)
    runs.note_cut(TOKEN, Cut(Path(footage.path), (Stretch(0, 0, end),), 1, made=False))
    runs.change(TOKEN, state="done", outcome="SUCCEEDED", job_id=JOB)
    database.close()
    return collecting(store, footage, job)


def collecting(store: Store, footage: Footage, job: Job) -> Job:
    """Move a claimed job to where its results are collected."""
    job = store.jobs.move(job, JobState.UPLOADING, owner=OWNER)
    job = store.jobs.move(job, JobState.SEARCHING, owner=OWNER, run_ref=TOKEN)
    return store.jobs.move(job, JobState.COLLECTING, owner=OWNER)


def enrol(store: Store, engine: RekognitionEngine, number: int) -> None:
    """Make a person with one face, as if Amazon had it."""
    person = store.people.add(DEFAULT_CASE, f"person {number}")
    face = FaceDescription(BoundingBox(0.2, 0.2, 0.4, 0.4), 99.0, 200, 80.0, 1.0)
    store.people.add_photo(
        person,
        name="photo.jpg",
        sha256=face_id(number),
        width=500,
        height=500,
        outcome="enrolled",
        reason="",
        disagrees=None,
        enrolled=EnrolledFace(face_id(number), engine.NAME, engine.gallery_version, face),
    )

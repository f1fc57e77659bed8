"""The local engine over real recordings, real worker processes and real crashes."""

from __future__ import annotations

import itertools
import multiprocessing
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from faces import Lasting, collected, finish, load, local_engine, pages, picture, request
from footage_maker import crossing

from vidsearch.engines import EngineTools, load_engine
from vidsearch.engines.local.engine import LocalEngine
from vidsearch.engines.local.worker import WorkerPool
from vidsearch.errors import ModelMissing, UsageError
from vidsearch.media.frames import FrameReader
from vidsearch.media.probe import probe
from vidsearch.settings import load_settings


@pytest.fixture(scope="module")
def executor() -> Iterator[Lasting]:
    lasting = Lasting()
    yield lasting
    lasting.end()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return crossing(path, astronaut, visits=((1.0, 3.0), (4.8, 7.0)))


def analyse(engine: LocalEngine, path: Path, borders: list[int], key: str = "footage") -> list[str]:
    refs = [
        engine.start(request(path, start, end, key=key), f"{key}-{start}") for start, end in itertools.pairwise(borders)
    ]
    for ref, completion in finish(engine, *refs).items():
        assert completion.error is None, ref
    return refs


def named(engine: LocalEngine, owners: dict[str, str], key: str) -> list[tuple[str, float, float]]:
    """Return (person, start, end in seconds) of every track that gets a name by the application's rule."""
    tracks = {track.id: track for track in engine.tracks(key).tracks}
    best: dict[str, Any] = {}
    for match in engine.match("g", key):
        if match.similarity >= 80 and match.agreeing >= 2:
            held = best.get(match.track_id)
            if held is None or match.similarity > held.similarity:
                best[match.track_id] = match
    found = [(owners[m.face_id], tracks[t].start_ms / 1000, tracks[t].end_ms / 1000) for t, m in best.items()]
    return sorted(found, key=lambda one: one[1])


def test_the_people_of_a_real_clip_are_found_and_nobody_else(
    shared_data: Path, tmp_path: Path, models: Path, executor: Lasting
) -> None:
    engine = local_engine(tmp_path, models, executor)
    examples = shared_data / "hamilton" / "examples"
    owners = {}
    for name, photo in {
        "lin": examples / "lin-manuel-miranda.png",
        "alex": examples / "alex-lacamoire.png",
        "stranger": shared_data / "azure" / "Face" / "images" / "Family1-Dad1.jpg",
    }.items():
        owners[engine.enrol("g", picture(load(photo))).face_id] = name
    clip = examples / "short_hamilton_clip.mp4"
    analyse(engine, clip, [0, probe(clip).duration_ms], key="hamilton")
    found = named(engine, owners, "hamilton")
    assert {name for name, _, _ in found} == {"lin"}
    close = [(start, end) for _, start, end in found if start > 3]
    assert close[0][0] == pytest.approx(3.6, abs=0.3)
    assert close[-1][1] == pytest.approx(7.9, abs=0.3)
    assert all(end < 8.03 for _, _, end in found), "the picture cuts to the audience at 8.03 s"


def test_backs_of_heads_are_no_faces(shared_data: Path, tmp_path: Path, models: Path, executor: Lasting) -> None:
    engine = local_engine(tmp_path, models, executor)
    corridor = shared_data / "intel" / "one-by-one-person-detection.mp4"
    analyse(engine, corridor, [0, 20_000], key="corridor")
    assert engine.tracks("corridor").tracks == []


def test_enrolment_takes_tight_grey_crops_that_are_faces(
    shared_data: Path, tmp_path: Path, models: Path, executor: Lasting
) -> None:
    engine = local_engine(tmp_path, models, executor)
    folder = shared_data / "faceapi" / "examples" / "images"
    ids = {
        name: [engine.enrol("g", picture(load(folder / name / f"{name}{n}.png"))).face_id for n in (1, 2, 3)]
        for name in ("amy", "sheldon")
    }
    for name, other in (("amy", "sheldon"), ("sheldon", "amy")):
        assert all(m.similarity > 50 for m in engine.compare("g", ids[name][0], ids[name][1:]))
        assert all(m.similarity < 50 for m in engine.compare("g", ids[name][0], ids[other]))


def test_faces_of_group_photos_are_counted(shared_data: Path, tmp_path: Path, models: Path, executor: Lasting) -> None:
    engine = local_engine(tmp_path, models, executor)
    folder = shared_data / "compreface" / "embedding-calculator" / "sample_images"
    for name in ("000_5", "010_2", "011_3", "012_4", "013_4", "014_5", "015_6", "017_0"):
        assert len(engine.describe(picture(load(folder / f"{name}.jpg")))) == int(name[-1]), name


def test_workers_and_order_make_no_difference(tmp_path: Path, models: Path, executor: Lasting, clip: Path) -> None:
    borders = [0, 2_000, 4_000, 6_000, 8_000]
    one = local_engine(tmp_path / "one", models, executor)
    known = collected(one, analyse(one, clip, borders))
    pool = WorkerPool(2)
    two = LocalEngine(tmp_path / "two", models, FrameReader(), lambda: pool, cores=2, sample_fps=5.0)
    refs = [two.start(request(clip, a, b), f"t{a}") for a, b in list(itertools.pairwise(borders))[::-1]]
    finish(two, *refs)
    assert collected(two, refs[::-1]) == known == {track.id: track for track in two.tracks("footage").tracks}
    assert two.capacity == 2
    two.close()
    assert multiprocessing.active_children() == []


def test_two_processes_share_a_folder(tmp_path: Path, models: Path, executor: Lasting, clip: Path) -> None:
    one, two = (local_engine(tmp_path, models, executor) for _ in range(2))
    refs = [one.start(request(clip, 0, 4_000), "a"), two.start(request(clip, 4_000, 8_000), "b")]
    finish(one, refs[0])
    finish(two, refs[1])
    assert one.tracks("footage") == two.tracks("footage")
    assert len(one.tracks("footage").tracks) == 2
    # Another attempt at a range that somebody else has done reads nothing.
    gone = request(clip, 0, 4_000)
    ref = two.start(type(gone)("footage", tmp_path / "gone.mp4", gone.facts, 0, 4_000), "another-token")
    assert finish(two, ref)[ref].error is None
    assert pages(two, ref) == pages(one, refs[0])


def test_closing_stops_a_run_at_once(tmp_path: Path, models: Path, astronaut: Path) -> None:
    path = crossing(tmp_path / "long.mp4", astronaut, seconds=20, visits=((0.0, 20.0),))
    pool = WorkerPool(1)
    engine = LocalEngine(tmp_path / "engine", models, FrameReader(), lambda: pool, cores=1, sample_fps=10.0)
    engine.start(request(path, 0, 20_000), "t")
    time.sleep(1.0)
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 5


PARENT = """
import sys, time
from pathlib import Path
from vidsearch.engine import RunRequest
from vidsearch.engines.local.engine import LocalEngine
from vidsearch.engines.local.worker import WorkerPool
from vidsearch.media.frames import FrameReader
from vidsearch.media.probe import probe

if __name__ == "__main__":
    folder, models, clip = (Path(word) for word in sys.argv[1:])
    engine = LocalEngine(folder, models, FrameReader(), lambda: WorkerPool(1), cores=1, sample_fps=5.0)
    engine.start(RunRequest("footage", clip, probe(clip), 0, 8_000), "t")
    print("started", flush=True)
    time.sleep(60)
"""


def test_workers_end_when_their_parent_is_killed_and_the_run_can_be_repeated(
    tmp_path: Path, models: Path, executor: Lasting, clip: Path
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT), encoding="utf-8")
    words = [sys.executable, str(script), str(tmp_path / "engine"), str(models), str(clip)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().strip() == "started"
        process = psutil.Process(parent.pid)
        deadline = time.monotonic() + 30
        while not (children := process.children()) and time.monotonic() < deadline:
            time.sleep(0.05)
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    engine = local_engine(tmp_path / "engine", models, executor)
    ref = engine.start(request(clip, 0, 8_000), "t")
    assert finish(engine, ref)[ref].error is None
    assert len(engine.tracks("footage").tracks) == 2


class Dying(Lasting):
    """An executor whose workers die."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        from concurrent.futures.process import BrokenProcessPool

        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("a process died"))
        return future


def test_a_range_that_kills_its_workers_fails_after_a_second_try(tmp_path: Path, models: Path, clip: Path) -> None:
    executor = Dying()
    engine = local_engine(tmp_path, models, executor)
    ref = engine.start(request(clip, 0, 2_000), "t")
    assert "worker process died twice" in (finish(engine, ref)[ref].error or "")
    executor.end()


def test_a_finer_sampling_is_another_analysis(tmp_path: Path, models: Path, executor: Lasting, clip: Path) -> None:
    coarse = local_engine(tmp_path, models, executor)
    fine = local_engine(tmp_path, models, executor, sample_fps=10.0)
    assert coarse.version == fine.version
    assert coarse.settings_key != fine.settings_key
    finish(coarse, coarse.start(request(clip, 0, 4_000), "a"))
    assert fine.tracks("footage").tracks == []
    finish(fine, fine.start(request(clip, 0, 4_000), "b"))
    (one,), (other,) = coarse.tracks("footage").tracks, fine.tracks("footage").tracks
    assert other.detections > one.detections * 1.5


def test_what_cannot_work_says_what_to_do(tmp_path: Path, executor: Lasting) -> None:
    with pytest.raises(ModelMissing, match="vidsearch models install"):
        local_engine(tmp_path, tmp_path / "none", executor)
    settings = load_settings(tmp_path, engine="other", models=tmp_path)
    with pytest.raises(UsageError, match="local"):
        load_engine(settings, EngineTools(FrameReader(), lambda: executor, None, lambda: None))


def test_a_large_photo_is_no_trouble(tmp_path: Path, models: Path, executor: Lasting, astronaut: Path) -> None:
    import cv2

    portrait = load(astronaut)
    engine = local_engine(tmp_path, models, executor)
    large = np.asarray(cv2.resize(portrait, (5_000, 5_000), interpolation=cv2.INTER_CUBIC))
    one, other = engine.enrol("g", picture(large)), engine.enrol("g", picture(portrait))
    assert one.face.face_px > 800
    assert engine.compare("g", one.face_id, [other.face_id])[0].similarity > 95
    assert (engine.face_picture("g", one.face_id) or b"").startswith(b"\xff\xd8")

"""The Rekognition engine: the port over Amazon's collections, S3 and stored-video face search."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from vidsearch.aws.session import Clients
from vidsearch.engine import Capabilities, Completion, Engine, MediaLimits, Page, RunRequest
from vidsearch.engines.rekognition.bucket import BucketPages, BucketPost, Stored
from vidsearch.engines.rekognition.calls import Calls
from vidsearch.engines.rekognition.collections import Collections, HeldFace
from vidsearch.engines.rekognition.database import Database
from vidsearch.engines.rekognition.gallery import Galleries
from vidsearch.engines.rekognition.inbox import Inbox
from vidsearch.engines.rekognition.limits import Limiter
from vidsearch.engines.rekognition.listener import ASK_AGAIN_MS, Listener, Post, Queue
from vidsearch.engines.rekognition.ports import Bounds, Cutter, Resources, Uploader
from vidsearch.engines.rekognition.results import AskedPages, Pages, Results
from vidsearch.engines.rekognition.runs import DONE, Runs
from vidsearch.engines.rekognition.seen import Seen
from vidsearch.engines.rekognition.sending import Sending
from vidsearch.model import EnrolledFace, FaceDescription, Picture, ProbeMatch

DATABASE = "engine.db"
"""Name of the engine's own file in its folder."""

REVISION = 1
"""Grows whenever the same answers of Amazon would give other tracks."""

THRESHOLD = 99.0
"""What Amazon advises where a match may have consequences for somebody."""

FLOOR = 70.0
"""FaceMatchThreshold of every search: low, so that another threshold later costs nothing."""

POLL_S = 20
"""Seconds that one question waits for word: as long as SQS allows, so that waiting costs next to nothing."""

LOOK_S = 5.0
"""Seconds between two looks into the bucket."""

CLOSE_S = 3.0
"""Seconds that closing waits for a question on its way; what it would have got comes again to the next who listens."""


class RekognitionEngine(Engine):
    """Searches on Amazon Rekognition. Footage is uploaded and every minute of it is paid for; photos are paid for too.

    Everything it must know over a crash is in ``folder``, which any number of processes may share.
    """

    NAME: ClassVar[str] = "rekognition"

    def __init__(
        self,
        folder: Path,
        clients: Clients,
        cutter: Cutter,
        uploader: Uploader,
        resources: Resources,
        *,
        mode: str = "full",
        results: str = "rekognition",
        max_jobs: int = 15,
        max_bytes: int = 8_000_000_000,
        max_ms: int = 6 * 3_600_000,
        deadline_ms: int = 900_000,
        keep_segments: bool = False,
        poll_s: int = POLL_S,
        again_ms: int = ASK_AGAIN_MS,
        limiter: Limiter | None = None,
    ) -> None:
        """Open the engine. Nothing is asked of AWS before it must be.

        Args:
            folder: ``DIR/rekognition``: ``engine.db``, pictures of enrolled faces, files on their way to the bucket.
            clients: The clients of the region.
            cutter: Makes files that Rekognition takes.
            uploader: Puts them into the bucket of ``resources``.
            resources: Bucket, queue, topic, role and prefix. Photos need only the prefix.
            mode: ``full`` or ``active``: whether runs name the spans worth searching. It is the ``settings_key``.
            results: ``rekognition`` pages results from Amazon, ``lambda`` reads what the Lambda function stored.
            max_jobs: Jobs open at once, over all processes that share the folder.
            max_bytes: Largest file that is uploaded.
            max_ms: Longest one.
            deadline_ms: When no word of a job came for so long, and for as long as its footage lasts, Amazon is asked.
            keep_segments: Leave what was uploaded in the bucket.
            poll_s: Seconds that a question for word waits, at most 20.
            again_ms: A job that went on when Amazon was asked about it is asked about again after so long.
            limiter: Holds calls to a rate; by default to the quotas of the region.

        Raises a StoreError where the folder cannot be used.
        """
        self.settings_key = mode
        self.capabilities = Capabilities(reads_in_place=False, priced=True)
        self.media_limits = MediaLimits(max_bytes=max_bytes, max_duration_ms=max_ms, segment_ms=max_ms)
        self.default_threshold = THRESHOLD
        self.floor_similarity = FLOOR
        self.agreeing_shots = 1
        self._max_jobs = max_jobs
        self._stop = threading.Event()
        self._database = Database(folder / DATABASE)
        calls = Calls(clients, limiter or Limiter.of_region(clients.region))
        self._collections = Collections(self._database, calls, resources.prefix, folder / "faces")
        self._galleries = Galleries(calls, self._collections)
        self.seen_faces = Seen(self._database, calls, resources.prefix)
        self._runs = Runs(self._database)
        self._inbox = Inbox(self._database, self._runs, calls)
        stored = Stored(clients, resources.bucket, resources.prefix) if results == "lambda" else None
        self._sending = Sending(
            folder / "cuts",
            self._database,
            self._runs,
            self._inbox,
            calls,
            self._collections,
            cutter,
            uploader,
            resources,
            Bounds(max_jobs, max_bytes, max_ms, FLOOR, keep_segments),
            self._stop.is_set,
            stored.remove if stored is not None else None,
        )
        self._pages: Pages = AskedPages(calls)
        post: Post = Queue(clients, resources.queue_url, self._inbox, poll_s=poll_s)
        if stored is not None:
            self._pages = BucketPages(stored, self._pages)
            post = BucketPost(stored, self._runs, self._inbox, look_s=min(LOOK_S, poll_s))
        self._listener = Listener(
            self._runs, self._inbox, post, self._sending.tidy, deadline_ms=deadline_ms, again_ms=again_ms
        )

    @property
    def version(self) -> str:  # type: ignore[override]
        """Of Amazon's face model, and ours. The model is the one of the first collection until somebody renews it."""
        return f"fm{self._collections.model or '0'}-{REVISION}"

    # -- photos --------------------------------------------------------------------------------------------------

    def describe(self, picture: Picture) -> list[FaceDescription]:
        """Return the faces of a picture, left to right. Costs one photo."""
        return self._galleries.describe(picture)

    def enrol(
        self, gallery: str, picture: Picture, *, face: int | None = None, allow_weak: bool = False
    ) -> EnrolledFace:
        """Enrol one face of a picture. Costs one photo for looking and one for indexing.

        Raises NoFaceFound, SeveralFaces, FaceTooSmall, FaceTooBlurred.
        """
        return self._enrolled(self._galleries.enrol(gallery, picture, face, allow_weak=allow_weak))

    def forget(self, gallery: str, face_ids: Sequence[str]) -> None:
        """Remove faces at Amazon and here for good."""
        # First what is only here: the gallery's part ends with emptying the log of the file.
        self.seen_faces.forget_faces(gallery, face_ids)
        self._galleries.forget(gallery, face_ids)

    def faces(self, gallery: str, *, older_than_s: float = 0.0) -> list[str]:
        """Return the ids of the faces of a gallery that were enrolled so long ago."""
        return self._galleries.faces(gallery, older_than_s)

    def search_probe(
        self, gallery: str, picture: Picture, *, face: int | None = None, threshold: float
    ) -> list[ProbeMatch]:
        """Return the enrolled faces that resemble a face of a picture, most similar first. Costs two photos."""
        return self._galleries.search_probe(gallery, picture, face, threshold)

    def compare(self, gallery: str, face_id: str, others: Sequence[str]) -> list[ProbeMatch]:
        """Return the similarity of an enrolled face to each of ``others``, in their order. Costs one photo.

        Raises UnknownRecord.
        """
        return self._galleries.compare(gallery, face_id, others)

    def face_picture(self, gallery: str, face_id: str) -> bytes | None:
        """Return the JPEG of a face that was indexed."""
        return self._galleries.face_picture(gallery, face_id)

    def enrolled(self, gallery: str) -> list[HeldFace]:
        """Return the faces of a gallery as they are noted here, without asking Amazon."""
        return self._collections.held(gallery)

    def purge_footage(self, footage_key: str) -> None:
        """Remove what was uploaded of a recording, and its faces from the collections of faces seen."""
        self._sending.purge(footage_key)
        self.seen_faces.purge(footage_key)

    # -- galleries of another model, and lost ones ---------------------------------------------------------------

    def newer_model(self) -> str | None:
        """Return the version of Amazon's newest face model where it is another than ours, or None."""
        return self._collections.newer_model()

    def adopt(self, model: str) -> None:
        """Go over to Amazon's newest face model, as ``newer_model`` told it.

        Every gallery gets a new collection with the next face enrolled; faces enrolled before count as outdated, and
        all footage as not yet searched. What was seen is sent again with the next search by the track.
        """
        self._collections.renew(model, self.seen_faces.forget_all)
        self.seen_faces.drop_outdated()

    def restore(self, gallery: str) -> int:
        """Make the collection of a gallery again from the kept pictures, and return how many faces it has.

        For a collection deleted behind our back. Faces keep their ids: nothing has to be searched again. Where the
        collection of faces seen was deleted too, they are sent again with the next search by the track.
        """
        self.seen_faces.restore(gallery)
        return self._collections.restore(gallery)

    # -- footage -------------------------------------------------------------------------------------------------

    def prepare(self, request: RunRequest, token: str) -> None:
        """Make the file that is sent, where the recording cannot be sent as it is."""
        self._sending.prepare(request, token)

    def upload(self, request: RunRequest, token: str) -> None:
        """Send the file to the bucket, going on where it was cut short."""
        self._sending.upload(request, token)

    def start(self, request: RunRequest, token: str) -> str:
        """Start a job at Amazon, or find it again; the run's reference is its token. Raises EngineBusy."""
        run = self._sending.start(request, token)
        self._inbox.watch(token)
        if run.state != DONE:
            self._listener.wake()
        return token

    def completions(self, wait_s: float) -> list[Completion]:
        """Return the completions of runs that this process started or asked about again."""
        return self._inbox.completions(wait_s)

    def acknowledge(self, completion: Completion) -> None:
        """Do not tell of a completion again; what was uploaded for it goes."""
        self._inbox.acknowledge(completion.run_ref)
        self._sending.tidy()

    def left_over(self) -> list[Completion]:
        """Return the completions that nobody has acknowledged, of all processes that share the folder."""
        return self._inbox.left_over()

    def results(self, run_ref: str, cursor: str | None = None) -> Page:
        """Return a page of a finished run's results. Raises UnknownRecord."""
        return Results(self._pages, self.version).page(self._runs.get(run_ref), cursor)

    def cancel(self, run_ref: str) -> None:
        """Forget a run. Amazon goes on with a job begun, and charges for it; its slot is taken until it ends."""
        self._inbox.unwatch(run_ref)
        self._sending.cancel(run_ref)

    def progress(self, run_ref: str) -> float | None:
        """Return the share of an upload that is done; what Amazon does it does not tell."""
        return self._sending.share(run_ref)

    @property
    def capacity(self) -> int:
        """As many jobs as may be open."""
        return self._max_jobs

    def close(self) -> None:
        """Stop listening and close the file. Jobs go on at Amazon."""
        self._stop.set()
        self._listener.close(CLOSE_S)
        self._database.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def _enrolled(self, held: HeldFace) -> EnrolledFace:
        return EnrolledFace(held.face_id, self.NAME, self.gallery_version, held.face, held.weak)

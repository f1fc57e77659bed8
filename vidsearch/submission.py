"""Submit recordings: referenced where they are, never written to, told apart by content."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vidsearch import clock
from vidsearch.errors import DiskFull, FootageRefused, SourceUnavailable, UnknownRecord, UsageError
from vidsearch.model import Actor, Camera, Footage, MediaFacts
from vidsearch.store import Store

LONGEST_NAME = 300
"""Characters of a camera's name."""


@dataclass(frozen=True, slots=True)
class FootageResult:
    """What became of one file."""

    path: Path
    outcome: str
    """``taken``, ``known`` (the same content is there already) or ``refused``."""
    reason: str = ""
    footage: Footage | None = None
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Relinked:
    """A recording that was missing and what was found of it."""

    footage: Footage
    path: Path | None
    """Where it is now, or None where it was not found."""


@dataclass(frozen=True, slots=True)
class MediaTools:
    """What submission needs of the media adapter; wiring hands it in."""

    probe: Callable[..., MediaFacts]
    fingerprint: Callable[[Path], str]
    sha256: Callable[..., str]
    recordings_in: Callable[[Iterable[Path]], list[Path]]


class Submission:
    """Add, find again and remove recordings."""

    def __init__(self, store: Store, media: MediaTools, copies: Path, zone: str) -> None:
        """``copies`` takes recordings added with ``copy``; ``zone`` is for cameras that name none."""
        self._store = store
        self._media = media
        self._copies = copies
        self._zone = zone or clock.local_zone()

    def add(
        self,
        actor: Actor,
        case_id: str,
        paths: Iterable[Path],
        *,
        camera: str | None = None,
        start: str | None = None,
        zone: str | None = None,
        copy: bool = False,
        fps: float | None = None,
    ) -> Iterator[FootageResult]:
        """Add files, or folders with everything in them, and yield what became of each file.

        Args:
            actor: Who does it.
            case_id: The case they belong to.
            paths: Files and folders.
            camera: The camera's name; unknown ones are made. Without it, the name of the file's folder.
            start: When the recording's zero was, ISO 8601; without an offset, in the camera's zone.
            zone: The camera's zone (IANA name), for a new camera or to correct a known one.
            copy: Keep a copy in the data folder and use that.
            fps: Frames per second of streams without timestamps.

        Raises:
            UsageError: ``start`` or ``zone`` cannot be understood, or ``camera`` is no name.
            UnknownRecord: None of the paths exists.
        """
        if zone:
            clock.check_zone(zone)
        if start:
            clock.parse_instant(start, zone or self._zone)
        if camera is not None and not (0 < len(camera) <= LONGEST_NAME and _is_text(camera)):
            raise UsageError(f"a camera's name has 1 to {LONGEST_NAME} characters")
        for path in self._media.recordings_in([Path(path).absolute() for path in paths]):
            yield self._add_one(actor, case_id, path, camera, start, zone, copy, fps)

    def relink(self, actor: Actor, case_id: str, folder: Path) -> Iterator[Relinked]:
        """Look in a folder for recordings that are not where they were, by size, then by SHA-256 (else fingerprint)."""
        if not folder.is_dir():
            raise UnknownRecord(f"{folder}: no such folder")
        missing = [footage for footage in self._store.footage.list(case_id) if not self._is_there(footage)]
        by_size: dict[int, list[Path]] = {}
        sizes = {footage.size for footage in missing}
        for path in filter(lambda path: _is_text(str(path)), _files_under(folder.absolute())):
            size = path.stat().st_size
            if size in sizes:
                by_size.setdefault(size, []).append(path)
        for footage in missing:
            found = next((p for p in by_size.get(footage.size, []) if self._same_content(footage, p)), None)
            if found:
                self._set_source(actor, footage, found)
            yield Relinked(footage, found)

    def remove(self, actor: Actor, case_id: str, footage_id: int, sweep: Callable[[], None]) -> None:
        """Remove a recording with everything learnt of it; the file itself is not touched, a copy of ours is deleted.

        ``sweep`` is Forgetting's.
        """
        footage = self._store.footage.get(case_id, footage_id)
        with self._store.atomic():
            self._store.footage.remove(footage_id)
            self._store.audit.record(
                actor, "footage.remove", str(footage_id), case_id=case_id, key=footage.key, sha256=footage.sha256
            )
        copied = Path(footage.path)
        # Copies are named by content, so another case may use the same one.
        used = any(Path(other.path) == copied for other in self._store.footage.with_key(footage.key))
        if copied.is_relative_to(self._copies) and not used:
            copied.unlink(missing_ok=True)
        sweep()

    def hash_pending(self, stop: Callable[[], bool]) -> None:
        """Compute the SHA-256 of recordings that have none yet, until done or ``stop()``."""
        for footage in self._store.footage.without_sha256():
            if stop():
                return
            try:
                # What is there now must be what was added: this hash is what people will swear to.
                self.check_source(footage)
                digest = self._media.sha256(Path(footage.path), stop)
            except SourceUnavailable:
                continue  # unplugged: the next run finds it still without a hash
            if digest:
                with self._store.atomic():
                    self._store.footage.set_sha256(footage.id, digest)

    def check_source(self, footage: Footage) -> None:
        """Raise SourceUnavailable where a recording is not there, or is not the file that was added."""
        path = Path(footage.path)
        try:
            found = path.stat()
        except OSError as exc:
            raise SourceUnavailable(
                f"{path} cannot be read ({exc.strerror or exc}): "
                "attach its drive, or run `vidsearch footage relink FOLDER`"
            ) from exc
        if found.st_size != footage.size:
            raise SourceUnavailable(
                f"{path} has changed since it was added "
                f"({footage.size:,} bytes then, {found.st_size:,} now): add it again"
            )
        if found.st_mtime_ns != footage.mtime_ns and self._media.fingerprint(path) != footage.key:
            raise SourceUnavailable(f"{path} has other content than when it was added: add it again")

    # -- one file ------------------------------------------------------------------------------------------------

    def _add_one(
        self,
        actor: Actor,
        case_id: str,
        path: Path,
        camera: str | None,
        start: str | None,
        zone: str | None,
        copy: bool,
        fps: float | None,
    ) -> FootageResult:
        if not _is_text(str(path)):
            return FootageResult(path, "refused", "its name is not valid text (UTF-8) and cannot be kept; rename it")
        if not path.exists():
            return FootageResult(path, "refused", "there is no such file or folder: check the path")
        try:
            facts = self._media.probe(path, fps=fps)
            key = self._media.fingerprint(path)
            found = path.stat()
        except (FootageRefused, SourceUnavailable) as refused:
            return FootageResult(path, "refused", str(refused))
        except OSError as exc:
            return FootageResult(path, "refused", f"cannot be read: {exc.strerror or exc}")
        known = self._store.footage.by_key(case_id, key)
        if known:
            return self._again(actor, known, path, start, zone)
        if copy:
            path = self._copy(path, key)
            found = path.stat()
        name = camera or path.parent.name or "camera"
        with self._store.atomic():
            source = self._store.footage.ensure_camera(case_id, name, zone or self._zone)
            if zone and source.zone != zone:
                self._store.footage.set_camera(source.id, zone=zone)
                source = self._store.footage.camera(case_id, source.id)
            begin = clock.resolve_start(path, facts, found.st_mtime_ns // 1_000_000, start, source.zone)
            footage = self._store.footage.add(
                case_id,
                source.id,
                path=str(path),
                size=found.st_size,
                mtime_ns=found.st_mtime_ns,
                key=key,
                start_ms=begin.start_ms,
                start_source=begin.source,
                facts=facts,
            )
            self._store.audit.record(
                actor, "footage.add", str(footage.id), case_id=case_id, key=key, camera=source.name, copied=copy
            )
        warnings = [warning for warning in (facts.warning, begin.warning, *_doubtful(start, source)) if warning]
        return FootageResult(path, "taken", "", footage, warnings)

    def _again(self, actor: Actor, known: Footage, path: Path, start: str | None, zone: str | None) -> FootageResult:
        if start or zone:
            return self._corrected(actor, known, path, start, zone)
        if self._is_there(known) or Path(known.path) == path:
            return FootageResult(path, "known", f"the same recording is there already, as {known.id}", known)
        self._set_source(actor, known, path)
        return FootageResult(path, "known", f"this is recording {known.id}, which had moved; it is found again", known)

    def _corrected(
        self, actor: Actor, known: Footage, path: Path, start: str | None, zone: str | None
    ) -> FootageResult:
        """Correct the clock of a recording that is there already, and the zone of its camera."""
        with self._store.atomic():
            if zone:
                self._store.footage.set_camera(known.camera_id, zone=zone)
            camera = self._store.footage.camera(known.case_id, known.camera_id)
            begin = clock.resolve_start(path, known.facts, known.mtime_ns // 1_000_000, start, camera.zone)
            self._store.footage.set_start(known.id, begin.start_ms, begin.source)
            self._store.audit.record(
                actor,
                "footage.clock",
                str(known.id),
                case_id=known.case_id,
                old_start_ms=known.start_ms,
                start_ms=begin.start_ms,
                source=begin.source,
                zone=camera.zone,
            )
        footage = self._store.footage.get(known.case_id, known.id)
        shown = clock.iso(begin.start_ms, camera.zone)
        warnings = [warning for warning in (begin.warning, *_doubtful(start, camera)) if warning]
        reason = f"the same recording is there already, as {known.id}; it now begins {shown}"
        return FootageResult(path, "known", reason, footage, warnings)

    def _copy(self, path: Path, key: str) -> Path:
        target = self._copies / f"{key}{path.suffix.lower()}"
        part = target.with_suffix(f".{os.getpid()}.part")
        try:
            self._copies.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, part)
            part.replace(target)
        except OSError as exc:
            part.unlink(missing_ok=True)
            raise DiskFull(f"{path} cannot be copied to {self._copies}: {exc.strerror or exc}") from exc
        return target

    def _set_source(self, actor: Actor, footage: Footage, path: Path) -> None:
        found = path.stat()
        with self._store.atomic():
            self._store.footage.set_source(footage.id, str(path), found.st_size, found.st_mtime_ns)
            self._store.footage.set_missing(footage.id, False)
            self._store.audit.record(actor, "footage.relink", str(footage.id), case_id=footage.case_id, key=footage.key)

    def _is_there(self, footage: Footage) -> bool:
        try:
            return Path(footage.path).stat().st_size == footage.size
        except OSError:
            return False

    def _same_content(self, footage: Footage, path: Path) -> bool:
        try:
            if footage.sha256:
                return self._media.sha256(path) == footage.sha256
            return self._media.fingerprint(path) == footage.key
        except SourceUnavailable:
            return False


def _is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8; Linux lets files be called by any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files_under(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_file():
                yield path


def _doubtful(start: str | None, camera: Camera) -> list[str]:
    """Say where a start that was given is two instants, or none."""
    if start and clock.is_ambiguous(start, camera.zone):
        return [
            f"{start} happened twice in {camera.zone}, when summer time ended; "
            "the first is taken: give an offset to choose"
        ]
    if start and clock.is_left_out(start, camera.zone):
        return [
            f"{start} never was in {camera.zone}, because summer time began; "
            f"{clock.iso(clock.parse_instant(start, camera.zone), camera.zone)} is taken"
        ]
    return []

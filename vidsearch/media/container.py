"""Open a recording safely, and pick the stream that is searched."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av
import av.container
import av.error
import av.logging
import av.video.stream
from av.stream import Disposition

from vidsearch.errors import EncryptedFootage, NoVideoStream, SourceUnavailable, UnreadableFootage

Container = av.container.InputContainer
VideoStream = av.video.stream.VideoStream

FORMATS: Final = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,h264,hevc,vvc,av1,obu,ivf,m4v,mpegvideo,mjpeg,"
    "mpjpeg,ingenient,h261,h263,vc1,vc1test,dirac,cavsvideo,avs2,avs3,evc,dhav,hxvs,xmv,luodat,iv8,lmlm4,dv,flv,live_flv,"
    "kux,asf,asf_o,ogg,nut,mxf,gxf,wtv,ty,nsv,rm,ivr,swf,pva,pmp,vivo,amv,yuv4mpegpipe,gif,apng,lxf,mlv,cine,"
    "ser,r3d,frm,sdr2,mgsts,nuv,smjpeg,dxa,ipu,apv,mp3,aac,adts,ac3,eac3,wav,w64,flac,amr,aiff,caf,au,mp2,loas,opus"
)
"""Demuxers that may open a file. Playlists (hls, dash, concat), devices, text and single pictures are left out on
purpose: a playlist named .mp4 could make us read other files or the network. Sound formats are there so that such a
file is refused as having no video, which is what its owner needs to hear."""

RAW: Final = {".mjpeg": "mjpeg", ".mjpg": "mjpeg", ".mjp": "mjpeg"}
"""Suffixes of raw streams that libav takes for something else."""

PICTURE_SIGNS: Final = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\0", b"MM\0*")
"""First bytes of JPEG, PNG, BMP and TIFF: somebody gave a photo as a recording."""

OTHER_SIGNS: Final = {
    b"MZ": "a program, such as some recorders wrap their exports in: export the recording itself, as H.264 in MP4",
    b"PK\3\4": "an archive: unpack it and add what is in it",
    b"Rar!": "an archive: unpack it and add what is in it",
    b"7z\xbc\xaf": "an archive: unpack it and add what is in it",
    b"\x1f\x8b": "an archive: unpack it and add what is in it",
    b"%PDF": "a document, not a recording",
    b"SQLite format 3": "a database, not a recording",
}
"""First bytes of files that come with recordings; libav might find a picture somewhere in them."""

NOT_VIDEO: Final = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

HEAD_BYTES: Final = 4 << 20
"""How much of the head of a file is looked at to say why it cannot be opened."""


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """Open a recording for reading and close it afterwards.

    Raises SourceUnavailable (not there, no permission, drive gone) or UnreadableFootage and EncryptedFootage with the
    reason.
    """
    check_file(path)
    container = _open(path)
    try:
        yield container
    finally:
        container.close()


def check_file(path: Path) -> int:
    """Return the size in bytes of an ordinary, readable file; everything else is refused without opening it."""
    try:
        found = path.stat()
    except OSError as exc:
        raise unavailable(path, exc) from exc
    except ValueError as exc:
        raise UnreadableFootage("this is not the name of a file") from exc
    if stat.S_ISDIR(found.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            raise SourceUnavailable(f"{path} may not be listed by this user (permission denied)")
        raise UnreadableFootage("this is a folder, not a recording")
    if not stat.S_ISREG(found.st_mode):
        # Reading a pipe or a device may never end.
        raise UnreadableFootage("not an ordinary file (a pipe, socket or device): export the recording to a file")
    if not found.st_size:
        raise UnreadableFootage("the file is empty (0 bytes): export or copy it again")
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as exc:
        raise unavailable(path, exc) from exc
    for sign, what in OTHER_SIGNS.items():
        if head.startswith(sign):
            raise UnreadableFootage(f"this is {what}")
    return found.st_size


def unavailable(path: Path, exc: OSError) -> SourceUnavailable:
    """Return the error for a file that the operating system does not let us read."""
    if isinstance(exc, PermissionError):
        return SourceUnavailable(f"{path} may not be read by this user (permission denied): change its permissions")
    if isinstance(exc, FileNotFoundError | NotADirectoryError):
        return SourceUnavailable(
            f"{path} is not there: attach its drive, or run `vidsearch footage relink FOLDER` if it was moved"
        )
    return SourceUnavailable(f"{path} cannot be read ({exc.strerror or exc}): check its drive or network share")


def video_stream(container: Container) -> VideoStream:
    """Return the video stream to search: the one a player would show, never an attached cover picture.

    Raises NoVideoStream.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & NOT_VIDEO]
    if not moving:
        kinds = sorted({stream.type for stream in container.streams if stream.type in ("audio", "subtitle")})
        cover = " and a cover picture" if container.streams.video else ""
        raise NoVideoStream(f"there is no video in it, only {' and '.join(kinds) or 'data'}{cover}")
    best = container.streams.best("video")
    return next((stream for stream in moving if best is not None and stream.index == best.index), moving[0])


def _open(path: Path) -> Container:
    # PyAV's own default too; said here because whoever changed it would fill the terminal with libav's remarks.
    av.logging.set_level(None)
    try:
        try:
            return _open_as(path, None)
        except av.error.ArgumentError:
            # A kind that is not allowed. Raw streams have no header to be known by: a series of JPEGs passes for one.
            kind = RAW.get(path.suffix.lower())
            if kind is None:
                raise
            return _open_as(path, kind)
    except av.FFmpegError as exc:
        if exc.errno in (errno.EACCES, errno.ENOENT) and isinstance(exc, OSError):
            raise unavailable(path, exc) from exc
        # Demuxers answer "not permitted" (EPERM) to what they do not like in a file.
        raise _refusal(path, exc) from exc


def _open_as(path: Path, kind: str | None) -> Container:
    return av.open(
        str(path.absolute()),
        mode="r",
        format=kind,
        container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
        metadata_errors="replace",
    )


def _refusal(path: Path, exc: av.FFmpegError) -> UnreadableFootage | EncryptedFootage:
    """Say why libav could not open a file, in words its owner can act on."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as gone:
        raise unavailable(path, gone) from gone
    if is_encrypted(head):
        return EncryptedFootage("the recording is encrypted: export it without protection")
    if head.startswith(PICTURE_SIGNS):
        return UnreadableFootage("this is a picture, not a recording")
    if head[4:8] == b"ftyp" and not _has_whole_index(path):
        return UnreadableFootage(
            "the file is cut off: an MP4 without its index (moov) cannot be played; copy or export it again"
        )
    if not head.strip(b"\0"):
        return UnreadableFootage("the file holds nothing but zeros: copy or export it again")
    if b"\0" not in head[:4096]:
        return UnreadableFootage("this is text, not a recording")
    return UnreadableFootage(f"not a kind of recording that can be read ({exc.strerror}): export it as H.264 in MP4")


def _has_whole_index(path: Path) -> bool:
    """Tell whether an MP4's ``moov`` box is there to its end (ISO 14496-12 §4.2: boxes of size and kind)."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        at = 0
        while at + 8 <= end:
            stream.seek(at)
            size, kind = struct.unpack(">I4s", stream.read(8))
            if size == 1:
                size = int.from_bytes(stream.read(8), "big")
            if kind == b"moov":
                return bool(at + size <= end)
            if size < 8:
                break
            at += size
    return False


def is_encrypted(head: bytes) -> bool:
    """Tell whether the head of an MP4 declares encrypted video (ISO 23001-7: a sample entry ``encv``)."""
    return (head[4:8] in (b"ftyp", b"styp", b"moov", b"moof")) and b"encv" in head

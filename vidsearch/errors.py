"""Every error that vidsearch raises on purpose.

    VidsearchError                      exit 1: refused, with one line that says what to do
    ├── UsageError                      exit 2: the words of the request are off
    ├── PhotoRefused                    a picture cannot be used for a face
    │   ├── NotAnImage
    │   ├── ImageTooLarge
    │   ├── NoFaceFound
    │   ├── SeveralFaces
    │   ├── FaceTooSmall
    │   ├── FaceTooBlurred
    │   └── FaceTaken
    ├── FootageRefused                  a recording cannot be searched
    │   ├── NoVideoStream
    │   ├── NoDecoder
    │   ├── EncryptedFootage
    │   └── UnreadableFootage
    ├── SourceUnavailable               a recording known to us is not where it was, or changed
    ├── UnknownRecord                   no such person, footage, case, job …
    ├── EngineError                     an engine could not do its work
    │   ├── EngineRefused
    │   ├── EngineBusy              takes no more work at the moment; asked again later, no job fails for it
    │   ├── EngineUnavailable       cannot be reached at the moment; asked again later, no job fails for it
    │   │   ├── AwsUnreachable      (also AwsError)
    │   │   └── AwsThrottled        (also AwsError)
    │   ├── EngineUnusable          can do nothing until somebody mends it; work stops, no job fails for it
    │   │   ├── ModelMissing
    │   │   ├── AwsNotSetUp         (also AwsError)
    │   │   └── AwsDenied           (also AwsError)
    │   └── AwsError                Amazon could not be used, or said no
    │       ├── AwsNotFound
    │       └── AwsRefused
    ├── FFmpegFailed
    ├── StoreError
    │   ├── DatabaseTooNew
    │   ├── DatabaseUnusable
    │   └── DiskFull
    ├── LeaseLost                       another process owns the job now
    └── IllegalTransition               a job may not move from this state to that one

An error raised without words of its own says its docstring. Errors of other libraries are translated where they come
in (``raise … from exc``), so nothing above the adapters catches anything but ``VidsearchError``.
"""


class VidsearchError(Exception):
    """Something was refused."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n\n")[0])


class UsageError(VidsearchError):
    """The request cannot be understood."""

    exit_code = 2


class PhotoRefused(VidsearchError):
    """The picture cannot be used."""

    code = "refused"
    """Short word stored as the photo's outcome; never changes once released."""


class NotAnImage(PhotoRefused):
    """This is not a picture that can be read."""

    code = "not_an_image"


class ImageTooLarge(PhotoRefused):
    """The picture has too many pixels; export it at under 100 megapixels."""

    code = "too_large"


class NoFaceFound(PhotoRefused):
    """No face was found; use a picture in which the face is at least 80 pixels wide and looks at the camera."""

    code = "no_face"


class SeveralFaces(PhotoRefused):
    """Several faces were found; name the one to use."""

    code = "several_faces"


class FaceTooSmall(PhotoRefused):
    """The face is too small to compare; use a larger picture, or enrol it as weak."""

    code = "too_small"


class FaceTooBlurred(PhotoRefused):
    """The face is too blurred to compare; use a sharper picture, or enrol it as weak."""

    code = "too_blurred"


class FaceTaken(PhotoRefused):
    """This face is enrolled under another name; forget it there first."""

    code = "other_person"


class FootageRefused(VidsearchError):
    """The recording cannot be searched."""

    code = "refused"


class NoVideoStream(FootageRefused):
    """The file has no video stream."""

    code = "no_video"


class NoDecoder(FootageRefused):
    """No decoder for this video; export it as H.264 in MP4."""

    code = "no_decoder"


class EncryptedFootage(FootageRefused):
    """The recording is encrypted; export it without protection."""

    code = "encrypted"


class UnreadableFootage(FootageRefused):
    """The file cannot be read as video."""

    code = "unreadable"


class SourceUnavailable(VidsearchError):
    """The recording is not where it was; attach its drive, or run `vidsearch footage relink FOLDER`."""


class UnknownRecord(VidsearchError):
    """There is no such record."""


class EngineError(VidsearchError):
    """The engine could not do its work."""


class EngineRefused(EngineError):
    """The engine refused the request."""


class EngineBusy(EngineError):
    """The engine takes no more work at the moment."""


class EngineUnavailable(EngineError):
    """The engine cannot be reached at the moment."""


class EngineUnusable(EngineError):
    """The engine cannot work as it is set up."""


class ModelMissing(EngineUnusable):
    """A model is not installed; run `vidsearch models install`."""


class AwsError(EngineError):
    """Amazon could not do what was asked."""

    code = ""
    """The service's own word for the error, such as ``AccessDeniedException``."""

    def __init__(self, message: str | None = None, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class AwsNotSetUp(AwsError, EngineUnusable):
    """vidsearch does not know its AWS resources; run `python setup_aws.py`, or write them to aws.toml."""


class AwsUnreachable(AwsError, EngineUnavailable):
    """Amazon cannot be reached; check the network and the region."""


class AwsDenied(AwsError, EngineUnusable):
    """Amazon refused the credentials, or they lack a permission."""


class AwsNotFound(AwsError):
    """Amazon has no such resource."""


class AwsRefused(AwsError):
    """Amazon refused the request."""


class AwsThrottled(AwsError, EngineUnavailable):
    """Amazon asks to slow down; try again in a minute."""


class FFmpegFailed(VidsearchError):
    """ffmpeg failed."""


class StoreError(VidsearchError):
    """The database could not be used."""


class DatabaseTooNew(StoreError):
    """The database was written by a newer vidsearch; update vidsearch to open it."""


class DatabaseUnusable(StoreError):
    """The data folder cannot hold the database."""


class DiskFull(StoreError):
    """The disk is full; free some space and run the same command again, nothing found so far is lost."""


class LeaseLost(VidsearchError):
    """Another process has taken over this job."""


class IllegalTransition(VidsearchError):
    """A job may not change its state in this way."""

"""A process for tests that kill it: `crash_upload.py ENDPOINT BUCKET FILE KEY STATE`.

It sends a file in parts of 256 KiB and prints how many bytes are there, a line for each time it is told.
"""

import sys
from pathlib import Path

from vidsearch.aws import parts
from vidsearch.aws.session import Clients
from vidsearch.aws.upload import Uploader


def main(endpoint: str, bucket: str, path: str, key: str, state: str) -> None:
    parts.LEAST_PART = 1024
    clients = Clients("eu-west-1", endpoints={"s3": endpoint})
    uploader = Uploader(clients, bucket, part_bytes=256 * 1024, threads=2)
    there = uploader.put(
        Path(path), key, state=Path(state), on_bytes=lambda done, total: print(done, total, flush=True)
    )
    print("done", there.etag, flush=True)
    clients.close()


if __name__ == "__main__":
    main(*sys.argv[1:6])

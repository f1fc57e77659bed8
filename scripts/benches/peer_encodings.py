"""Time the peer's `face_encodings` on photos. Runs in the peer's own environment; prints one JSON object."""

import contextlib
import json
import sys
import time

import face_recognition

seconds, faces = 0.0, 0
photos = sys.argv[1:]
for path in photos:
    start = time.perf_counter()
    with contextlib.suppress(OSError):
        faces += bool(face_recognition.face_encodings(face_recognition.load_image_file(path)))
    seconds += time.perf_counter() - start
print(json.dumps({"photos": len(photos), "with_a_face": faces, "seconds": seconds}))

"""Time the peer's `face_encodings` on photos. Runs in the peer's own environment; prints one JSON object."""

import contextlib
import json
import sys
import time

import face_recognition

faces, wall, cpu = 0, time.perf_counter(), time.process_time()
for path in sys.argv[1:]:
    with contextlib.suppress(OSError):
        faces += bool(face_recognition.face_encodings(face_recognition.load_image_file(path)))
result = {"photos": len(sys.argv) - 1, "with_a_face": faces}
print(json.dumps({**result, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}))

"""The engine that works on this machine: BlazeFace, dlib's networks, exact search."""

"""A Rekognition on this machine: the part of its protocol that face search needs, over the local engine."""

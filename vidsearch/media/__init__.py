"""Everything that opens recordings and pictures: PyAV, ffmpeg and Pillow live here and nowhere else.

Nothing in this package ever writes to, or beside, a source.
"""

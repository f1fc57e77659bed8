"""The Rekognition engine: the port over Amazon Rekognition's collections and stored-video face search."""

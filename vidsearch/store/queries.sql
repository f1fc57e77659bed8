-- Statements with a join, each with its name and what it answers. Python calls them by name; the schema is in
-- migrations.py.

-- photos_of_person: a person's photos with the face held for each, oldest first
SELECT photos.*, face.face_id, face.engine, face.engine_version, face.left, face.top, face.width AS face_width,
       face.height AS face_height
FROM photos
LEFT JOIN enrolled_faces AS face ON face.rowid = (
    SELECT rowid FROM enrolled_faces WHERE photo_id = photos.id ORDER BY engine LIMIT 1)
WHERE photos.person_id = :person_id
ORDER BY photos.id;

-- photos_of_other_versions: the photos of a case whose face some engine holds, but neither holds nor refuses this version
SELECT photos.*, face.face_id, face.engine, face.engine_version, face.left, face.top, face.width AS face_width,
       face.height AS face_height
FROM photos
JOIN enrolled_faces AS face ON face.rowid = (
    SELECT rowid FROM enrolled_faces WHERE photo_id = photos.id ORDER BY engine <> :engine, engine LIMIT 1)
WHERE photos.case_id = :case_id
AND NOT EXISTS (SELECT 1 FROM enrolled_faces AS held
                WHERE held.photo_id = photos.id AND held.engine = :engine AND held.engine_version = :version)
AND NOT EXISTS (SELECT 1 FROM photo_refusals AS refused
                WHERE refused.photo_id = photos.id AND refused.engine = :engine AND refused.engine_version = :version)
ORDER BY photos.id;

-- photos_unknown_to_engine: the photos of a case whose face some engine holds, but neither holds nor refuses this engine
SELECT photos.id FROM photos
WHERE photos.case_id = :case_id
AND EXISTS (SELECT 1 FROM enrolled_faces WHERE photo_id = photos.id)
AND NOT EXISTS (SELECT 1 FROM enrolled_faces WHERE photo_id = photos.id AND engine = :engine)
AND NOT EXISTS (SELECT 1 FROM photo_refusals WHERE photo_id = photos.id AND engine = :engine)
ORDER BY photos.id;

-- photo_by_id: one photo of a case with the face held for it
SELECT photos.*, face.face_id, face.engine, face.engine_version, face.left, face.top, face.width AS face_width,
       face.height AS face_height
FROM photos
LEFT JOIN enrolled_faces AS face ON face.rowid = (
    SELECT rowid FROM enrolled_faces WHERE photo_id = photos.id ORDER BY engine LIMIT 1)
WHERE photos.id = :id AND photos.case_id = :case_id;

-- photos_by_sha256: the photos with this content, of one case or (case_id NULL) of all
SELECT photos.*, face.face_id, face.engine, face.engine_version, face.left, face.top, face.width AS face_width,
       face.height AS face_height
FROM photos
LEFT JOIN enrolled_faces AS face ON face.rowid = (
    SELECT rowid FROM enrolled_faces WHERE photo_id = photos.id ORDER BY engine LIMIT 1)
WHERE photos.sha256 = :sha256 AND (:case_id IS NULL OR photos.case_id = :case_id)
ORDER BY photos.id;

-- owner_of_face: whose an engine's face is, with the name
SELECT face.photo_id, face.person_id, people.name
FROM enrolled_faces AS face JOIN people ON people.id = face.person_id
WHERE face.case_id = :case_id AND face.engine = :engine AND face.face_id = :face_id;

-- tracks_in_case: how many tracks the recordings of a case have
SELECT count(*) AS tracks
FROM footage JOIN tracks ON tracks.footage_id = footage.id
WHERE footage.case_id = :case_id;

-- clock_of_footage: the wall clock of a recording's zero, the camera's offset applied
SELECT footage.start_ms + cameras.clock_offset_ms AS zero_ms
FROM footage JOIN cameras ON cameras.id = footage.camera_id
WHERE footage.id = :footage_id;

-- speed_of_engine: recording and working time of the newest jobs an engine has done, from their history
SELECT sum(jobs.end_ms - jobs.start_ms) AS recording_ms, sum(done.at_ms - begun.at_ms) AS working_ms
FROM (SELECT id, attempt, start_ms, end_ms FROM jobs
      WHERE engine = :engine AND state = 'succeeded' ORDER BY id DESC LIMIT 200) AS jobs
JOIN job_events AS begun ON begun.job_id = jobs.id AND begun.attempt = jobs.attempt
                        AND begun.old <> begun.new AND begun.new = 'searching'
JOIN job_events AS done ON done.job_id = jobs.id AND done.attempt = jobs.attempt
                       AND done.old = 'searching' AND done.new = 'collecting';

-- coverage_of_case: what was examined of a case's recordings by the analysis their appearances are of
SELECT span.footage_id, span.start_ms, span.end_ms, span.outcome, span.reason,
       jobs.gallery_revision BETWEEN 1 AND :newest - 1 AS outdated
FROM examined AS span JOIN jobs ON jobs.id = span.job_id
WHERE span.case_id = :case_id AND span.engine = :engine
AND ((jobs.engine_version = :version AND jobs.settings_key = :key)
     OR NOT EXISTS (SELECT 1 FROM matched WHERE matched.footage_id = span.footage_id AND matched.engine = :engine
                    AND matched.engine_version = :version AND matched.settings_key = :key))
ORDER BY span.footage_id, span.start_ms;

-- coverage_of_recording: what was examined of a recording by the analysis its appearances are of
SELECT span.footage_id, span.start_ms, span.end_ms, span.outcome, span.reason,
       jobs.gallery_revision BETWEEN 1 AND :newest - 1 AS outdated
FROM examined AS span JOIN jobs ON jobs.id = span.job_id
WHERE span.footage_id = :footage_id AND +span.case_id = :case_id AND span.engine = :engine
AND ((jobs.engine_version = :version AND jobs.settings_key = :key)
     OR NOT EXISTS (SELECT 1 FROM matched WHERE matched.footage_id = span.footage_id AND matched.engine = :engine
                    AND matched.engine_version = :version AND matched.settings_key = :key))
ORDER BY span.footage_id, span.start_ms;

-- thresholds_of_case: the thresholds that the appearances of a case were made with, by engine
SELECT matched.engine, min(matched.threshold) AS least, max(matched.threshold) AS highest
FROM matched JOIN footage ON footage.id = matched.footage_id
WHERE footage.case_id = :case_id
GROUP BY matched.engine;

-- tracks_not_found_again: tracks inside a period that are none of some, and where no job that knew more faces looked
SELECT id FROM tracks
WHERE footage_id = :footage_id AND engine = :engine AND engine_version = :version
AND start_ms >= :start_ms AND start_ms < :end_ms AND end_ms <= :end_ms
AND id NOT IN (SELECT value FROM json_each(:kept))
AND NOT EXISTS (SELECT 1 FROM examined AS span JOIN jobs ON jobs.id = span.job_id
                WHERE span.footage_id = tracks.footage_id AND span.engine = tracks.engine
                AND span.engine_version = tracks.engine_version AND span.outcome = 'examined'
                AND span.start_ms <= tracks.end_ms AND span.end_ms > tracks.start_ms
                AND jobs.gallery_revision > :revision);

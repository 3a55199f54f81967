-- The roles of users.xml for a server into which no file can be laid: run it once as a user who may manage access (ACCESS MANAGEMENT).
-- Users are yours to make: CREATE USER anna IDENTIFIED BY '...' DEFAULT ROLE ebbtide_reader

CREATE SETTINGS PROFILE IF NOT EXISTS ebbtide_reader SETTINGS
    readonly = 2,
    max_execution_time = 60 MIN 1 MAX 300,
    max_memory_usage = 4000000000 MIN 1 MAX 4000000000,
    max_memory_usage_for_user = 8000000000 CONST,
    max_concurrent_queries_for_user = 16 CONST,
    max_result_rows = 1000000 MIN 1 MAX 1000000,
    max_result_bytes = 500000000 MIN 1 MAX 500000000,
    result_overflow_mode = 'throw',
    timeout_overflow_mode = 'throw' CONST,
    allow_introspection_functions CONST;

CREATE SETTINGS PROFILE IF NOT EXISTS ebbtide_writer SETTINGS
    max_memory_usage = 8000000000;

CREATE ROLE IF NOT EXISTS ebbtide_reader SETTINGS PROFILE ebbtide_reader;
CREATE ROLE IF NOT EXISTS ebbtide_writer SETTINGS PROFILE ebbtide_writer;

CREATE QUOTA IF NOT EXISTS ebbtide_reader FOR INTERVAL 1 hour MAX queries = 10000, execution_time = 7200 TO ebbtide_reader;

GRANT SELECT ON ebbtide.* TO ebbtide_reader;
REVOKE SELECT ON ebbtide.dead_letters FROM ebbtide_reader;
REVOKE SELECT ON ebbtide.dead_letters_now FROM ebbtide_reader;

GRANT SELECT, INSERT, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER COLUMN, ALTER MODIFY COMMENT, ALTER TTL ON ebbtide.* TO ebbtide_writer;
GRANT TABLE ENGINE ON ReplacingMergeTree TO ebbtide_writer;

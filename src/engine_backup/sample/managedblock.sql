-- The volumes that the block-storage broker knows; Cinderlib's database and its successor look alike.
CREATE TABLE volumes (
    id varchar(36) PRIMARY KEY, display_name varchar(255), size integer, status varchar(255), created_at timestamp, deleted boolean DEFAULT false
);
CREATE TABLE snapshots (id varchar(36) PRIMARY KEY, volume_id varchar(36) REFERENCES volumes (id), status varchar(255));
CREATE TABLE volume_attachment (id varchar(36) PRIMARY KEY, volume_id varchar(36) NOT NULL REFERENCES volumes (id), connection_info text);
CREATE TABLE cinderlib_persistence_key_value (key varchar(255) PRIMARY KEY, value text);
INSERT INTO volumes
    SELECT pg_temp.gid('volume', n)::text, 'volume-' || n, 1 + pg_temp.dice(n, 500), 'available', '2026-03-01', n % 5 = 0
      FROM generate_series(1, 20 + pg_temp.size('vms') / 10) n;
INSERT INTO snapshots SELECT pg_temp.gid('volume snapshot', n)::text, pg_temp.gid('volume', n)::text, 'available' FROM generate_series(1, 10) n;
INSERT INTO volume_attachment
    SELECT pg_temp.gid('attachment', n)::text, pg_temp.gid('volume', n)::text, E'{"driver": "rbd",\n "path": "\\\\dev"}' FROM generate_series(1, 6) n;
INSERT INTO cinderlib_persistence_key_value VALUES ('schema', '1'), ('note', E'tab\there');
ANALYZE;
